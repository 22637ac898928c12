/*
 * shadow.h - queue.mode = observe: what the queue would have done, while nothing waits.
 *
 * A shadow stands in line in place of a request that has gone on at once. It comes to its turn when
 * the request would have, and then keeps the turn for as long as the request really had the
 * upstream: so lines build up as they would, and also outlive the requests.
 *
 *      request   |── upstream: d ms ──|
 *      shadow    |── in line: w ms ───────────|── has the turn: d ms ──|
 *
 * The accounts of shadows are "observe:NAME": they wait for each other, over all instances that
 * share a Redis, and never for or in front of real ones. One log line a shadow tells what would
 * have been. What a client would have done instead (its next request comes earlier now) isn't told.
 */
#pragma once

#include <stdint.h>

#include "base/loop.h"
#include "config/accounts.h"
#include "queue/queue.h"

#define SHADOW_ACCOUNT_PREFIX "observe:"

enum shadow_end {
	SHADOW_TURN,      /* it would have had its turn */
	SHADOW_TIMED_OUT, /* it would have been answered 503 queue_timeout */
	SHADOW_FULL,      /* … 503 queue_full */
	SHADOW_UNKNOWN,   /* the backend couldn't tell, it was removed, or we are shutting down */
	SHADOW_ENDS,
};

struct shadow_counters {
	int64_t joined;
	int64_t ends[SHADOW_ENDS];
	int64_t waited;  /* of those that had their turn: had to wait for it */
	int64_t wait_ms; /* of those that had their turn, in sum */
};

/* Of which account this one's shadows are; NULL: it is a real one. */
const char *shadow_account(const char *account);

struct shadows; /* all of a process */
struct shadow;

/* What would have been of one. The texts are valid in the call only. */
struct shadow_report {
	const char *account; /* without the prefix */
	const char *share;
	enum shadow_end end;
	int64_t wait_ms;
};
typedef void (*shadow_ended_fn)(void *arg, const struct shadow_report *report);

/*
 * `queue` and `loop` outlive it. `ended` hears of each shadow once, when it would have come to its turn
 * or would have been refused; NULL: nobody does.
 */
struct shadows *shadows_new(struct loop *loop, struct queue *queue, shadow_ended_fn ended,
			    void *arg) MUST_USE;

/*
 * Joins the line of `account` ("observe:" is put before it) with these terms and that standing.
 * `request_id` is for the log. All are copied. Owned by `s`; the caller gives it up by
 * shadow_release().
 */
struct shadow *shadow_join(struct shadows *s, const char *account,
			   const struct account_terms *terms, const struct lock_standing *standing,
			   const char *request_id) MUST_USE;

/* How many it would have waited for; and for how long: -1 while it does. */
int64_t shadow_position(const struct shadow *shadow);
int64_t shadow_wait_ms(const struct shadow *shadow);

/*
 * The request would give its turn back now; the shadow goes on by itself. `used`: the upstream has
 * seen the request; otherwise the shadow takes no turn. Takes NULL.
 */
void shadow_release(struct shadow **shadow, bool used);

/* "turn", "queue_timeout", "queue_full", "unknown": in logs and metrics. */
const char *shadow_end_name(enum shadow_end end);

const struct shadow_counters *shadows_counters(const struct shadows *s);

/* How many there are now. */
int64_t shadows_present(const struct shadows *s);

/* Shutdown: all places are left. Every request must have released its shadow before. */
void shadows_clear(struct shadows *s);

/* Takes NULL. */
void shadows_free(struct shadows *s);
