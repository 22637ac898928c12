/*
 * test_timeline.c - an account's last minutes, and the word for how it stands.
 */
#include "admin/account.h"
#include "admin/timeline.h"
#include "base/clock.h"
#include "base/mem.h"
#include "check.h"

enum { STEP = TIMELINE_STEP_MS, LAST = TIMELINE_STEPS - 1 };

/* The wall clock of the cases: 2 s into a step. */
static const int64_t now = 1000LL * STEP + 2000;

static struct timeline read_timeline(struct lock_sample *samples, size_t sample_count,
				     struct lock_waiter *waiters, size_t waiter_count)
{
	struct lock_view v = { .samples = samples,
			       .sample_count = sample_count,
			       .waiters = waiters,
			       .waiter_count = waiter_count };
	struct timeline t;

	timeline_read(&v, now, &t);
	return t;
}

static int64_t sum_waiting(const struct timeline *t)
{
	int64_t sum = 0;

	for (int i = 0; i < TIMELINE_STEPS; i++)
		sum += t->steps[i].waiting;
	return sum;
}

static void test_nothing(void)
{
	struct timeline t = read_timeline(NULL, 0, NULL, 0);

	CHECK_INT(t.from_ms % STEP, 0);
	CHECK_INT(t.from_ms, now - 2000 - (int64_t)LAST * STEP);
	CHECK_INT(t.known_from_ms, t.from_ms);
	CHECK_INT(sum_waiting(&t), 0);
	CHECK_INT(t.steps[LAST].turns + t.steps[LAST].left, 0);
	CHECK_INT(t.steps[LAST].p50_ms, -1);
}

/*
 * One waited from 12 s to 4 s ago, held until 1 s ago: so it waited in three steps, and ended in
 * the last.
 */
static void test_one(void)
{
	struct lock_sample s = { .ago_ms = 1000, .wait_ms = 8000, .hold_ms = 3000 };
	struct timeline t = read_timeline(&s, 1, NULL, 0);

	CHECK_INT(t.steps[LAST - 3].waiting, 0);
	CHECK_INT(t.steps[LAST - 2].waiting, 1);
	CHECK_INT(t.steps[LAST - 1].waiting, 1);
	CHECK_INT(t.steps[LAST].waiting, 0);
	CHECK_INT(sum_waiting(&t), 2);
	CHECK_INT(t.steps[LAST].turns, 1);
	CHECK_INT(t.steps[LAST].left, 0);
	CHECK_INT(t.steps[LAST].p50_ms, 8000);
	CHECK_INT(t.steps[LAST].p95_ms, 8000);
}

/* Who waits now, who left without a turn, and who didn't wait at all. */
static void test_others(void)
{
	struct lock_waiter waiters[] = { { .waited_ms = 6500 },
					 { .waited_ms = 0 },
					 { .waited_ms = -1 } };
	struct lock_sample s[] = {
		{ .ago_ms = 500, .wait_ms = 1000, .hold_ms = -1 },
		{ .ago_ms = 500, .wait_ms = 0, .hold_ms = 100 },
	};
	struct timeline t = read_timeline(s, 2, waiters, 3);

	CHECK_INT(t.steps[LAST - 2].waiting, 0);
	CHECK_INT(t.steps[LAST - 1].waiting, 1);
	CHECK_INT(t.steps[LAST].waiting, 3); /* the one that left had gone when two came */
	CHECK_INT(t.steps[LAST].left, 1);
	CHECK_INT(t.steps[LAST].turns, 1);
	CHECK_INT(t.steps[LAST].p95_ms, 0);
}

/* Who goes as another comes doesn't wait beside him. */
static void test_hand_over(void)
{
	struct lock_sample s[] = {
		{ .ago_ms = 1000, .wait_ms = 500, .hold_ms = 0 },
		{ .ago_ms = 500, .wait_ms = 500, .hold_ms = 0 },
	};
	struct timeline t = read_timeline(s, 2, NULL, 0);

	CHECK_INT(t.steps[LAST].waiting, 1);
	CHECK_INT(t.steps[LAST].turns, 2);
}

static void test_percentiles(void)
{
	struct lock_sample s[20];
	struct timeline t;

	for (int i = 0; i < 20; i++)
		s[i] = (struct lock_sample){ .ago_ms = 10, .wait_ms = 1000 - 50 * i, .hold_ms = 5 };
	t = read_timeline(s, 20, NULL, 0);
	CHECK_INT(t.steps[LAST].turns, 20);
	CHECK_INT(t.steps[LAST].p50_ms, 500);
	CHECK_INT(t.steps[LAST].p95_ms, 950);
}

/* As many as are remembered: nothing is known of the time before the first of them. */
static void test_full(void)
{
	struct lock_sample *s = xcalloc(LOCK_SAMPLES_MAX, sizeof *s);
	struct timeline t;

	for (int i = 0; i < LOCK_SAMPLES_MAX; i++)
		s[i] = (struct lock_sample){ .ago_ms = 100 * i, .hold_ms = 1 };
	t = read_timeline(s, LOCK_SAMPLES_MAX, NULL, 0);
	CHECK_INT(t.known_from_ms, now - 100 * (LOCK_SAMPLES_MAX - 1));
	CHECK_INT(t.steps[LAST].turns, 21); /* 0 to 2,000 ms ago */
	CHECK_INT(t.steps[LAST - 1].turns, 50);
	free(s);
}

static void test_states(void)
{
	struct lock_holder running = { { "a" }, .held_known = true, .held_ms = 5, .ttl_raw_ms = 9 };
	struct lock_holder pacing = { { "b" }, .held_known = true, .held_ms = -5, .ttl_raw_ms = 9 };
	struct lock_holder relays = { { "relay" }, .ttl_raw_ms = 9 };
	struct lock_holder orphan = { { "relay" }, .ttl_raw_ms = -1 };
	struct lock_holder two[] = { pacing, running }, both[] = { pacing, pacing };
	struct lock_holder lost[] = { running, orphan };
	const struct {
		struct lock_view v;
		bool stalled;
		enum account_state state;
	} cases[] = {
		{ { 0 }, false, ACCOUNT_FREE },
		{ { .holders = &running, .holder_count = 1 }, false, ACCOUNT_BUSY },
		{ { .holders = &pacing, .holder_count = 1 }, false, ACCOUNT_PACING },
		{ { .holders = &relays, .holder_count = 1 }, false, ACCOUNT_BUSY },
		{ { .holders = &orphan, .holder_count = 1 }, false, ACCOUNT_STUCK },
		{ { .holders = &orphan, .holder_count = 1, .paused_at_ms = 1 },
		  false,
		  ACCOUNT_PAUSED },
		{ { .holders = &running, .holder_count = 1 }, true, ACCOUNT_BUSY },
		{ { .holders = &running, .holder_count = 1, .waiting = 1 }, true, ACCOUNT_STUCK },
		{ { .waiting = 1, .oldest_wait_ms = 100 }, false, ACCOUNT_FREE },
		{ { .waiting = 1, .oldest_wait_ms = 9000 }, false, ACCOUNT_STUCK },
		{ { .holders = two, .holder_count = 2, .turns = 2 }, false, ACCOUNT_BUSY },
		{ { .holders = both, .holder_count = 2, .turns = 2 }, false, ACCOUNT_PACING },
		{ { .holders = lost, .holder_count = 2, .turns = 2 }, false, ACCOUNT_STUCK },
		/* the second turn is free */
		{ { .holders = &running,
		    .holder_count = 1,
		    .turns = 2,
		    .waiting = 1,
		    .oldest_wait_ms = 9000 },
		  false,
		  ACCOUNT_STUCK },
		{ { .holders = &running,
		    .holder_count = 1,
		    .turns = 1,
		    .waiting = 1,
		    .oldest_wait_ms = 9000 },
		  false,
		  ACCOUNT_BUSY },
		/* turns were lowered: more hold than may */
		{ { .holders = two,
		    .holder_count = 2,
		    .turns = 1,
		    .waiting = 1,
		    .oldest_wait_ms = 9000 },
		  false,
		  ACCOUNT_BUSY },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *why;

		CHECK_STR(account_state_name[account_state(&cases[i].v, cases[i].stalled, &why)],
			  account_state_name[cases[i].state]);
		CHECK((why != NULL) == (cases[i].state == ACCOUNT_STUCK));
	}
}

/* As long as there is something to show of it. */
static void test_of_interest(void)
{
	struct lock_view v = { .last_at_ms = clock_wall_ms() - 4 * 60 * 1000 };

	CHECK(account_is_of_interest(&v));
	v.last_at_ms -= 2 * 60 * 1000;
	CHECK(!account_is_of_interest(&v));
	v.waiting = 1;
	CHECK(account_is_of_interest(&v));
}

int main(void)
{
	test_nothing();
	test_one();
	test_others();
	test_hand_over();
	test_percentiles();
	test_full();
	test_states();
	test_of_interest();
	return check_done();
}
