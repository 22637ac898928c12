/*
 * samples.h - an account's latest turns, for percentiles: how long each waited and held, and whose
 * it was.
 *
 * A ring of at most LOCK_SAMPLES_MAX that grows as needed.
 */
#pragma once

#include "queue/query.h"

struct share; /* share.h */

struct sample {
	int64_t at_ms, wait_ms;
	int64_t hold_ms; /* as in struct lock_sample */
	struct share *share;
};

/* Zeroed, it is empty. */
struct samples {
	struct sample *ring;
	size_t cap, at, count; /* at: where the next goes */
};

/* Returns the share of the one that had to go for it; NULL: none had to. */
struct share *samples_add(struct samples *s, const struct sample *sample);

/* Calls `fn` for those from `since_ms` on, the oldest first. */
void samples_each(const struct samples *s, int64_t since_ms,
		  void (*fn)(void *arg, const struct sample *sample), void *arg);

/* May be called twice. */
void samples_clear(struct samples *s);
