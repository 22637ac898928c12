#include "admin/timeline.h"

#include <stdlib.h>
#include <string.h>

#include "admin/account.h"
#include "base/mem.h"
#include "base/percentile.h"

/* One more waits from here on, or one less. */
struct change {
	int64_t at_ms;
	int by;
};

struct changes {
	struct change *list;
	size_t count;
};

static void add_stay(struct changes *c, int64_t joined_ms, int64_t left_ms)
{
	if (left_ms <= joined_ms)
		return;
	c->list[c->count++] = (struct change){ joined_ms, 1 };
	c->list[c->count++] = (struct change){ left_ms, -1 };
}

/* Who leaves in the moment in which another comes doesn't wait beside him. */
static int by_time(const void *a, const void *b)
{
	const struct change *x = a, *y = b;

	if (x->at_ms != y->at_ms)
		return x->at_ms < y->at_ms ? -1 : 1;
	return x->by - y->by;
}

static void collect(const struct lock_view *v, int64_t now_ms, struct changes *c)
{
	c->list = xcalloc(2 * (v->sample_count + v->waiter_count) + 1, sizeof *c->list);
	for (size_t i = 0; i < v->sample_count; i++) {
		const struct lock_sample *s = &v->samples[i];
		int64_t left_ms = now_ms - s->ago_ms - MAX(s->hold_ms, 0);

		add_stay(c, left_ms - s->wait_ms, left_ms);
	}
	for (size_t i = 0; i < v->waiter_count; i++) /* they wait beyond now */
		add_stay(c, now_ms - MAX(v->waiters[i].waited_ms, 0), INT64_MAX);
	qsort(c->list, c->count, sizeof *c->list, by_time);
}

static void read_depth(const struct changes *c, struct timeline *t)
{
	int64_t depth = 0;
	size_t i = 0;

	for (int step = 0; step < TIMELINE_STEPS; step++) {
		int64_t begin_ms = t->from_ms + (int64_t)step * TIMELINE_STEP_MS;

		for (; i < c->count && c->list[i].at_ms <= begin_ms; i++)
			depth += c->list[i].by;
		t->steps[step].waiting = depth;
		for (; i < c->count && c->list[i].at_ms < begin_ms + TIMELINE_STEP_MS; i++) {
			depth += c->list[i].by;
			t->steps[step].waiting = MAX(t->steps[step].waiting, depth);
		}
	}
}

static void read_turns(const struct lock_view *v, int64_t now_ms, int step, struct timeline *t)
{
	CLEANUP(freep) int64_t *waits = xcalloc(v->sample_count + 1, sizeof *waits);
	struct timeline_step *s = &t->steps[step];
	int64_t begin_ms = t->from_ms + (int64_t)step * TIMELINE_STEP_MS;

	for (size_t i = 0; i < v->sample_count; i++) {
		int64_t at_ms = now_ms - v->samples[i].ago_ms;

		if (at_ms < begin_ms || at_ms >= begin_ms + TIMELINE_STEP_MS)
			continue;
		if (v->samples[i].hold_ms < 0)
			s->left++;
		else
			waits[s->turns++] = v->samples[i].wait_ms;
	}
	s->p50_ms = s->turns ? percentile(waits, (size_t)s->turns, 50) : -1;
	s->p95_ms = s->turns ? percentile(waits, (size_t)s->turns, 95) : -1;
}

static int64_t known_from(const struct lock_view *v, int64_t now_ms, int64_t from_ms)
{
	int64_t longest_ago_ms = 0;

	if (v->sample_count < LOCK_SAMPLES_MAX)
		return from_ms;
	for (size_t i = 0; i < v->sample_count; i++)
		longest_ago_ms = MAX(longest_ago_ms, v->samples[i].ago_ms);
	return MAX(now_ms - longest_ago_ms, from_ms);
}

void timeline_read(const struct lock_view *v, int64_t now_ms, struct timeline *ret)
{
	struct changes changes = { 0 };

	memset(ret, 0, sizeof *ret);
	ret->from_ms = now_ms - now_ms % TIMELINE_STEP_MS -
		       (int64_t)(TIMELINE_STEPS - 1) * TIMELINE_STEP_MS;
	ret->known_from_ms = known_from(v, now_ms, ret->from_ms);
	collect(v, now_ms, &changes);
	read_depth(&changes, ret);
	for (int step = 0; step < TIMELINE_STEPS; step++)
		read_turns(v, now_ms, step, ret);
	free(changes.list);
}
