/*
 * timeline.h - the last minutes of an account, in steps. Pure functions.
 *
 * Nothing is kept for it but what the backend has anyway: who left the account's line lately, when,
 * and how long each waited and held (LOCK_SAMPLES_MAX, for LOCK_RECENT_MS; of the whole fleet with
 * Redis). From that, and from those who wait now, follows how many waited at any time.
 */
#pragma once

#include "queue/query.h"

enum {
	TIMELINE_STEP_MS = 5000,
	TIMELINE_STEPS = LOCK_RECENT_MS / TIMELINE_STEP_MS + 1, /* the last one isn't over */
};

struct timeline_step {
	int64_t waiting;        /* the most at the same time, the delay before a turn included */
	int64_t turns, left;    /* turns that ended; who left the line without one */
	int64_t p50_ms, p95_ms; /* of the waits before these turns; -1: none */
};

struct timeline {
	int64_t from_ms; /* where the first step begins, a multiple of the step */
	/* Nothing from before is known: all LOCK_SAMPLES_MAX are of later. from_ms: all is. */
	int64_t known_from_ms;
	struct timeline_step steps[TIMELINE_STEPS];
};

/* `now_ms` is the wall clock; `v` has samples and waiters. */
void timeline_read(const struct lock_view *v, int64_t now_ms, struct timeline *ret);
