#include "queue/memory/samples.h"

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

struct share *samples_add(struct samples *s, const struct sample *sample)
{
	struct share *gone;

	make_room(s);
	gone = s->count == s->cap ? s->ring[s->at].share : NULL;
	s->ring[s->at] = *sample;
	s->at = (s->at + 1) % s->cap;
	s->count = MIN(s->count + 1, s->cap);
	return gone;
}

void samples_each(const struct samples *s, int64_t since_ms,
		  void (*fn)(void *arg, const struct sample *sample), void *arg)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct sample *x = &s->ring[(s->at + s->cap - s->count + i) % s->cap];

		if (x->at_ms >= since_ms)
			fn(arg, x);
	}
}

void samples_clear(struct samples *s)
{
	free(s->ring);
	*s = (struct samples){ 0 };
}
