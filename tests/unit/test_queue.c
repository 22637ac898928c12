/* queue/queue.c on the memory backend: timeout, pacing, order, max_waiting, retry-after. */
#include "base/buf.h"
#include "check.h"
#include "queue/queue.h"

enum { PLACES = 8 };

struct fixture {
	struct loop loop;
	struct config config;
	struct queue *queue;
	struct queue_place places[PLACES];
	int told; /* how often changed() was called */
};

static void on_changed(void *x)
{
	++*(int *)x;
}

static void open_fixture(struct fixture *f)
{
	CLEANUP(buf_clear) struct buf errors = { 0 };

	*f = (struct fixture){ 0 };
	f->config.redis.url = (char *)"";
	f->config.redis.instance = (char *)"one";
	f->config.queue.timeout_ms = LONG_MS;
	f->config.queue.lock_ttl_ms = LONG_MS;
	f->config.queue.max_hold_ms = LONG_MS;
	f->config.queue.max_waiting = 100;
	f->config.queue.turns = 1;
	f->config.queue.keep_place_ms = LONG_MS;
	loop_open(&f->loop);
	CHECK_INT(queue_new(&f->loop, &f->config, &errors, &f->queue), 0);
	for (int i = 0; i < PLACES; i++) {
		f->places[i].changed = on_changed;
		f->places[i].x = &f->told;
	}
}

/* On the terms that the configuration has now. */
static void join(struct fixture *f, struct queue_place *p, const char *account)
{
	struct account_terms terms;

	account_terms_of(&f->config, account, &terms);
	queue_join(f->queue, p, account, &terms);
}

static void close_fixture(struct fixture *f)
{
	int stopped = 0;

	for (int i = 0; i < PLACES; i++)
		queue_leave(&f->places[i], LOCK_UNUSED);
	queue_stop(f->queue, 1000, on_changed, &stopped);
	CHECK(RUN_UNTIL(&f->loop, stopped == 1, 2000));
	queue_free(f->queue);
	loop_close(&f->loop);
}

#define REACHES(f, i, wanted) RUN_UNTIL(&(f)->loop, (f)->places[i].state == (wanted), 3000)

static void test_turns(void)
{
	struct fixture f;

	open_fixture(&f);
	for (int i = 0; i < 3; i++) {
		join(&f, &f.places[i], "a");
		CHECK_INT(f.places[i].state, PLACE_WAITING);
	}
	CHECK_INT(f.told, 0); /* never from within the call */
	join(&f, &f.places[3], "b");
	CHECK(REACHES(&f, 0, PLACE_TURN));
	CHECK(REACHES(&f, 3, PLACE_TURN)); /* another account doesn't wait */
	CHECK_INT(f.places[1].state, PLACE_WAITING);
	CHECK_INT(f.places[2].position, 2);
	queue_leave(&f.places[1], LOCK_UNUSED); /* from the middle */
	queue_leave(&f.places[1], LOCK_UNUSED);
	queue_leave(&f.places[0], LOCK_USED);
	CHECK(REACHES(&f, 2, PLACE_TURN));
	close_fixture(&f);
}

static void test_pacing(void)
{
	struct fixture f;
	int64_t start;

	open_fixture(&f);
	f.config.queue.delay_ms = 150;
	join(&f, &f.places[0], "a");
	CHECK(REACHES(&f, 0, PLACE_TURN)); /* nobody was before: no delay */
	join(&f, &f.places[1], "a");
	start = clock_ms();
	queue_leave(&f.places[0], LOCK_USED);
	CHECK(REACHES(&f, 1, PLACE_PACING));
	CHECK(REACHES(&f, 1, PLACE_TURN));
	CHECK(clock_ms() - start >= 149);
	/*
	 * an unused turn doesn't start the delay, which is long, so that nobody takes lateness for
	 * it
	 */
	f.config.queue.delay_ms = 2500;
	join(&f, &f.places[2], "b");
	CHECK(REACHES(&f, 2, PLACE_TURN));
	join(&f, &f.places[3], "b");
	queue_leave(&f.places[2], LOCK_UNUSED);
	start = clock_ms();
	CHECK(REACHES(&f, 3, PLACE_TURN));
	CHECK(clock_ms() - start < 2400);
	close_fixture(&f);
}

static void test_timeout(void)
{
	struct fixture f;

	open_fixture(&f);
	f.config.queue.timeout_ms = 100;
	join(&f, &f.places[0], "a");
	join(&f, &f.places[1], "a");
	join(&f, &f.places[2], "a");
	CHECK(REACHES(&f, 1, PLACE_TIMED_OUT));
	CHECK(REACHES(&f, 2, PLACE_TIMED_OUT));
	CHECK_INT(f.places[0].state, PLACE_TURN); /* counts for waiting only */
	/* the places are free: the next is served right behind the holder */
	join(&f, &f.places[3], "a");
	queue_leave(&f.places[0], LOCK_USED);
	CHECK(REACHES(&f, 3, PLACE_TURN));
	close_fixture(&f);
}

/* A delay that would end after the deadline: the waiter ends at its deadline, the turn is free. */
static void test_deadline_while_pacing(void)
{
	struct fixture f;
	int64_t start;

	open_fixture(&f);
	f.config.queue.delay_ms = 5000;
	f.config.queue.timeout_ms = 120;
	join(&f, &f.places[0], "a");
	CHECK(REACHES(&f, 0, PLACE_TURN));
	queue_leave(&f.places[0], LOCK_USED);
	start = clock_ms();
	join(&f, &f.places[1], "a");
	CHECK(REACHES(&f, 1, PLACE_PACING));
	CHECK(REACHES(&f, 1, PLACE_TIMED_OUT));
	CHECK(clock_ms() - start >= 119 && clock_ms() - start < scaled_ms(2000));
	close_fixture(&f);
}

static void test_full(void)
{
	struct fixture f;

	open_fixture(&f);
	f.config.queue.max_waiting = 2;
	for (int i = 0; i < 4; i++)
		join(&f, &f.places[i], "a");
	CHECK(REACHES(&f, 3, PLACE_FULL));
	CHECK_INT(f.places[2].state, PLACE_WAITING);
	join(&f, &f.places[4], "b");
	CHECK(REACHES(&f, 4, PLACE_TURN));
	close_fixture(&f);
}

static void test_lost(void)
{
	struct fixture f;

	open_fixture(&f);
	f.config.queue.max_hold_ms = 100;
	join(&f, &f.places[0], "a");
	join(&f, &f.places[1], "a");
	CHECK(REACHES(&f, 0, PLACE_TURN));
	CHECK(REACHES(&f, 0, PLACE_LOST));
	CHECK(REACHES(&f, 1, PLACE_TURN));
	queue_leave(&f.places[0], LOCK_USED); /* doesn't touch the turn of the next */
	join(&f, &f.places[2], "a");
	RUN_FOR(&f.loop, 30);
	CHECK(f.places[2].state != PLACE_TURN);
	close_fixture(&f);
}

struct losing {
	struct job job;
	struct queue_place *place;
};

/* Runs behind the grant, and before the owner of the place is told. */
static void lose(struct job *job)
{
	struct losing *l = container_of(job, struct losing, job);

	CHECK_INT(l->place->state, PLACE_TURN);
	l->place->ticket.on_event(&l->place->ticket, &(struct lock_news){ LOCK_LOST });
	CHECK_INT(l->place->state, PLACE_WAITING);
}

/* Lost in the moment in which it began: nobody has used it, so it is another turn that begins. */
static void test_lost_unused(void)
{
	struct fixture f;
	struct losing l = { { .run = lose }, &f.places[0] };

	open_fixture(&f);
	join(&f, &f.places[0], "a");
	loop_defer(&f.loop, &l.job);
	CHECK(REACHES(&f, 0, PLACE_TURN));
	queue_leave(&f.places[0], LOCK_USED);
	close_fixture(&f);
}

static void stand(struct queue_place *p, const char *share, const char *keep_key)
{
	snprintf(p->standing.share, sizeof p->standing.share, "%s", share);
	snprintf(p->standing.keep_key, sizeof p->standing.keep_key, "%s", keep_key);
}

static void test_shares(void)
{
	struct fixture f;

	open_fixture(&f);
	for (int i = 0; i < 5; i++) {
		stand(&f.places[i], i == 4 ? "person" : "script", "");
		join(&f, &f.places[i], "a");
	}
	CHECK(REACHES(&f, 0, PLACE_TURN));
	CHECK(RUN_UNTIL(&f.loop, f.places[4].position == 2, 3000));
	queue_leave(&f.places[0], LOCK_USED);
	CHECK(REACHES(&f, 1, PLACE_TURN));
	queue_leave(&f.places[1], LOCK_USED);
	CHECK(REACHES(&f, 4, PLACE_TURN));
	close_fixture(&f);
}

/* As the configuration says, or the account's section; also while they wait. */
static void test_turns_at_once(void)
{
	struct fixture f;

	open_fixture(&f);
	f.config.queue.turns = 2;
	for (int i = 0; i < 6; i++)
		join(&f, &f.places[i], "a");
	CHECK(REACHES(&f, 0, PLACE_TURN));
	CHECK(REACHES(&f, 1, PLACE_TURN));
	RUN_FOR(&f.loop, 30);
	CHECK(f.places[2].state != PLACE_TURN);
	queue_reconfigured(f.queue);
	RUN_FOR(&f.loop, 30);
	CHECK(f.places[2].state != PLACE_TURN);
	f.config.queue.turns = 4;
	queue_reconfigured(f.queue);
	CHECK(REACHES(&f, 2, PLACE_TURN));
	CHECK(REACHES(&f, 3, PLACE_TURN));
	RUN_FOR(&f.loop, 30);
	CHECK(f.places[4].state != PLACE_TURN);
	close_fixture(&f);
}

static void test_interval(void)
{
	struct fixture f;
	int64_t start;

	open_fixture(&f);
	f.config.queue.turns = 2;
	f.config.queue.interval_ms = 150;
	start = clock_ms();
	join(&f, &f.places[0], "a");
	join(&f, &f.places[1], "a");
	CHECK(REACHES(&f, 0, PLACE_TURN));
	CHECK(REACHES(&f, 1, PLACE_PACING));
	CHECK(REACHES(&f, 1, PLACE_TURN));
	CHECK(clock_ms() - start >= 149);
	close_fixture(&f);
}

/* Whoever was refused by its timeout, or left before its turn, is where it was. */
static void test_kept_place(void)
{
	struct fixture f;
	double rank;

	open_fixture(&f);
	f.config.queue.timeout_ms = 100;
	stand(&f.places[1], "", "k1");
	stand(&f.places[2], "", "k2");
	stand(&f.places[3], "", "k1");
	stand(&f.places[4], "", "k2");
	for (int i = 0; i < 2; i++)
		join(&f, &f.places[i], "a");
	f.config.queue.timeout_ms = LONG_MS;
	join(&f, &f.places[2], "a");
	CHECK(RUN_UNTIL(&f.loop, f.places[2].position == 2, 3000));
	rank = f.places[1].rank;
	CHECK(rank > 0 && rank < f.places[2].rank);
	CHECK(REACHES(&f, 1, PLACE_TIMED_OUT));
	queue_leave(&f.places[1], LOCK_KEEP);
	CHECK(f.places[1].kept);
	CHECK_INT(f.places[1].before, 1);
	CHECK_INT(queue_retry_after_s(f.queue, &f.places[1]), 1);
	rank = f.places[2].rank;
	queue_leave(&f.places[2], LOCK_KEEP);
	join(&f, &f.places[4], "a");
	join(&f, &f.places[3], "a");
	CHECK(RUN_UNTIL(&f.loop, f.places[3].position && f.places[4].position, 3000));
	CHECK(f.places[3].rank == f.places[1].rank && f.places[4].rank == rank);
	queue_leave(&f.places[0], LOCK_USED);
	CHECK(REACHES(&f, 3, PLACE_TURN));
	close_fixture(&f);
}

/* Without a key, with keep_place_ms = 0, or where it was of use, no place is kept. */
static void test_nothing_to_keep(void)
{
	struct fixture f;

	open_fixture(&f);
	stand(&f.places[1], "", "k1");
	for (int i = 0; i < 3; i++)
		join(&f, &f.places[i], "a");
	CHECK(REACHES(&f, 0, PLACE_TURN));
	CHECK(RUN_UNTIL(&f.loop, f.places[2].position, 3000));
	queue_leave(&f.places[1], LOCK_UNUSED);
	queue_leave(&f.places[2], LOCK_KEEP);
	CHECK(!f.places[1].kept && !f.places[2].kept);
	f.config.queue.keep_place_ms = 0;
	stand(&f.places[3], "", "k3");
	join(&f, &f.places[3], "a");
	CHECK(RUN_UNTIL(&f.loop, f.places[3].position, 3000));
	queue_leave(&f.places[3], LOCK_KEEP);
	CHECK(!f.places[3].kept);
	CHECK(queue_retry_after_s(f.queue, &f.places[3]) > 1);
	close_fixture(&f);
}

/* Some of it may be over, as the machine is slow. */
static bool is_about(int64_t got, int64_t wanted)
{
	return got > wanted * 2 / 3 && got <= wanted;
}

/* By the first guess, 5 s a turn; and by turns as they were, once there have been some. */
static void test_retry_after(void)
{
	struct fixture f;

	open_fixture(&f);
	CHECK_INT(queue_retry_after_s(f.queue, NULL), 5);
	f.config.queue.max_waiting = 3;
	for (int i = 0; i < 5; i++)
		join(&f, &f.places[i], "a");
	CHECK(REACHES(&f, 0, PLACE_TURN));
	CHECK(REACHES(&f, 4, PLACE_FULL));
	CHECK(is_about(queue_retry_after_s(f.queue, &f.places[3]), 15)); /* three turns */
	CHECK(is_about(queue_estimate_ms(&f.places[2]), 10000));
	queue_leave(&f.places[4], LOCK_UNUSED);
	CHECK_INT(queue_retry_after_s(f.queue, &f.places[4]), 5); /* whoever is next makes room */
	queue_leave(&f.places[3], LOCK_UNUSED);                   /* it is told after it has left */
	CHECK_INT(queue_retry_after_s(f.queue, &f.places[3]), 15);
	queue_leave(&f.places[0], LOCK_USED);
	CHECK(REACHES(&f, 1, PLACE_TURN));
	CHECK(queue_estimate_ms(&f.places[2]) < 4000);
	CHECK_INT(queue_estimate_ms(&f.places[1]), 0);
	CHECK(queue_retry_after_s(f.queue, NULL) < 5);
	close_fixture(&f);
}

/* Never more than a minute, as clients don't come back after longer ones. */
static void test_retry_after_is_bounded(void)
{
	struct fixture f;

	open_fixture(&f);
	f.config.queue.delay_ms = 10000;
	for (int i = 0; i < PLACES; i++)
		join(&f, &f.places[i], "a");
	CHECK(RUN_UNTIL(&f.loop, f.places[PLACES - 1].position == PLACES - 1, 3000));
	CHECK(queue_estimate_ms(&f.places[PLACES - 1]) > 100000);
	CHECK_INT(queue_retry_after_s(f.queue, &f.places[PLACES - 1]), 60);
	close_fixture(&f);
}

/* Who has left hears nothing, whatever was on its way. */
static void test_silence(void)
{
	struct fixture f;

	open_fixture(&f);
	join(&f, &f.places[0], "a");
	queue_leave(&f.places[0], LOCK_UNUSED);
	join(&f, &f.places[1], "a");
	CHECK(REACHES(&f, 1, PLACE_TURN));
	CHECK(RUN_UNTIL(&f.loop, f.told == 1, 1000));
	join(&f, &f.places[2], "a");
	queue_leave(&f.places[1], LOCK_USED);
	queue_leave(&f.places[2], LOCK_UNUSED); /* granted, but not yet told */
	RUN_FOR(&f.loop, 30);
	CHECK_INT(f.told, 1);
	close_fixture(&f);
}

int main(void)
{
	test_turns();
	test_pacing();
	test_timeout();
	test_deadline_while_pacing();
	test_full();
	test_lost();
	test_lost_unused();
	test_shares();
	test_turns_at_once();
	test_interval();
	test_kept_place();
	test_nothing_to_keep();
	test_retry_after();
	test_retry_after_is_bounded();
	test_silence();
	return check_done();
}
