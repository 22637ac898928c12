/*
 * lock.h - who has an account's turn? The interface of the backends.
 *
 * A backend keeps, per account, one holder and the waiters in order of arrival. memory does so for
 * one process, redis for all processes that share a Redis. It is policy-free: timeouts, pacing
 * and what happens on an error are the queue's (queue.c).
 *
 *      enter ──> WAITING ──> GRANTED ──> (LOST)       events, on the loop, never from within a call
 *                   │            │
 *                 give_back: ends a place or a turn, from any state, for good
 *
 * Rules that hold for every backend, and that tests/unit/test_lock.c checks on each:
 *  - at most one ticket of an account is between GRANTED and its give_back (or LOST);
 *  - grants come in the order of the enters;
 *  - no event comes before lock_enter() has returned, and none after lock_give_back() was called;
 *  - whatever was entered must be given back once, also after LOST and FAILED.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"
#include "base/list.h"
#include "base/loop.h"
#include "base/span.h"
#include "config/config.h"

enum {
	LOCK_TICKET_MAX = 128,  /* "<instance>.<boot>:<uuid>" with its NUL */
	LOCK_ACCOUNT_MAX = 137, /* an account's name with its NUL (account.h), with "observe:" */
	LOCK_CLIENT_MAX = 46,   /* a client's address with its NUL, longer ones are cut */
};

enum lock_event {
	LOCK_WAITING, /* joined; `position` is how many are served before it, the holder included */
	LOCK_GRANTED, /* has the turn; it may start in `delay_ms` */
	LOCK_FULL,    /* has no place: when it joined, or again as its place was lost (its process
		       * was stopped for longer than a waiter's lease), `max_waiting` were there */
	LOCK_LOST,    /* had the turn, but its lease is over: somebody else may have it by now */
	LOCK_REMOVED, /* an operator took it out of the line */
	LOCK_FAILED,  /* neither turn nor place: the backend can't be asked (it has logged why) */
};

struct lock_news {
	enum lock_event event;
	int64_t position; /* with LOCK_WAITING */
	int64_t delay_ms; /* with LOCK_GRANTED: what is left of the account's delay, 0 or more */
};

struct lock_ticket;
typedef void (*lock_event_fn)(struct lock_ticket *ticket, const struct lock_news *news);

/* How one ticket wants its account treated. */
struct lock_terms {
	int64_t delay_ms;    /* from the last completion to the next turn */
	int64_t ttl_ms;      /* the lease of a turn, renewed while it is held */
	int64_t max_hold_ms; /* after this a turn isn't renewed any more */
	int64_t max_waiting; /* waiters of this account beyond which nobody joins */
};

/*
 * A place or a turn. Embedded in its owner; zero it, fill in the first group, then lock_enter().
 * The second group is the backend's while entered.
 */
struct lock_ticket {
	char account[LOCK_ACCOUNT_MAX];
	char client[LOCK_CLIENT_MAX]; /* for operators: no blanks; may be empty */
	struct lock_terms terms;
	lock_event_fn on_event;

	char id[LOCK_TICKET_MAX];
	void *entry;
};

struct lock_backend;
struct lock_query; /* query.h */
struct runtime_setting;

struct lock_stats {
	int64_t active_renewals; /* turns that the keeper keeps alive right now */
	int64_t lost;            /* turns lost since start */
	int64_t dropped_waiters; /* waiters of any process that were taken for dead */
	int64_t forgotten; /* idle accounts that were forgotten before their time, for want of room */
	int64_t renewals;      /* of leases of turns, since start */
	int64_t round_trip_us; /* to the backend and back, lately; -1: not known */
	bool up;               /* the backend can be asked */

	/* Live as long as the backend: from giving a turn back to knowing that it was handed on;
	 * round trips to the backend, NULL if there are none. */
	const struct histogram *hand_offs, *round_trips;
};

struct lock_ops {
	const char *name; /* "memory", "redis" */

	/*
	 * Joins the queue of ticket->account at its end. The answer comes as an event: WAITING,
	 * GRANTED, FULL or FAILED; after WAITING comes GRANTED, FULL, REMOVED or FAILED some time.
	 */
	void (*enter)(struct lock_backend *b, struct lock_ticket *t);

	/*
	 * Ends a ticket in whatever state it is: leaves the queue, or ends the turn and hands it to
	 * the next. `completed` says that the turn was used, so that the delay starts to run. No
	 * event comes any more; the ticket's memory may be reused at once. Idempotent.
	 */
	void (*give_back)(struct lock_backend *b, struct lock_ticket *t, bool completed);

	/*
	 * Whether a GRANTED ticket still has its turn, as far as this process can know without
	 * asking: false if its lease is over, which a process that was stopped finds out late.
	 * LOST follows then. For whoever didn't use the turn at once.
	 */
	bool (*holds)(struct lock_backend *b, struct lock_ticket *t);

	void (*stats)(const struct lock_backend *b, struct lock_stats *ret);

	/* lock_query_send() and lock_query_cancel() of query.h, where `q` is open for the second. */
	void (*query)(struct lock_backend *b, struct lock_query *q);
	void (*query_cancel)(struct lock_backend *b, struct lock_query *q);

	/*
	 * Who wants to know the settings made at run time: called from the loop, some time after
	 * this, and then within a second of each change by any process. NULL: nobody any more.
	 */
	void (*watch_settings)(struct lock_backend *b,
			       void (*fn)(void *arg, const struct runtime_setting *s, size_t count),
			       void *arg);

	/*
	 * Stops: no event comes any more. What is still entered is given back; turns that were
	 * given back before are really gone from a shared backend when `done` is called, or
	 * `limit_ms` have passed. `done` comes once, from the loop, never from within the call.
	 */
	void (*stop)(struct lock_backend *b, int64_t limit_ms, void (*done)(void *arg), void *arg);

	/* Frees a backend that has stopped (or was never used). */
	void (*free)(struct lock_backend *b);
};

/* Every backend begins with this. */
struct lock_backend {
	const struct lock_ops *ops;
};

/*
 * Turns of this process only. Never fails. `loop` outlives it; `instance` (copied, at most
 * INSTANCE_MAX) is what its tickets begin with.
 */
struct lock_backend *lock_memory_new(struct loop *loop, const char *instance) MUST_USE;

/*
 * Turns of all processes that use the same Redis and key prefix (config->redis). Starts to connect
 * and goes on trying by itself; while Redis can't be reached, enters FAIL within
 * redis.command_timeout_ms. `config` is read at any time (reload) and outlives the backend.
 * -EINVAL and a line in `errors` if redis.url can't be understood or served by this build.
 */
int lock_redis_new(struct loop *loop, const struct config *config, struct buf *errors,
		   struct lock_backend **ret) MUST_USE;

/* What lock_redis_new() would say, without connecting: reads the files that config->redis names. */
int lock_redis_check(const struct config *config, struct buf *errors) MUST_USE;

/*
 * "<instance>.<boot>", what all tickets of a backend begin with; another one each time. The caller
 * frees it.
 */
char *lock_owner_new(const char *instance) MUST_USE;

/* A ticket for `t->id`: "<instance>.<boot>:<uuid>", where both backends take theirs from. */
void lock_ticket_name(struct lock_ticket *t, const char *owner);

static inline void lock_enter(struct lock_backend *b, struct lock_ticket *t)
{
	b->ops->enter(b, t);
}

static inline void lock_give_back(struct lock_backend *b, struct lock_ticket *t, bool completed)
{
	b->ops->give_back(b, t, completed);
}

static inline bool lock_holds(struct lock_backend *b, struct lock_ticket *t)
{
	return b->ops->holds(b, t);
}
