/*
 * samples.h - an account's latest turns, for percentiles: how long each waited and held.
 *
 * A ring of at most LOCK_SAMPLES_MAX that grows as needed. The memory backend's; Redis has a list.
 */
#pragma once

#include "queue/query.h"

/* Zeroed, it is empty. */
struct samples {
	struct sample {
		int64_t at_ms, wait_ms, hold_ms;
	} * ring;
	size_t cap, at, count; /* at: where the next goes */
};

/* `hold_ms` as in struct lock_sample. */
void samples_add(struct samples *s, int64_t at_ms, int64_t wait_ms, int64_t hold_ms);

/* Those of the last LOCK_RECENT_MS before `now_ms`; the caller frees view->samples. */
void samples_view(const struct samples *s, int64_t now_ms, struct lock_view *view);

/* May be called twice. */
void samples_clear(struct samples *s);
