/*
 * lock.h - who has a turn of an account? The interface of the backends.
 *
 * A backend keeps, per account, those who hold a turn and the line of those who wait for one, in
 * order of rank (order.h). memory does so for one process, redis for all processes that share a
 * Redis. It is policy-free: timeouts, pacing and what happens on an error are the queue's (queue.c).
 *
 *      enter ──> WAITING ──> GRANTED ──> (LOST)       events, on the loop, never from within a call
 *                   │            │
 *                 give_back: ends a place or a turn, from any state, for good
 *
 * Rules that hold for every backend, and that tests/unit/test_lock.c checks on each:
 *  - at most terms.turns tickets of an account are between GRANTED and give_back (or LOST);
 *  - whoever has the lowest rank is granted first; a rank is fixed when its ticket joins;
 *  - whoever may not go, as a limit concerns it (lock_ops.hold), is passed by those behind it;
 *  - a ticket whose place was kept (LOCK_KEEP) has the rank that it had;
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
#include "queue/hold.h"
#include "queue/order.h"
#include "request/limits.h"

enum {
	LOCK_TICKET_MAX = 128,  /* "<instance>.<boot>:<uuid>" with its NUL */
	LOCK_ACCOUNT_MAX = 137, /* an account's name with its NUL (account.h), with "observe:" */
	LOCK_CLIENT_MAX = 46,   /* a client's address with its NUL, longer ones are cut */
	LOCK_SHARE_MAX = 65,    /* the name of a share with its NUL */
	LOCK_MARK_MAX = 24,
	LOCK_SESSION_MAX = 33,
	LOCK_KEEP_KEY_MAX = 33,
	LOCK_REFUSAL_MAX = 4096,
	LOCK_KEPT_PER_SHARE_MAX = 16, /* places that are kept for one share; the oldest go */
};

enum lock_event {
	LOCK_WAITING, /* joined; `position` is how many are before it: they hold, or rank lower */
	LOCK_GRANTED, /* has a turn; it may start in `delay_ms` */
	LOCK_FULL,    /* has no place: when it joined, or again as its place was lost (its process
		       * was stopped for longer than a waiter's lease), `max_waiting` were there,
		       * or `max_waiting_per_share` of its share */
	LOCK_LOST,    /* had the turn, but its lease is over: somebody else may have it by now */
	LOCK_REMOVED, /* an operator took it out of the line */
	LOCK_HELD,    /* the upstream has limited the account, and it waits all the same: with
		       * HOLD_QUOTA, when that begins, or behind WAITING where it is so already */
	LOCK_FAILED,  /* neither turn nor place: the backend can't be asked (it has logged why) */
};

struct lock_news {
	enum lock_event event;
	int64_t position; /* with LOCK_WAITING */
	double rank;      /* with LOCK_WAITING */
	int64_t delay_ms; /* with LOCK_GRANTED: 0 or more; what is left of the account's delay since
			   * its last completion, or of its interval since its last start */
	bool probe;       /* with LOCK_GRANTED: the account is held, and this turn asks whether it
			   * still is: lock_hold() or lock_release() is to follow */
	const char *cause; /* with LOCK_LOST: what happened to it, a static text; NULL: not known */
	int64_t held_ms;   /* with LOCK_HELD: for so long from now, unless it ends before */
	const char
		*refusal; /* the same: what the upstream said, see struct lock_limit; "": nothing;
			      * valid in the callback only */
};

/* A limit that the upstream has named. */
struct lock_limit {
	enum hold_kind kind;
	int64_t for_ms;      /* 0: it doesn't say how long */
	const char *refusal; /* the answer for those who can't wait so long: any text, without keys,
			      * up to LOCK_REFUSAL_MAX bytes with its NUL, longer ones are left out */
	unsigned
		families; /* 0: of all requests; else of those for such models, see limits_families() */
};

struct lock_ticket;
typedef void (*lock_event_fn)(struct lock_ticket *ticket, const struct lock_news *news);

/* How one ticket wants its account treated. */
struct lock_terms {
	int64_t delay_ms;    /* from the last completion to the next turn */
	int64_t ttl_ms;      /* the lease of a turn, renewed while it is held */
	int64_t max_hold_ms; /* after this a turn isn't renewed any more */
	int64_t max_waiting; /* waiters of this account beyond which nobody joins */

	/* `turns` and `interval_ms` count for all of the account, from whoever came last. */
	int64_t turns;       /* at once; 0: 1. Fewer than there are: none ends, and none begins */
	int64_t interval_ms; /* from one start of a turn to the next */
	int64_t max_waiting_per_share; /* as max_waiting, of this ticket's share; 0: no limit */
	int64_t yield_rounds;          /* by how many rounds one that yields lets others go first */
	int64_t keep_place_ms;         /* how long LOCK_KEEP keeps a place; 0: not at all */
	enum queue_order order;
};

/* Whose a request is within its account, and how it stands there. Texts have no blanks. */
struct lock_standing {
	char share[LOCK_SHARE_MAX]; /* "": as "-", the share of those of whom nothing is known */
	double weight;              /* of that share; 0: 1 */
	bool yields;                /* lets others go first, see order.h */
	unsigned families; /* of models that it is for, a bit each: limits of theirs concern it */
	char mark[LOCK_MARK_MAX]; /* for operators: what kind of request it is; may be empty */
	char session[LOCK_SESSION_MAX];   /* hashed; may be empty */
	char keep_key[LOCK_KEEP_KEY_MAX]; /* whoever enters with it gets the place kept; "": none */
};

/* What becomes of a ticket's place or turn as it is given back. */
enum lock_end {
	LOCK_UNUSED, /* nobody used it: no delay, no interval */
	LOCK_USED,   /* a turn was used: its delay begins; one that waits just leaves */
	LOCK_KEEP,   /* nobody used it, and the place is kept for whoever comes back for it */
};

/*
 * A place or a turn. Embedded in its owner; zero it, fill in the first group, then lock_enter().
 * The second group is the backend's while entered.
 */
struct lock_ticket {
	char account[LOCK_ACCOUNT_MAX];
	char client[LOCK_CLIENT_MAX]; /* for operators: no blanks; may be empty */
	struct lock_standing standing;
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
	int64_t kept;      /* places that are kept now, as far as this process knows */
	int64_t returned;            /* tickets that got a place that was kept, since start */
	int64_t renewals;            /* of leases of turns, since start */
	int64_t round_trip_us;       /* to the backend and back, lately; -1: not known */
	bool up;                     /* the backend can be asked, and does what it is asked for */
	const char *refusal;         /* why it answers, but doesn't do that; "" or NULL: it does */
	const char *slow_hand_overs; /* why turns are handed over by touches only; "" or NULL: they
				      * aren't */

	/* Live as long as the backend: from giving a turn back to knowing that it was handed on;
	 * round trips to the backend, NULL if there are none. */
	const struct histogram *hand_offs, *round_trips;
};

struct lock_ops {
	const char *name; /* "memory", "redis" */

	/*
	 * Joins the line of ticket->account: where its rank is, or with a place that was kept where
	 * that was. The answer comes as an event: WAITING, GRANTED, FULL or FAILED; after WAITING
	 * comes GRANTED, FULL, REMOVED or FAILED some time. Behind lock_enter().
	 */
	void (*enter)(struct lock_backend *b, struct lock_ticket *t);

	/*
	 * Ends a ticket in whatever state it is: leaves the line, or ends the turn and hands it to
	 * the next. No event comes any more; the ticket's memory may be reused at once. Idempotent.
	 *
	 * LOCK_KEEP, with terms.keep_place_ms and a keep_key: for so long the next ticket of that
	 * account and key gets the rank that this one had, if there is room in the line; the line
	 * goes on without it meanwhile. If there is a place of that key already, the lower rank
	 * stays. At most terms.max_waiting places of an account are kept, and
	 * LOCK_KEPT_PER_SHARE_MAX of a share.
	 */
	void (*give_back)(struct lock_backend *b, struct lock_ticket *t, enum lock_end end);

	/*
	 * From now on these turns and this interval count for the account, as if a ticket with such
	 * terms had joined; more turns are handed out at once.
	 */
	void (*retune)(struct lock_backend *b, const char *account, const struct lock_terms *terms);

	/*
	 * The account's upstream has refused a request that had a turn, for a limit: nobody gets
	 * one meanwhile (hold.h), in no process; of a limit of families of models, nobody whose
	 * request is for one of them. Call it before that turn is given back.
	 */
	void (*hold)(struct lock_backend *b, const char *account, const struct lock_limit *limit);

	/*
	 * Ends that, as a turn with `probe` was answered, whose request was for `families`: the line
	 * goes on, its next turns apart by their delay, however many the account may have at once.
	 */
	void (*release)(struct lock_backend *b, const char *account, unsigned families);

	/*
	 * How many are before a ticket that waits, as far as this process knows without asking: what
	 * LOCK_WAITING said, or newer. 0 if it doesn't wait.
	 */
	int64_t (*position)(struct lock_backend *b, const struct lock_ticket *t);

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

/* Asks the server itself, if it is there: a line for what it has set in a way that is hardly meant. */
void lock_redis_advise(const struct config *config, struct buf *to);

/*
 * "<instance>.<boot>", what all tickets of a backend begin with; another one each time. The caller
 * frees it.
 */
char *lock_owner_new(const char *instance) MUST_USE;

/* A ticket for `t->id`: "<instance>.<boot>:<uuid>", where both backends take theirs from. */
void lock_ticket_name(struct lock_ticket *t, const char *owner);

/*
 * How the line orders this ticket (order.h), by its standing and terms. `*ret` points into the
 * ticket.
 */
void lock_guest(const struct lock_ticket *t, struct order_guest *ret);

/* ops->enter, with what the ticket leaves open (turns, weight, share) filled in. */
void lock_enter(struct lock_backend *b, struct lock_ticket *t);

static inline void lock_give_back(struct lock_backend *b, struct lock_ticket *t, enum lock_end end)
{
	b->ops->give_back(b, t, end);
}

static inline void lock_retune(struct lock_backend *b, const char *account,
			       const struct lock_terms *terms)
{
	b->ops->retune(b, account, terms);
}

static inline void lock_hold(struct lock_backend *b, const char *account,
			     const struct lock_limit *limit)
{
	b->ops->hold(b, account, limit);
}

static inline void lock_release(struct lock_backend *b, const char *account, unsigned families)
{
	b->ops->release(b, account, families);
}

static inline int64_t lock_position(struct lock_backend *b, const struct lock_ticket *t)
{
	return b->ops->position(b, t);
}

static inline bool lock_holds(struct lock_backend *b, struct lock_ticket *t)
{
	return b->ops->holds(b, t);
}
