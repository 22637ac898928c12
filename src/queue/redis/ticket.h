/*
 * ticket.h - one ticket's place or turn in Redis, as far as this process knows. Inside of
 * tickets.c, which asks and hears; its states are explained there.
 */
#pragma once

#include "queue/redis/loss.h"
#include "queue/redis/tickets.h"

#define uthash_fatal(msg) must_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

enum turn_state {
	TURN_ENTERING, /* no answer yet */
	TURN_WAITING,
	TURN_CONFIRMING, /* handed over to us; the keeper still takes it for a waiter */
	TURN_HELD,
	TURN_UNSURE, /* told that it is over; Redis may still have it */
	TURN_NONE,   /* Redis doesn't have it */
};

/* What `ticket->entry` points to. */
struct redis_ticket {
	struct postbox box;
	struct redis_tickets *tickets;
	struct redis_node *node; /* where its account lives, and whose keeper keeps it */
	enum turn_state state;
	int64_t entered_ms, starts_ms; /* starts_ms: of the turn, the delay included */
	int64_t position;              /* as it joined */
	char place[96];                /* what Redis said of its rank; empty: it never waited */
	bool probe;                    /* its turn is one, see lock.h */
	int64_t windows; /* of which windows that are spent it has heard: windows() of prelude.lua */
	int64_t limit_until; /* the end of the one that it was told of, by Redis' clock; 0: none */
	char *refusal;       /* what it was told of that */
	bool asks_of_limit;  /* for all who wait in its account */
	int64_t unkept_ms; /* since when its place can't be kept, by the latest of such news, … */
	int64_t unkept_at_ms; /* … which came then */
	bool doubted;         /* told that it has lost a turn that it wasn't known to have */
	bool counted;         /* something happened to its turn, and that is counted */
	UT_hash_handle hh;    /* by box.ticket->id */
};

/* By its ticket's id; NULL: it has been given back, or is none of ours. */
struct redis_ticket *ticket_find(struct redis_tickets *r, const char *id, size_t len);
struct redis_ticket *ticket_find_str(struct redis_tickets *r, const char *id);

/* Its ticket hears no more. What the keeper keeps of it is to be dropped before. */
void ticket_free(struct redis_ticket *p);

/* Its ticket hears that, later. */
void ticket_tell(struct redis_ticket *p, struct lock_news news);

/* Its keeper forgets it. */
void ticket_unkeep(struct redis_ticket *p);

/* Its ticket hears that it has neither place nor turn; `state` says what is known of that. */
void ticket_fail(struct redis_ticket *p, enum turn_state state);

/* Somebody says that it has no turn any more, which may be old news of one that it hasn't yet. */
void ticket_lose(struct redis_ticket *p, enum loss loss);

/* Its turn goes on, but there may have been another beside it: counted and logged, once. */
void ticket_doubt(struct redis_ticket *p, enum loss loss);

/*
 * Its place can't be kept, which was tried at `tried_ms`: as Redis refuses that, or no node has it. It goes on
 * waiting for redis.outage_ms, as if Redis couldn't be reached; then it fails.
 */
void ticket_unkept(struct redis_ticket *p, int64_t tried_ms);

/* An operator took it out of the line. */
void ticket_remove(struct redis_ticket *p);

/* The line is full: it doesn't join, or had lost its place and gets no other. */
void ticket_turn_away(struct redis_ticket *p);

/*
 * It has the turn, which may be a probe (p->probe), to start in `delay_ms`, for `lease_ms` from when Redis was asked, at `sent_ms`,
 * and is renewed `renew_in_ms` after that. Its ticket hears that.
 */
void ticket_hold(struct redis_ticket *p, int64_t delay_ms, int64_t sent_ms, int64_t lease_ms,
		 int64_t renew_in_ms);

/* --- between tickets.c, tickets_end.c and tickets_slot.c ------------------------------------------- */

struct redis_tickets *tickets_of(const struct ticket_call *e);

/*
 * Redis says that it has the turn, to start in `start_in_ms`: as the answer to a call that was sent at
 * `sent_ms`, and got it for its whole ttl.
 */
void ticket_grant(struct redis_ticket *p, int64_t start_in_ms, int64_t sent_ms);

/* Takes a turn that the answer to a give-back hands on, if that can be relied on. */
void tickets_hand_on(struct redis_tickets *r, const struct script_answer *a,
		     const struct ticket_call *e);

/* Whether its ticket is still there: redis_call.wanted of what a give-back undoes. */
bool ticket_is_there(const struct redis_call *call);

/* An ended one may have a turn or place in Redis all the same: see KEEPER_STRAY, and sweep.lua. */
void tickets_give_back_stray(struct redis_tickets *r, const char *account, const char *id);
void tickets_end(struct redis_ticket *p, enum lock_end end);

/* A place that was kept, by whomever, has been taken by a ticket of this process. */
void tickets_came_back(struct redis_tickets *r);

/* See KEEPER_ADRIFT. */
void tickets_adrift(struct redis_tickets *r, const struct keeper_news *news);

/* Lets Redis say what it has of this process, in accounts that it used lately at that node. */
void tickets_reconcile(struct redis_tickets *r, struct redis_node *node);
void tickets_used(struct redis_tickets *r, const char *account, int64_t for_ms);
void tickets_forget_used(struct redis_tickets *r);

/*
 * What enter.lua says of windows that are spent, if it does: it hears of the one that concerns it
 * longest, once for each end.
 */
void ticket_limited(struct redis_ticket *p, const struct script_answer *a);

/*
 * Its account, in which it waits, has windows that are spent: `windows` of prelude.lua, or 0 if that
 * isn't known. Redis is asked for the rest if it hasn't heard of these yet.
 */
void ticket_hear_of_limit(struct redis_ticket *p, int64_t windows);

/* The same of all who wait in that account. */
void tickets_hear_of_limit(struct redis_tickets *r, const char *account, int64_t windows);

/* Asks Redis for a place; or where it has one, for what is known of that. */
void ticket_send_enter(struct redis_ticket *p);
