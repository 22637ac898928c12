/*
 * ticket_call.h - calls about a ticket, which they may outlive, and those that have to be made up
 * for.
 *
 * What couldn't be given back is kept as unheard: it is tried again every second and when a link is up,
 * until its lease has run out in Redis anyway.
 */
#pragma once

#include "queue/lock.h"
#include "queue/redis/scripts.h"
#include "redis/call.h"

struct ticket_calls {
	struct redis_caller caller;
	const struct redis_names *names;
	struct loop *loop;
	struct list unheard;
	struct timer *retry; /* when they are tried again */
	int open;            /* calls that are under way; whoever gets an answer counts it off */
	struct job *when_settled; /* asked for when nothing is open or unheard; NULL: not awaited */
};

struct ticket_call {
	struct redis_call call;
	struct ticket_calls *calls;
	char account[LOCK_ACCOUNT_MAX], id[LOCK_TICKET_MAX];
	int64_t sent_ms, sent_us, ttl_ms, delay_ms;
	int64_t until_ms; /* it is tried no longer than this */
	bool used;        /* a turn that is given back was */
	bool counted;     /* what had happened to it */
	bool again;       /* sent before, and maybe done then */
};

/* Zero it first; `nodes` and `names` outlive it. */
void ticket_calls_open(struct ticket_calls *all, struct loop *loop, struct redis_nodes *nodes,
		       const struct redis_names *names);

/* After the links were freed: frees what is open or unheard. May be called twice. */
void ticket_calls_close(struct ticket_calls *all);

/* A script about a ticket: what it wants behind the ticket's id is still to be added. */
struct ticket_call *ticket_call_new(struct ticket_calls *all, enum script script,
				    const struct lock_ticket *t,
				    void (*done)(struct redis_call *, const redisReply *)) MUST_USE;

/* A script about an account: what it wants is still to be added. */
struct ticket_call *ticket_call_of_account(struct ticket_calls *all, enum script script,
					   const char *account,
					   void (*done)(struct redis_call *, const redisReply *))
	MUST_USE;

/* The same for a script on one key alone of the account: all that it wants is still to be added. */
struct ticket_call *ticket_call_on_key(struct ticket_calls *all, enum script script,
				       const char *kind, const struct lock_ticket *t,
				       void (*done)(struct redis_call *, const redisReply *))
	MUST_USE;

/* Sends it, see redis_call_send(); without a link it stays the caller's. */
int ticket_call_send(struct ticket_call *e) MUST_USE;

/*
 * Whether one of that script on that account and ticket hasn't been answered yet; unheard ones don't
 * count.
 */
bool ticket_call_is_open(const struct ticket_calls *all, enum script script, const char *account,
			 const char *id);

/* Puts it among the unheard; takes it over. */
void ticket_call_retry_later(struct ticket_call *e);

void ticket_call_free(struct ticket_call *e);

/* Something that was counted in `open` without being an ticket call is over. */
void ticket_calls_count_off(struct ticket_calls *all);

/* Tries the unheard ones again. */
void ticket_calls_retry(struct ticket_calls *all);

/* Asks for the job once nothing is open or unheard. */
void ticket_calls_settle(struct ticket_calls *all, struct job *when_settled);
