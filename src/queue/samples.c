#include "queue/samples.h"

enum { FIRST_CAP = 8 };

/* Only a ring that has never wrapped grows, so what is in it stays where it is. */
static void make_room(struct samples *s)
{
	if (s->count < s->cap || s->cap == LOCK_SAMPLES_MAX)
		return;
	s->at = s->count;
	s->cap = s->cap ? MIN(2 * s->cap, (size_t)LOCK_SAMPLES_MAX) : FIRST_CAP;
	s->ring = xrealloc(s->ring, s->cap * sizeof *s->ring);
}

void samples_add(struct samples *s, int64_t at_ms, int64_t wait_ms, int64_t hold_ms)
{
	make_room(s);
	s->ring[s->at] = (struct sample){ at_ms, wait_ms, hold_ms };
	s->at = (s->at + 1) % s->cap;
	s->count = MIN(s->count + 1, s->cap);
}

void samples_view(const struct samples *s, int64_t now_ms, struct lock_view *view)
{
	view->samples = xcalloc(s->count + 1, sizeof *view->samples);
	for (size_t i = 0; i < s->count; i++) {
		const struct sample *x = &s->ring[i];

		if (now_ms - x->at_ms <= LOCK_RECENT_MS)
			view->samples[view->sample_count++] =
				(struct lock_sample){ now_ms - x->at_ms, x->wait_ms, x->hold_ms };
	}
}

void samples_clear(struct samples *s)
{
	free(s->ring);
	*s = (struct samples){ 0 };
}
