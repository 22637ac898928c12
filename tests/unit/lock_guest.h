/*
 * lock_guest.h - tickets that write down what they are told, for the tests of the lock.
 */
#pragma once

#include "check.h"
#include "queue/lock.h"

struct guest {
	struct lock_ticket t;
	struct lock_backend *b;
	int waiting, granted, lost, failed, full, held;
	bool probe;
	char refusal[64];
	int64_t held_ms;
	bool inside; /* a call into the backend is under way: no event may come */
	int64_t position, delay_ms, granted_at_ms;
	double rank;
	int64_t place; /* how many were granted before */
};

static int64_t grants; /* over all guests */

static inline void guest_hears(struct lock_ticket *t, const struct lock_news *news)
{
	struct guest *g = container_of(t, struct guest, t);

	CHECK(!g->inside);
	switch (news->event) {
	case LOCK_WAITING:
		g->waiting++;
		g->position = news->position;
		g->rank = news->rank;
		break;
	case LOCK_GRANTED:
		g->granted++;
		g->delay_ms = news->delay_ms;
		g->probe = news->probe;
		g->granted_at_ms = clock_ms();
		g->place = grants++;
		break;
	case LOCK_FULL:
		g->full++;
		break;
	case LOCK_LOST:
		g->lost++;
		break;
	case LOCK_HELD:
		g->held++;
		g->held_ms = news->held_ms;
		snprintf(g->refusal, sizeof g->refusal, "%s", news->refusal);
		break;
	case LOCK_FAILED:
		g->failed++;
		break;
	default:
		CHECK(!"an event that these tests expect");
	}
}

static inline void guest_enter(struct guest *g, struct lock_backend *b, const char *account)
{
	static const struct lock_terms usual = {
		.delay_ms = 0, .ttl_ms = 3000, .max_hold_ms = 60000, .max_waiting = 1000
	};

	if (!g->t.terms.ttl_ms)
		g->t.terms = usual;
	snprintf(g->t.account, sizeof g->t.account, "%s", account);
	g->t.on_event = guest_hears;
	g->b = b;
	g->waiting = g->granted = g->lost = g->failed = g->full = 0;
	g->inside = true;
	lock_enter(b, &g->t);
	g->inside = false;
}

static inline void guest_end(struct guest *g, enum lock_end end)
{
	g->inside = true;
	lock_give_back(g->b, &g->t, end);
	g->inside = false;
}

static inline void guest_leave(struct guest *g, bool used)
{
	guest_end(g, used ? LOCK_USED : LOCK_UNUSED);
}

static inline void guest_is_done(void *arg)
{
	*(bool *)arg = true;
}

/* Stops and frees; CHECKs that it doesn't take longer than the limit. */
static inline void guest_stop(struct loop *loop, struct lock_backend *b)
{
	bool done = false;

	b->ops->stop(b, 2000, guest_is_done, &done);
	CHECK(!done);
	CHECK(RUN_UNTIL(loop, done, 3500));
	b->ops->free(b);
}
