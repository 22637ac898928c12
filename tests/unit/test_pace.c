/* queue/pace.c: medians, and estimates that come true: in a line that is simulated here. */
#include <stdlib.h>

#include "check.h"
#include "config/config.h"
#include "queue/pace.h"

enum { ROUNDS = 400, POSITIONS = 10 };

/* A turn of `account` from 0 to `ms`. */
static void had(struct pace *p, const char *account, int64_t ms)
{
	pace_began(p, account, 0);
	pace_ended(p, account, 0, ms, true);
}

static void test_turn_length(void)
{
	struct pace *p = pace_new();

	CHECK_INT(pace_turn_ms(p, "a"), PACE_FIRST_GUESS_MS);
	had(p, "a", 1000);
	CHECK_INT(pace_turn_ms(p, "a"), 1000);
	CHECK_INT(pace_turn_ms(p, "b"), 1000); /* unknown: as all are */
	had(p, "a", 100000);
	had(p, "a", 3000);
	CHECK_INT(pace_turn_ms(p, "a"), 3000); /* one long turn says little */
	had(p, "a", 2000);
	CHECK_INT(pace_turn_ms(p, "a"), 2500);
	had(p, "b", 7);
	CHECK_INT(pace_turn_ms(p, "b"), 7);
	for (int i = 0; i < PACE_TURNS; i++)
		had(p, "a", 50);
	CHECK_INT(pace_turn_ms(p, "a"), 50); /* the old ones are forgotten */
	pace_began(p, "a", 0);
	pace_ended(p, "a", 0, 9000, false); /* nobody used it */
	CHECK_INT(pace_turn_ms(p, "a"), 50);
	pace_free(p);
}

static void test_accounts_are_bounded(void)
{
	struct pace *p = pace_new();
	char name[32];

	had(p, "first", 1);
	had(p, "second", 2);
	pace_began(p, "third", 0); /* has a turn: stays */
	had(p, "third", 3);
	had(p, "first", 1); /* used again */
	for (int i = 0; i < PACE_ACCOUNTS_MAX - 1; i++) {
		snprintf(name, sizeof name, "a%d", i);
		had(p, name, 100);
	}
	CHECK_INT(pace_turn_ms(p, "first"), 1);
	CHECK_INT(pace_turn_ms(p, "second"), 100);
	CHECK_INT(pace_turn_ms(p, "third"), 3);
	had(p, "one more", 100);
	CHECK_INT(pace_turn_ms(p, "first"), 100);
	pace_ended(p, "third", 0, 3, true);
	pace_free(p);
}

static int64_t estimate(struct pace *p, int64_t before, int64_t turns, int64_t now)
{
	return pace_estimate_ms(
		p, &(struct pace_question){
			   .account = "a", .before = before, .turns = turns, .now_ms = now });
}

static void test_estimate(void)
{
	struct pace *p = pace_new();

	had(p, "a", 1000);
	CHECK_INT(pace_running_since_ms(p, "a"), 0);
	CHECK_INT(pace_running_since_ms(p, "nobody"), 0);
	CHECK_INT(estimate(p, 1, 1, 0), 500); /* somebody else's turn, who knows since when */
	pace_began(p, "a", 10000);
	CHECK_INT(estimate(p, 1, 1, 10000), 1000);
	CHECK_INT(estimate(p, 1, 1, 10900), 125); /* about over */
	CHECK_INT(estimate(p, 1, 1, 99999), 125);
	CHECK_INT(estimate(p, 3, 1, 10400), 2600);
	CHECK_INT(estimate(p, 1000, 1, 10400), 999600);
	pace_began(p, "a", 10200); /* two turns */
	CHECK_INT(pace_running_since_ms(p, "a"), 10000);
	CHECK_INT(estimate(p, 2, 2, 10400), 600);
	CHECK_INT(estimate(p, 3, 2, 10400), 800);
	CHECK_INT(estimate(p, 4, 2, 10400), 1600);
	CHECK_INT(estimate(p, 1002, 2, 10400), 500600);
	CHECK_INT(pace_estimate_ms(p, &(struct pace_question){ .account = "a",
							       .before = 3,
							       .turns = 1,
							       .delay_ms = 200,
							       .now_ms = 11200 }),
		  2725); /* 125, and thrice the delay */
	CHECK_INT(pace_estimate_ms(p, &(struct pace_question){ .account = "a",
							       .before = 1002,
							       .turns = 2,
							       .interval_ms = 3000,
							       .now_ms = 10400 }),
		  600 + 1000 * 3000);
	pace_free(p);
}

/* --- what really happens ---------------------------------------------------------------------- */

/* About 20 s, some thrice as long as others: as models answer. */
static int64_t some_length(void)
{
	return (int64_t)(60 + rand() % 81) * (70 + rand() % 61) * 2;
}

struct line {
	struct pace *pace;
	int64_t began[QUEUE_TURNS_MAX], ends[QUEUE_TURNS_MAX]; /* of each turn */
	int64_t turns, delay_ms, now_ms;
};

/* Whoever's turn ends first hands it on. */
static void hand_on(struct line *l)
{
	int64_t first = 0;

	for (int64_t i = 1; i < l->turns; i++)
		first = l->ends[i] < l->ends[first] ? i : first;
	l->now_ms = l->ends[first];
	pace_ended(l->pace, "a", l->began[first], l->now_ms, true);
	l->now_ms += l->delay_ms;
	l->began[first] = l->now_ms;
	l->ends[first] = l->now_ms + some_length();
	pace_began(l->pace, "a", l->now_ms);
}

/* Over many lines, each looked at some time after somebody's turn has begun. */
static void check_estimates(int64_t turns, int64_t delay_ms)
{
	double estimated[POSITIONS] = { 0 }, really[POSITIONS] = { 0 };
	struct line l = { .pace = pace_new(), .turns = turns, .delay_ms = delay_ms };

	for (int64_t i = 0; i < turns; i++) {
		l.ends[i] = some_length();
		pace_began(l.pace, "a", 0);
	}
	for (int round = 0; round < ROUNDS; round++) {
		int64_t since_ms;

		for (int i = 0; i < 20; i++)
			hand_on(&l);
		since_ms = l.now_ms;
		for (int i = 0; i < POSITIONS; i++)
			estimated[i] += (double)pace_estimate_ms(
				l.pace, &(struct pace_question){ .account = "a",
								 .before = turns + i,
								 .turns = turns,
								 .delay_ms = delay_ms,
								 .now_ms = since_ms });
		for (int i = 0; i < POSITIONS; i++) {
			hand_on(&l);
			really[i] += (double)(l.now_ms - since_ms);
		}
	}
	for (int i = 0; i < POSITIONS; i++) {
		CHECK(estimated[i] > 0.75 * really[i]);
		CHECK(estimated[i] < 1.25 * really[i]);
		if (getenv("VERBOSE"))
			printf("%d turns, position %d: %.0f%%\n", (int)turns, i + 1,
			       100 * estimated[i] / really[i]);
	}
	pace_free(l.pace);
}

static void test_estimates_come_true(void)
{
	srand(1);
	check_estimates(1, 0);
	check_estimates(1, 200);
	check_estimates(2, 200);
	check_estimates(5, 0);
}

int main(void)
{
	test_turn_length();
	test_accounts_are_bounded();
	test_estimate();
	test_estimates_come_true();
	return check_done();
}
