/*
 * queue.h - whose turn is it? What the proxy knows of waiting.
 *
 *      queue_join ──> WAITING ──> PACING ──> TURN          changed() after each step, on the loop,
 *                        │           │          └─> LOST    never from within a call
 *                        └───────────┴─> TIMED_OUT, FULL, FAILED, PASS
 *
 * The backends (lock.h) know order and holders; here are the timeout, the pacing, and what happens
 * when the backend can't be asked.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "config/accounts.h"
#include "config/config.h"
#include "queue/lock.h"
#include "queue/query.h"

struct queue;

enum place_state {
	PLACE_NONE,      /* not joined, or left */
	PLACE_WAITING,   /* asked for, or in line */
	PLACE_PACING,    /* has the turn; the delay after the last completion isn't over */
	PLACE_TURN,      /* has the turn: go */
	PLACE_LOST,      /* had the turn; the lease is over, somebody else may have it */
	PLACE_TIMED_OUT, /* terms.timeout_ms are over; place or turn is given back */
	PLACE_FULL,      /* terms.max_waiting (or _per_share) wait already; also when its place was
			* lost meanwhile */
	PLACE_REMOVED,   /* an operator took it out of the line */
	PLACE_HELD,      /* the account is limited for longer than it would wait; see `refusal` */
	PLACE_FAILED,    /* the backend can't be asked, and the policy is to refuse */
	PLACE_PASS,      /* the backend can't be asked, and the policy is to pass ungated */
};

/* Zero it, set the first group; the rest is the queue's to write and anybody's to read. */
struct queue_place {
	void (*changed)(void *x);
	void *x;
	const char *client;            /* its address, for operators; NULL: not known; must stay */
	struct lock_standing standing; /* its share, and how it stands in the account's line */
	const char *configured_as;     /* the account whose terms count; NULL: its own; must stay */

	struct account_terms terms; /* as it joined with */
	enum place_state state;
	int64_t position;  /* how many were before it, when it joined; 0: it has no place */
	double rank;       /* of its place in the line, see order.h; 0 where it never waited */
	int64_t before;    /* how many are before it, or were when it left the line */
	bool kept;         /* it is left, and whoever sends the request again gets its rank */
	bool full;         /* there was no room for it */
	int64_t joined_ms; /* clock_ms(); 0 while it never joined */
	int64_t turn_ms;   /* when it came to PLACE_TURN; 0 before */
	bool probe; /* its turn asks whether the account's limit is over: see queue_release() */
	int64_t held_until_ms; /* of PLACE_HELD: clock_ms() */
	char *refusal; /* of PLACE_HELD: what the upstream said, or NULL; freed by queue_leave() */
	struct lock_ticket ticket;
	struct lock_backend *backend; /* where it is entered; NULL: nowhere */
	struct queue *queue;
	struct list link;    /* in queue->places, from joining to leaving */
	struct timer *timer; /* of the deadline, or of the delay if that ends first */
	struct job tell;
};

/*
 * What queue_new() would say of `config`, without opening anything: 0, or -EINVAL and a line in
 * `errors`.
 */
int queue_check(const struct config *config, struct buf *errors) MUST_USE;

/*
 * Appends a line for each thing that a Redis which can be asked has set in a way that is hardly meant.
 * Blocks while it asks, for redis.command_timeout_ms. Of a `config` that queue_check() found nothing in.
 */
void queue_advise(const struct config *config, struct buf *to);

/*
 * Opens the backend that redis.url asks for. 0, or -EINVAL and a line in `errors`. `config` is
 * read with each join (reload) and outlives the queue.
 */
int queue_new(struct loop *loop, const struct config *config, struct buf *errors,
	      struct queue **ret) MUST_USE;

/* Joins `account`'s line, on these terms (copied; `enabled` isn't looked at). */
void queue_join(struct queue *q, struct queue_place *p, const char *account,
		const struct account_terms *terms);

/*
 * Gives back place or turn, whatever there is; idempotent, and fine for a place that never joined.
 * `end` says whether the turn was used, and if not, whether its place is kept for a while: for
 * whoever will send the request again. No changed() comes any more.
 */
void queue_leave(struct queue_place *p, enum lock_end end);

/*
 * The configuration is another one, or what was set at run time: what counts for an account that
 * somebody waits for counts at once (turns, interval).
 */
void queue_reconfigured(struct queue *q);

/*
 * The upstream has refused this place's request, which has its turn, for a limit of the account:
 * nobody is sent meanwhile (lock.h). Before queue_leave(). If the place stays, its request will be
 * sent again, and asks whether the limit is over.
 */
void queue_hold(struct queue_place *p, const struct lock_limit *limit);

/*
 * Whether a place in PLACE_TURN still has its turn, as far as this process can know without asking. If
 * not, PLACE_LOST follows. For whoever begins something with a turn that was given long ago.
 */
bool queue_holds(const struct queue_place *p);

/* The upstream has answered this place's request: a limit that it was to ask about is over. */
void queue_release(struct queue_place *p);

/*
 * How long it takes, by the account's recent turns, until the turn begins of a place that waits, or
 * would have begun of one that has left the line without one. 0: nobody is before it.
 */
int64_t queue_estimate_ms(const struct queue_place *p);

/* How long one of the account's turns takes, by those that this process has seen. */
int64_t queue_turn_ms(const struct queue *q, const char *account);

/*
 * For how long the account's turn has been running that began first, as far as this process knows;
 * -1: it knows of none. For a place that has joined, or has left.
 */
int64_t queue_running_ms(const struct queue_place *p);

/*
 * When a client that isn't served now should come again, for Retry-After: at once if its place is
 * kept, when there is room if the line was full, and else when its turn would have been. A NULL
 * place: after a turn of any account. 1 to 60 seconds.
 */
int queue_retry_after_s(const struct queue *q, const struct queue_place *p);

void queue_stats(const struct queue *q, struct lock_stats *ret);
const char *queue_backend_name(const struct queue *q);

/* See watch_settings in lock.h. */
void queue_watch_settings(struct queue *q, lock_settings_fn fn, void *arg);

/* For an operator's questions (ask.h). */
struct lock_backend *queue_backend(const struct queue *q);

/*
 * Tells other processes that all turns of this one are free, within `limit_ms`; then `done`, once,
 * not from within the call. Every place must have been left before.
 */
void queue_stop(struct queue *q, int64_t limit_ms, void (*done)(void *arg), void *arg);

/* After queue_stop(), or if nothing ever joined. Takes NULL. */
void queue_free(struct queue *q);
