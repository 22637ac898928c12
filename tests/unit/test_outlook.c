/*
 * test_outlook.c - when the turns of those come who wait: from what a backend says of the line, and how
 * often it is asked.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "check.h"
#include "queue/outlook.h"

/* --- from a view ------------------------------------------------------------------------------ */

enum { WAITERS = 10 };

static struct lock_holder holders[4];
static struct lock_waiter waiters[WAITERS];
static struct lock_sample samples[40];
static const struct account_terms terms = { .turns = 1, .delay_ms = 200 };

static struct lock_view view_of(size_t running, int64_t ran_ms, size_t sample_count)
{
	for (size_t i = 0; i < running; i++)
		holders[i] = (struct lock_holder){ .held_known = true, .held_ms = ran_ms };
	return (struct lock_view){
		.turns = 1,
		.holders = holders,
		.holder_count = running,
		.waiters = waiters,
		.waiter_count = WAITERS,
		.waiting = WAITERS,
		.samples = samples,
		.sample_count = sample_count,
	};
}

static void check_estimates(const struct lock_view *v, const struct account_terms *t,
			    int64_t turn_ms, int64_t first_ms, int64_t each_ms)
{
	struct outlook o;

	outlook_of(v, t, turn_ms, &o);
	CHECK_INT((int64_t)o.count, WAITERS);
	for (size_t i = 0; i < o.count; i++)
		CHECK_INT(o.places[i].estimate_ms, first_ms + (int64_t)i * each_ms);
	outlook_clear(&o);
	outlook_clear(&o);
}

static void test_estimates(void)
{
	struct account_terms two = terms;
	struct lock_view v = view_of(1, 4000, 0);

	/* no turns lately: as long as others */
	check_estimates(&v, &terms, 10000, 6200, 10200);
	/* the latest ones count, by their median, not those that nobody used or that are long ago */
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++)
		samples[i] = (struct lock_sample){ .ago_ms = 1000 * (40 - (int64_t)i),
						   .hold_ms = i < 20  ? 90000
							      : i % 2 ? 20000
								      : -1 };
	samples[39].hold_ms = 300000; /* one long turn says little */
	v = view_of(1, 4000, ARRAY_SIZE(samples));
	check_estimates(&v, &terms, 10000, 16200, 20200);
	v = view_of(1, -150, ARRAY_SIZE(samples)); /* its delay isn't over */
	check_estimates(&v, &terms, 10000, 20350, 20200);
	v = view_of(1, 30000, ARRAY_SIZE(samples)); /* longer than usual: an eighth more */
	check_estimates(&v, &terms, 10000, 2700, 20200);
	v = view_of(0, 0, ARRAY_SIZE(samples));
	check_estimates(&v, &terms, 10000, 0, 20200);
	v = view_of(1, 4000, 0);
	v.hold.kind = HOLD_THROTTLE; /* over already: it changes nothing */
	v.hold.left_ms = -5;
	check_estimates(&v, &terms, 10000, 6200, 10200);
	v.hold.left_ms = 60000; /* and then one after another */
	check_estimates(&v, &terms, 10000, 60000, 10200);
	v.paused_at_ms = 1;
	check_estimates(&v, &terms, 10000, -1, 0);

	/* an interval that is longer than a turn */
	two.interval_ms = 30000;
	v = view_of(1, 4000, 0);
	check_estimates(&v, &two, 10000, 26000, 30000);
}

static void test_several_turns(void)
{
	struct lock_view v = view_of(2, 4000, 0);
	struct outlook o;

	v.turns = 2;
	holders[1].held_ms = 9000;
	outlook_of(&v, &(struct account_terms){ .turns = 2 }, 10000, &o);
	CHECK_INT(o.turns, 2);
	CHECK_INT(o.running, 2);
	CHECK_INT(o.places[0].estimate_ms, 1250);
	CHECK_INT(o.places[1].estimate_ms, 6000);
	CHECK_INT(o.places[2].estimate_ms, 11250);
	CHECK_INT(o.places[3].estimate_ms, 16000);
	outlook_clear(&o);
	/* more than there may be, as that was lowered; and one of whom nothing is known */
	v = view_of(3, 4000, 0);
	holders[0].held_known = false;
	outlook_of(&v, &terms, 10000, &o);
	CHECK_INT(o.places[0].estimate_ms, 5200);
	outlook_clear(&o);
}

/* --- asking ----------------------------------------------------------------------------------- */

static struct loop loop;
static struct config config;
static struct queue *queue;
static struct outlooks *outlooks;

struct question {
	struct outlook_query query;
	bool answered;
	int64_t waiting, age_ms; /* waiting: -1: not told */
	int error;
};

static void on_answered(struct outlook_query *q, const struct outlook *o, int64_t age_ms, int error)
{
	struct question *to = container_of(q, struct question, query);

	CHECK(!to->answered);
	to->answered = true;
	to->waiting = o ? o->waiting : -1;
	to->age_ms = age_ms;
	to->error = error;
}

static void ask(struct question *q, const char *account)
{
	*q = (struct question){ .query = { .account = account, .answered = on_answered } };
	outlooks_ask(outlooks, &q->query);
	CHECK(!q->answered);
}

static void on_changed(void *x)
{
	++*(int *)x;
}

static void join(struct queue_place *p, int *told)
{
	struct account_terms t;

	*p = (struct queue_place){ .changed = on_changed, .x = told };
	account_terms_of(&config, "a", &t);
	queue_join(queue, p, "a", &t);
}

static void test_asking(void)
{
	struct queue_place places[3];
	struct question first, second, third, left;
	int told = 0;

	for (int i = 0; i < 3; i++)
		join(&places[i], &told);
	CHECK(RUN_UNTIL(&loop, places[0].state == PLACE_TURN, 2000));
	ask(&first, "a");
	ask(&second, "a"); /* hears the same */
	ask(&left, "a");
	outlooks_cancel(&left.query);
	outlooks_cancel(&left.query);
	CHECK(RUN_UNTIL(&loop, first.answered && second.answered, 2000));
	CHECK_INT(first.waiting, 2);
	CHECK_INT(second.waiting, 2);
	CHECK(!left.answered);
	queue_leave(&places[2], LOCK_UNUSED);
	ask(&third, "a"); /* so soon nobody is asked again */
	CHECK(RUN_UNTIL(&loop, third.answered, 2000));
	CHECK_INT(third.waiting, third.age_ms < OUTLOOK_FRESH_MS ? 2 : 1);
	RUN_FOR(&loop, OUTLOOK_FRESH_MS);
	ask(&third, "a");
	CHECK(RUN_UNTIL(&loop, third.answered, 2000));
	CHECK_INT(third.waiting, 1);
	CHECK(third.age_ms < OUTLOOK_FRESH_MS);
	for (int i = 0; i < 2; i++)
		queue_leave(&places[i], LOCK_UNUSED);
}

/* Whoever makes accounts up gets no more questions to the backend than that. */
static void test_bound(void)
{
	static struct question questions[OUTLOOK_ACCOUNTS_MAX + 20];
	static char names[ARRAY_SIZE(questions)][16];
	int busy = 0, known = 0;
	int64_t start;

	RUN_FOR(&loop, 1000);
	start = clock_ms();
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		snprintf(names[i], sizeof names[i], "made-up-%zu", i);
		ask(&questions[i], names[i]);
	}
	CHECK(RUN_UNTIL(&loop,
			questions[ARRAY_SIZE(questions) - 1].answered && questions[0].answered,
			2000));
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		busy += questions[i].error == -EBUSY && questions[i].waiting == -1;
		known += questions[i].waiting == 0;
	}
	CHECK_INT(busy + known, (int64_t)ARRAY_SIZE(questions));
	CHECK(busy == 20 || clock_ms() - start >= 1000);
}

int main(void)
{
	CLEANUP(buf_clear) struct buf errors = { 0 };
	int stopped = 0;

	test_estimates();
	test_several_turns();
	config.redis.url = (char *)"";
	config.redis.instance = (char *)"one";
	config.queue.timeout_ms = config.queue.lock_ttl_ms = config.queue.max_hold_ms = 60000;
	config.queue.max_waiting = 100;
	config.queue.turns = 1;
	loop_open(&loop);
	CHECK_INT(queue_new(&loop, &config, &errors, &queue), 0);
	outlooks = outlooks_new(&loop, &config, queue);
	test_asking();
	test_bound();
	outlooks_free(outlooks);
	outlooks_free(NULL);
	queue_stop(queue, 1000, on_changed, &stopped);
	CHECK(RUN_UNTIL(&loop, stopped == 1, 2000));
	queue_free(queue);
	loop_close(&loop);
	return check_done();
}
