/*
 * loop.h - the event loop (libuv) and the jobs that run at the end of each of its turns.
 *
 * Callbacks of libraries (MHD, curl, hiredis) only record what happened and ask for a job.
 * Jobs run one after another, none inside a callback or another job, before the loop blocks
 * next: so libraries never nest, and whatever a job frees is in nobody's stack frame.
 *
 *      poll: callbacks ──loop_defer()──> jobs: first in, first out ──> poll …
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/list.h"
#include "base/mem.h"

struct loop {
	uv_loop_t uv;
	uv_prepare_t prepare; /* runs the jobs before the loop blocks */
	uv_idle_t idle;       /* active while jobs are left, so that it doesn't block */
	struct list jobs, last, later;
	int64_t late_us; /* when this turn has had its time; 0: nobody has asked yet */
};

/* How long a turn of the loop should last, from the first event or job that asks. */
enum { LOOP_TURN_US = 3000 };

/* Lives in the object that it works on; zero it, set `run`. The job may free that object. */
struct job {
	struct list link;
	void (*run)(struct job *job);
};

void loop_open(struct loop *loop);

/*
 * Closes the loop's own handles, runs until every handle of others is closed, frees. False: work on
 * the thread pool, which can't be interrupted, isn't done within `limit_ms`. exit() would wait for
 * it, too: there is nothing left but _exit().
 */
bool loop_finish(struct loop *loop, int64_t limit_ms) MUST_USE;

/* The same, however long it takes. */
void loop_close(struct loop *loop);

/* Runs `job` once before the loop blocks next. Asking again before it has run changes nothing. */
void loop_defer(struct loop *loop, struct job *job);

/*
 * The same, but not before all other jobs, and what they ask for: for what others don't wait for.
 * Where these take long, descriptors are looked at in between: the rest runs then, in order.
 */
void loop_defer_last(struct loop *loop, struct job *job);

/*
 * The same, but in the loop's next turn, when its descriptors have been looked at: for long work.
 */
void loop_defer_later(struct loop *loop, struct job *job);

/*
 * Whether this turn has lasted for LOOP_TURN_US. Whoever has more work then, and would be called for
 * it in the next turn as well (a level-triggered descriptor, a job), leaves it for that: others'
 * descriptors come in between. Do a piece before you ask: there is always one that gets on.
 */
bool loop_is_late(struct loop *loop) MUST_USE;

/* Whether it was asked for, and hasn't run yet. */
static inline bool job_is_due(const struct job *job)
{
	return !list_empty(&job->link);
}

/* The job will not run. Call it before the object of a job that may be pending is freed. */
void job_cancel(struct job *job);

/*
 * A uv_timer that may be freed with the object that contains it only after uv_close() has
 * called back is clumsy; this one is heap-allocated behind a handle and closed by timer_clear().
 */
struct timer;
typedef void (*timer_fn)(void *arg);

/* Owned by the caller until timer_clear(), which takes NULL; after that `fn` isn't called. */
struct timer *timer_new(struct loop *loop, timer_fn fn, void *arg);
void timer_clear(struct timer **timer);

/*
 * Calls back once, `in_ms` from now by clock_ms(), never before (less than 0 counts as 0); replaces
 * an earlier start.
 */
void timer_start(struct timer *timer, int64_t in_ms);
void timer_stop(struct timer *timer);
