/*
 * test_history.c - hours and days: what is counted where, for how long, and in how much memory.
 */
#include "proxy/history.h"

#include <stdio.h>

#include "check.h"
#include "request/account.h"
#include "request/share.h"

enum { HOUR_MS = 60 * HISTORY_MINUTE_MS };

#define START_MS (1000000LL * HISTORY_QUARTER_MS)

struct seen {
	int64_t cells, first_ms, last_ms;
	struct history_counts all, observed;
	char names[256]; /* of accounts and shares, in order */
};

static void see(void *arg, const struct history_cell *cell)
{
	struct seen *s = arg;

	if (!s->cells++)
		s->first_ms = cell->from_ms;
	s->last_ms = cell->from_ms;
	history_sum(cell->observed ? &s->observed : &s->all, &cell->counts);
	if (strlen(s->names) + strlen(cell->account) + strlen(cell->share) + 3 < sizeof s->names)
		sprintf(s->names + strlen(s->names), "%s/%s ", cell->account, cell->share);
}

static struct seen look(const struct history *h, int64_t step_ms, int64_t from_ms, int64_t to_ms)
{
	struct seen s = { 0 };

	history_each(h, step_ms, from_ms, to_ms, see, &s);
	return s;
}

static void turn(struct history *h, int64_t at_ms, const char *account, const char *share,
		 int64_t wait_ms)
{
	history_add(h, &(struct history_event){ .at_ms = at_ms,
						.account = account,
						.share = share,
						.end = HISTORY_TURN,
						.wait_ms = wait_ms,
						.hold_ms = 1000 });
}

static void test_counts(void)
{
	struct history *h = history_new();
	struct seen s;

	turn(h, START_MS, "a", "x", 100);
	turn(h, START_MS + 1000, "a", "x", 200);
	turn(h, START_MS + 2000, "a", "y", 300);
	history_add(h,
		    &(struct history_event){ START_MS, "a", "x", HISTORY_REFUSED, 50, 0, false });
	history_add(h, &(struct history_event){ START_MS, "a", "x", HISTORY_LEFT, 60, 0, false });
	history_add(h, &(struct history_event){ START_MS, "a", "x", HISTORY_TURN, 70, 5, true });
	turn(h, START_MS + HISTORY_MINUTE_MS, "a", "x", 400);
	s = look(h, HISTORY_MINUTE_MS, 0, INT64_MAX);
	CHECK_INT(s.cells, 4);
	CHECK_STR(s.names, "a/x a/y a/x a/x ");
	CHECK_INT(s.all.turns, 4);
	CHECK_INT(s.all.refused, 1);
	CHECK_INT(s.all.left, 1);
	CHECK_INT(s.all.held_ms, 4000);
	CHECK_INT(s.observed.turns, 1);
	CHECK_INT(s.observed.held_ms, 5);
	s = look(h, HISTORY_QUARTER_MS, 0, INT64_MAX);
	CHECK_INT(s.cells, 3);
	CHECK_INT(s.all.turns, 4);
	s = look(h, HISTORY_MINUTE_MS, START_MS + 1, INT64_MAX);
	CHECK_INT(s.all.turns, 1);
	s = look(h, HISTORY_MINUTE_MS, 0, START_MS + HISTORY_MINUTE_MS);
	CHECK_INT(s.all.turns, 3);
	history_free(h);
}

static void answer(struct history *h, int64_t at_ms, const char *share, enum quota_answer kind,
		   bool holds)
{
	history_answer(h, &(struct history_answer){ at_ms, "a", share, kind, holds });
}

/* Beside turns of the same share, by kind, in the step in which they came. */
static void test_answers(void)
{
	struct history *h = history_new();
	struct seen s;

	turn(h, START_MS, "a", "x", 100);
	answer(h, START_MS, "x", QUOTA_OK, false);
	answer(h, START_MS, "x", QUOTA_THROTTLE, true);
	answer(h, START_MS, "", QUOTA_OK, false);
	answer(h, START_MS + HISTORY_MINUTE_MS, "x", QUOTA_THROTTLE, false);
	answer(h, START_MS + HISTORY_MINUTE_MS, "x", QUOTA_REFUSED, false);
	s = look(h, HISTORY_MINUTE_MS, 0, INT64_MAX);
	CHECK_STR(s.names, "a/x a/ a/x ");
	CHECK_INT(s.all.answers[QUOTA_OK], 2);
	CHECK_INT(s.all.answers[QUOTA_THROTTLE], 2);
	CHECK_INT(s.all.answers[QUOTA_REFUSED], 1);
	CHECK_INT(s.all.answers[QUOTA_QUOTA], 0);
	CHECK_INT(s.all.holds, 1);
	CHECK_INT(s.all.turns, 1);
	CHECK_INT(history_waited(&s.all), 1);
	s = look(h, HISTORY_MINUTE_MS, START_MS + 1, INT64_MAX);
	CHECK_INT(s.all.answers[QUOTA_THROTTLE], 1);
	s = look(h, HISTORY_QUARTER_MS, 0, INT64_MAX);
	CHECK_INT(s.cells, 2);
	CHECK_INT(s.all.answers[QUOTA_THROTTLE], 2);
	history_free(h);
}

/* Minutes go after six hours, quarters after eight days; who did nothing for so long is forgotten. */
static void test_age(void)
{
	struct history *h = history_new();
	size_t bytes = 0;
	struct seen s;

	turn(h, START_MS, "old", "", 1);
	turn(h, START_MS + 1 * HOUR_MS, "a", "", 1);
	turn(h, START_MS + HISTORY_MINUTES_MS - 1, "a", "", 1);
	CHECK_INT(look(h, HISTORY_MINUTE_MS, 0, INT64_MAX).first_ms, START_MS);
	turn(h, START_MS + HISTORY_MINUTES_MS, "a", "", 1);
	s = look(h, HISTORY_MINUTE_MS, 0, INT64_MAX);
	CHECK_INT(s.first_ms, START_MS + 1 * HOUR_MS);
	CHECK_INT(s.cells, 3);
	CHECK_INT(look(h, HISTORY_QUARTER_MS, 0, INT64_MAX).first_ms, START_MS);
	bytes = history_bytes(h);
	turn(h, START_MS + HISTORY_QUARTERS_MS, "a", "", 1);
	CHECK_INT(look(h, HISTORY_QUARTER_MS, 0, INT64_MAX).first_ms, START_MS + 1 * HOUR_MS);
	CHECK(history_bytes(h) < bytes);
	history_free(h);
}

/* Names that clients make up cost no more than there is room for, and the latest ones are kept. */
static void test_room(void)
{
	struct history *h = history_new();
	char name[ACCOUNT_NAME_MAX], share[SHARE_NAME_MAX];
	struct seen s;
	size_t bytes = 0;

	memset(share, 's', sizeof share - 1);
	share[sizeof share - 1] = '\0';

	for (int i = 0; i < HISTORY_QUARTERS_MAX + 1000; i++) {
		snprintf(name, sizeof name, "%0*d", (int)sizeof name - 1, i);
		turn(h, START_MS + i, name, share, 1);
		if (i == HISTORY_QUARTERS_MAX)
			bytes = history_bytes(h);
	}
	s = look(h, HISTORY_QUARTER_MS, 0, INT64_MAX);
	CHECK_INT(s.cells, HISTORY_QUARTERS_MAX);
	CHECK(!strncmp(s.names + sizeof name - 6, "01000/", 6));
	CHECK(history_bytes(h) <= bytes + 10 * 1000);
	CHECK(history_bytes(h) < 36 * 1024 * 1024);
	CHECK_INT(look(h, HISTORY_MINUTE_MS, 0, INT64_MAX).cells, HISTORY_MINUTES_MAX);
	history_free(h);
}

static void test_clock_set_back(void)
{
	struct history *h = history_new();

	turn(h, START_MS + HOUR_MS, "a", "", 1);
	turn(h, START_MS, "a", "", 1);
	turn(h, START_MS + HOUR_MS, "a", "", 1);
	CHECK_INT(look(h, HISTORY_MINUTE_MS, 0, INT64_MAX).all.turns, 3);
	CHECK_INT(look(h, HISTORY_MINUTE_MS, 0, START_MS + 1).all.turns, 1);
	history_free(h);
}

static void test_waits(void)
{
	struct history_counts none = { 0 };

	CHECK_INT(history_wait_ms(&none, 50), -1);
	for (int64_t wait_ms = 20; wait_ms < 20 * HOUR_MS; wait_ms += wait_ms / 3) {
		struct history *h = history_new();
		struct seen s;

		for (int i = 0; i < 100; i++)
			turn(h, START_MS, "a", "", i < 95 ? wait_ms : 23 * HOUR_MS);
		s = look(h, HISTORY_MINUTE_MS, 0, INT64_MAX);
		CHECK(llabs(history_wait_ms(&s.all, 50) - wait_ms) <= wait_ms / 4 + 1);
		CHECK(llabs(history_wait_ms(&s.all, 95) - wait_ms) <= wait_ms / 4 + 1);
		CHECK(history_wait_ms(&s.all, 96) > 17 * HOUR_MS);
		history_free(h);
	}
}

int main(void)
{
	test_counts();
	test_answers();
	test_age();
	test_room();
	test_clock_set_back();
	test_waits();
	return check_done();
}
