/*
 * test_timer.c - on kernels that tick every millisecond libuv takes its time from the coarse clock,
 * which is late by up to that. Here it is, whatever this kernel does: the program's own
 * clock_gettime() and clock_getres() stand before the C library's, for libuv as well. No timer may
 * be early for that, and no deadline be taken for anything else.
 */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "queue/queue.h"

enum { TICK_NS = 1000000, TICK_AT_NS = 700000, TIMERS = 300, WAITERS = 60 };

static int coarse_reads;

int clock_getres(clockid_t id, struct timespec *t)
{
	if (id != CLOCK_MONOTONIC_COARSE)
		return (int)syscall(SYS_clock_getres, id, t);
	*t = (struct timespec){ .tv_nsec = TICK_NS };
	return 0;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, id == CLOCK_MONOTONIC_COARSE ? CLOCK_MONOTONIC : id,
			     t);

	if (r || id != CLOCK_MONOTONIC_COARSE)
		return r;
	coarse_reads++;
	t->tv_sec -= t->tv_nsec < TICK_AT_NS;
	t->tv_nsec += t->tv_nsec < TICK_AT_NS ? 1000000000 : 0;
	t->tv_nsec = (t->tv_nsec - TICK_AT_NS) / TICK_NS * TICK_NS + TICK_AT_NS;
	return 0;
}

/* The loop never sleeps, so that each timer fires as soon as the loop's clock says so. */
static void keep_awake(uv_idle_t *idle)
{
	(void)idle;
}

struct alarm_clock {
	struct timer *timer;
	int64_t due_us;
	int *fired, *early;
};

static void on_alarm(void *arg)
{
	struct alarm_clock *a = arg;

	++*a->fired;
	*a->early += clock_us() < a->due_us;
}

static void test_no_timer_is_early(struct loop *loop)
{
	static struct alarm_clock alarms[TIMERS];
	int fired = 0, early = 0;

	for (int i = 0; i < TIMERS; i++) {
		int64_t start_us = clock_us(), in_ms = 1 + i % 50;

		while (clock_us() < start_us + 137) /* begin anywhere between two ticks */
			;
		/* clock_ms() counts whole milliseconds */
		alarms[i] = (struct alarm_clock){ timer_new(loop, on_alarm, &alarms[i]),
						  (clock_ms() + in_ms) * 1000, &fired, &early };
		timer_start(alarms[i].timer, in_ms);
	}
	CHECK(RUN_UNTIL(loop, fired == TIMERS, 5000));
	CHECK_INT(early, 0);
	for (int i = 0; i < TIMERS; i++)
		timer_clear(&alarms[i].timer);
}

static void on_changed(void *x)
{
	(void)x;
}

static int count(const struct queue_place *places, enum place_state state)
{
	int n = 0;

	for (int i = 0; i < WAITERS; i++)
		n += places[i].state == state;
	return n;
}

/* A waiter whose time is over has no turn, as somebody else has it. */
static void test_a_deadline_is_no_turn(struct loop *loop)
{
	CLEANUP(buf_clear) struct buf errors = { 0 };
	struct config config = { .redis = { .url = (char *)"", .instance = (char *)"one" } };
	struct account_terms terms = { .timeout_ms = LONG_MS, .max_waiting = 100 };
	struct queue_place holder = { .changed = on_changed };
	static struct queue_place waiters[WAITERS];
	struct queue *queue;

	config.queue.max_hold_ms = config.queue.lock_ttl_ms = LONG_MS;
	CHECK_INT(queue_new(loop, &config, &errors, &queue), 0);
	queue_join(queue, &holder, "a", &terms);
	CHECK(RUN_UNTIL(loop, holder.state == PLACE_TURN, 2000));
	for (int i = 0; i < WAITERS; i++) {
		int64_t start_us = clock_us();

		while (clock_us() < start_us + 1137)
			uv_run(&loop->uv, UV_RUN_NOWAIT);
		waiters[i].changed = on_changed;
		terms.timeout_ms = 20;
		queue_join(queue, &waiters[i], "a", &terms);
	}
	CHECK(RUN_UNTIL(loop, count(waiters, PLACE_WAITING) == 0, 5000));
	CHECK_INT(count(waiters, PLACE_TIMED_OUT), WAITERS);
	for (int i = 0; i < WAITERS; i++)
		queue_leave(&waiters[i], LOCK_UNUSED);
	queue_leave(&holder, LOCK_UNUSED);
	queue_stop(queue, 1000, on_changed, NULL);
	queue_free(queue);
}

int main(void)
{
	struct loop loop;
	uv_idle_t idle;

	loop_open(&loop);
	uv_idle_init(&loop.uv, &idle);
	uv_idle_start(&idle, keep_awake);
	test_no_timer_is_early(&loop);
	test_a_deadline_is_no_turn(&loop);
	CHECK(coarse_reads > 0);
	uv_close((uv_handle_t *)&idle, NULL);
	loop_close(&loop);
	return check_done();
}
