/*
 * redis_errand.h - calls about a ticket, which they may outlive, and those that have to be made up
 * for.
 *
 * What couldn't be given back is a debt: it is tried again every second and when a link is up,
 * until its lease has run out in Redis anyway.
 */
#pragma once

#include "queue/lock.h"
#include "queue/redis_call.h"

struct redis_errands {
	struct redis_caller caller;
	const struct redis_names *names;
	struct loop *loop;
	struct list debts;
	struct timer *pay; /* when they are tried again */
	int open;          /* errands that are under way; whoever gets an answer counts it off */
	struct job *when_settled; /* asked for when nothing is open or owed; NULL: not awaited */
};

struct redis_errand {
	struct redis_call call;
	struct redis_errands *errands;
	char account[LOCK_ACCOUNT_MAX], id[LOCK_TICKET_MAX];
	int64_t sent_ms, sent_us, ttl_ms, delay_ms;
	int64_t until_ms; /* a debt is forgotten then */
	bool completed;
	bool again; /* sent before, and maybe done then */
};

/* Zero it first; `nodes` and `names` outlive it. */
void redis_errands_open(struct redis_errands *all, struct loop *loop, struct redis_nodes *nodes,
			const struct redis_names *names);

/* After the links were freed: frees what is open or owed. May be called twice. */
void redis_errands_close(struct redis_errands *all);

/* A script about a ticket: what it wants behind the ticket's id is still to be added. */
struct redis_errand *redis_errand_new(struct redis_errands *all, enum redis_script script,
				      const struct lock_ticket *t,
				      void (*done)(struct redis_call *, const redisReply *))
	MUST_USE;

/* The same for a script on one key alone of the account: all that it wants is still to be added. */
struct redis_errand *redis_errand_on_key(struct redis_errands *all, enum redis_script script,
					 const char *kind, const struct lock_ticket *t,
					 void (*done)(struct redis_call *, const redisReply *))
	MUST_USE;

/* Sends it, see redis_call_send(); without a link it stays the caller's. */
int redis_errand_send(struct redis_errand *e) MUST_USE;

/*
 * Whether one of that script on that account and ticket hasn't been answered yet; debts don't
 * count.
 */
bool redis_errand_is_open(const struct redis_errands *all, enum redis_script script,
			  const char *account, const char *id);

/* Makes it a debt; takes it over. */
void redis_errand_owe(struct redis_errand *e);

void redis_errand_free(struct redis_errand *e);

/* Something that was counted in `open` without being an errand is over. */
void redis_errands_count_off(struct redis_errands *all);

/* Tries the debts again. */
void redis_errands_pay(struct redis_errands *all);

/* Asks for the job once nothing is open or owed. */
void redis_errands_settle(struct redis_errands *all, struct job *when_settled);
