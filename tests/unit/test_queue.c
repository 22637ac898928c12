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
	f->config.queue.timeout_ms = 5000;
	f->config.queue.lock_ttl_ms = 60000;
	f->config.queue.max_hold_ms = 60000;
	f->config.queue.max_waiting = 100;
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
	CHECK(clock_ms() - start >= 119 && clock_ms() - start < 2000);
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

static void test_retry_after(void)
{
	struct fixture f;
	struct queue_place p = { .position = 1000 };

	open_fixture(&f);
	CHECK_INT(queue_retry_after_s(f.queue, &p), 60);
	p.position = 2; /* two turns of the first guess, 5 s */
	CHECK_INT(queue_retry_after_s(f.queue, &p), 10);
	CHECK(queue_retry_after_s(f.queue, NULL) >= 1);
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
	test_retry_after();
	test_silence();
	return check_done();
}
