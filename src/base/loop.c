#include "base/loop.h"

#include "base/clock.h"
#include "base/mem.h"

/* How much of its jobs one turn of the loop runs before it looks at its descriptors again. */
enum { ROUNDS_PER_PASS = 16, PASSES_PER_TURN = 4 };

struct timer {
	uv_timer_t uv;
	int64_t due_ms;
	timer_fn fn;
	void *arg;
};

static void do_nothing(uv_idle_t *idle)
{
	(void)idle;
}

static void append_job(struct list *list, struct job *job)
{
	if (list_empty(&job->link)) {
		list_init(&job->link);
		list_append(list, &job->link);
	}
}

static bool has_jobs(const struct loop *loop)
{
	return !list_empty(&loop->jobs) || !list_empty(&loop->last);
}

/* All of `from`, which is empty then; `to` is written. */
static void take_list(struct list *from, struct list *to)
{
	list_init(to);
	if (list_empty(from))
		return;
	*to = *from;
	to->next->prev = to->prev->next = to;
	list_init(from);
}

/* Runs those that were asked for up to here; they may ask for more. */
static void run_list(struct list *list)
{
	struct list now;
	struct job *job;

	take_list(list, &now);
	while ((job = list_first(&now, struct job, link))) {
		list_remove(&job->link);
		job->run(job);
	}
}

/* It counts from here on, unless it does already. */
static int64_t count_time(struct loop *loop)
{
	int64_t now_us = clock_us();

	if (!loop->late_us)
		loop->late_us = now_us + LOOP_TURN_US;
	return now_us;
}

bool loop_is_late(struct loop *loop)
{
	return count_time(loop) >= loop->late_us;
}

/* The same, but whoever isn't reached in time keeps the place: one at least is. */
static void run_list_in_time(struct loop *loop, struct list *list)
{
	struct list now;
	struct job *job;

	take_list(list, &now);
	while ((job = list_first(&now, struct job, link))) {
		list_remove(&job->link);
		job->run(job);
		if (loop_is_late(loop))
			break;
	}
	while (!list_empty(&now)) {
		struct list *latest = now.prev;

		list_remove(latest);
		list_prepend(list, latest);
	}
}

static void run_jobs(uv_prepare_t *prepare)
{
	struct loop *loop = container_of(prepare, struct loop, prepare);
	struct job *job;

	count_time(loop);
	while ((job = list_first(&loop->later, struct job, link))) {
		list_remove(&job->link);
		append_job(&loop->jobs, job);
	}
	for (int pass = 0; pass < PASSES_PER_TURN && has_jobs(loop); pass++) {
		for (int i = 0; i < ROUNDS_PER_PASS && !list_empty(&loop->jobs); i++)
			run_list(&loop->jobs);
		run_list_in_time(loop, &loop->last); /* also if somebody asks for jobs for ever */
		if (loop_is_late(loop))
			break;
	}
	loop->late_us = 0;
	if (!has_jobs(loop) && list_empty(&loop->later))
		uv_idle_stop(&loop->idle);
	else
		uv_idle_start(&loop->idle, do_nothing);
}

void loop_open(struct loop *loop)
{
	must(uv_loop_init(&loop->uv) == 0);
	list_init(&loop->jobs);
	list_init(&loop->last);
	list_init(&loop->later);
	loop->late_us = 0;
	uv_prepare_init(&loop->uv, &loop->prepare);
	uv_prepare_start(&loop->prepare, run_jobs);
	uv_idle_init(&loop->uv, &loop->idle);
}

static void on_limit(uv_timer_t *limit)
{
	*(bool *)limit->data = true;
}

bool loop_finish(struct loop *loop, int64_t limit_ms)
{
	bool over = false;
	uv_timer_t limit = { .data = &over };

	uv_close((uv_handle_t *)&loop->prepare, NULL);
	uv_close((uv_handle_t *)&loop->idle, NULL);
	uv_update_time(&loop->uv);
	must(uv_timer_init(&loop->uv, &limit) == 0);
	must(uv_timer_start(&limit, on_limit, (uint64_t)limit_ms, 0) == 0);
	uv_unref((uv_handle_t *)&limit);
	while (!over && uv_run(&loop->uv, UV_RUN_ONCE))
		;
	uv_close((uv_handle_t *)&limit, NULL);
	uv_run(&loop->uv, UV_RUN_NOWAIT);
	return uv_loop_close(&loop->uv) == 0;
}

void loop_close(struct loop *loop)
{
	must(loop_finish(loop, INT64_MAX));
}

void loop_defer(struct loop *loop, struct job *job)
{
	append_job(&loop->jobs, job);
}

void loop_defer_last(struct loop *loop, struct job *job)
{
	append_job(&loop->last, job);
}

void loop_defer_later(struct loop *loop, struct job *job)
{
	append_job(&loop->later, job);
}

void job_cancel(struct job *job)
{
	list_remove(&job->link);
}

static void timer_fired(uv_timer_t *uv);

/* libuv's clock is that of the last poll; a long callback would make the timer early. */
static void arm(struct timer *t, int64_t in_ms)
{
	uv_update_time(t->uv.loop);
	uv_timer_start(&t->uv, timer_fired, in_ms > 0 ? (uint64_t)in_ms : 0, 0);
}

/* libuv's clock may be the coarse one, which is late by up to a millisecond, so early for us. */
static void timer_fired(uv_timer_t *uv)
{
	struct timer *t = container_of(uv, struct timer, uv);
	int64_t left_ms = t->due_ms - clock_ms();

	if (left_ms > 0)
		arm(t, left_ms);
	else
		t->fn(t->arg);
}

struct timer *timer_new(struct loop *loop, timer_fn fn, void *arg)
{
	struct timer *t = xcalloc(1, sizeof *t);

	t->fn = fn;
	t->arg = arg;
	uv_timer_init(&loop->uv, &t->uv);
	return t;
}

static void timer_closed(uv_handle_t *uv)
{
	free(container_of((uv_timer_t *)uv, struct timer, uv));
}

void timer_clear(struct timer **timer)
{
	struct timer *t = steal(timer);

	if (t)
		uv_close((uv_handle_t *)&t->uv, timer_closed);
}

void timer_start(struct timer *t, int64_t in_ms)
{
	t->due_ms = clock_ms() + in_ms;
	arm(t, in_ms);
}

void timer_stop(struct timer *t)
{
	if (t)
		uv_timer_stop(&t->uv);
}
