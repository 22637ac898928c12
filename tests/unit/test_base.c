/* base/: strings, JSON text, lists, jobs and timers. */
#include "base/buf.h"
#include "base/header.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/span.h"
#include "check.h"

static void test_json_text(void)
{
	static const struct {
		struct span in;
		const char *out;
	} cases[] = {
		{ SPAN("plain"), "\"plain\"" },
		{ SPAN(""), "\"\"" },
		{ SPAN("a\"b\\c"), "\"a\\\"b\\\\c\"" },
		{ SPAN("line\r\nnext\t\x7f"), "\"line\\u000d\\u000anext\\u0009\\u007f\"" },
		{ SPAN("nul\0byte"), "\"nul\\u0000byte\"" },
		{ SPAN("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
		  "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"" },
		{ SPAN("\xff|\xc3|\xe2\x82"), "\"\\ufffd|\\ufffd|\\ufffd\\ufffd\"" },
		{ SPAN("\xc0\x80"), "\"\\ufffd\\ufffd\"" },            /* overlong */
		{ SPAN("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\"" }, /* surrogate */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP(buf_clear) struct buf b = { 0 };

		buf_json(&b, cases[i].in);
		CHECK_STR(buf_str(&b), cases[i].out);
	}
}

static void test_buf(void)
{
	struct buf b = { 0 };

	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "%d,", i);
	CHECK_INT((int64_t)b.len, 10 * 2 + 90 * 3 + 900 * 4);
	buf_clear(&b);
	buf_clear(&b);
	CHECK(!b.data && !b.len);
	buf_append(&b, NULL, 0);
	CHECK_STR(buf_str(&b), "");
	buf_clear(&b);
	buf_reserve_exact(&b, 1000);
	CHECK_INT((int64_t)b.cap, 1000);
	for (int i = 0; i < 1001; i++) /* one more than there is room for */
		buf_puts(&b, "x");
	CHECK(b.len == 1001 && b.cap >= 1001);
	buf_reserve_exact(&b, 0); /* never takes room away */
	CHECK(b.cap >= 1001);
	buf_clear(&b);
}

static void test_span_list(void)
{
	struct span rest = SPAN(" a ,b,, c"), s;
	const char *want[] = { "a", "b", "", "c" };
	size_t n = 0;

	while (span_next(&rest, ',', &s)) {
		CHECK(n < ARRAY_SIZE(want) && span_eq(s, span_of(want[n])));
		n++;
	}
	CHECK_INT((int64_t)n, 4);
	CHECK_INT((int64_t)span_trim(SPAN(" \0a\0\t")).len, 3); /* a NUL is no white space */
	CHECK(span_ieq(SPAN("Content-Length"), SPAN("content-length")));
	CHECK(!span_ieq(SPAN("Content-Length"), SPAN("content-lengt")));
	CHECK(span_ends(SPAN("/api/v1/messages"), SPAN("/v1/messages")));
	CHECK(!span_ends(SPAN("messages"), SPAN("/v1/messages")));
}

static void test_headers(void)
{
	const struct header fields[] = { { SPAN("X-A"), SPAN("1") }, { SPAN("x-a"), SPAN("2") } };
	const struct headers h = { fields, 2 };

	CHECK(span_eq(headers_get(&h, SPAN("x-A")), SPAN("1")));
	CHECK(!headers_get(&h, SPAN("x-b")).ptr);
}

struct item {
	struct list link;
	int n;
};

static void test_list(void)
{
	struct list head;
	struct item items[3] = { 0 }, *i, *next;
	int sum = 0;

	list_init(&head);
	CHECK(list_empty(&head) && !list_first(&head, struct item, link));
	for (int n = 0; n < 3; n++) {
		items[n].n = n + 1;
		list_append(&head, &items[n].link);
	}
	list_for_each_safe (i, next, &head, link) {
		sum = 10 * sum + i->n;
		if (i->n == 2)
			list_remove(&i->link);
	}
	CHECK_INT(sum, 123);
	list_remove(&items[1].link); /* again */
	sum = 0;
	list_for_each (i, &head, link)
		sum = 10 * sum + i->n;
	CHECK_INT(sum, 13);
}

struct worker {
	struct job job;
	struct loop *loop;
	char name;
	struct worker *next, *victim;
};

static char order[16];

static void work(struct job *job)
{
	struct worker *w = container_of(job, struct worker, job);

	order[strlen(order)] = w->name;
	if (w->next)
		loop_defer(w->loop, &w->next->job);
	if (w->victim)
		job_cancel(&w->victim->job);
}

static void count(void *arg)
{
	++*(int *)arg;
}

static void test_loop(void)
{
	struct loop loop;
	struct worker c = { { .run = work }, &loop, 'c', NULL, NULL };
	struct worker l = { { .run = work }, &loop, 'l', NULL, NULL };
	struct worker x = { { .run = work }, &loop, 'x', NULL, NULL };
	struct worker a = { { .run = work }, &loop, 'a', &c, &x };
	struct worker b = { { .run = work }, &loop, 'b', NULL, NULL };
	struct timer *timer;
	int fired = 0;

	loop_open(&loop);
	timer = timer_new(&loop, count, &fired);
	loop_defer_last(&loop, &l.job); /* behind c, which a asks for */
	loop_defer(&loop, &a.job);
	loop_defer(&loop, &b.job);
	loop_defer(&loop, &a.job); /* pending already: once */
	loop_defer(&loop, &x.job); /* cancelled by a */
	timer_start(timer, 20);
	timer_start(timer, 1);
	CHECK(RUN_UNTIL(&loop, fired == 1, 2000));
	CHECK_STR(order, "abcl");
	timer_start(timer, 1);
	timer_clear(&timer);
	timer_clear(&timer);
	timer_stop(NULL);
	loop_close(&loop);
	CHECK_INT(fired, 1);
}

struct hog {
	struct job job;
	struct loop *loop;
	int runs;
};

static void work_long(struct job *job)
{
	struct hog *h = container_of(job, struct hog, job);

	if (++h->runs < 1000)
		loop_defer_later(h->loop, &h->job);
}

/* Long work lets each turn of the loop look at its descriptors and timers, and never blocks it. */
static void test_loop_later(void)
{
	struct loop loop;
	struct hog hog = { { .run = work_long }, &loop, 0 };
	int turns = 0;

	loop_open(&loop);
	loop_defer(&loop, &hog.job);
	while (hog.runs < 1000 && turns < 2000) {
		uv_run(&loop.uv, UV_RUN_ONCE);
		turns++;
	}
	CHECK_INT(hog.runs, 1000);
	CHECK_INT(turns, 1000);
	loop_defer_later(&loop, &hog.job);
	job_cancel(&hog.job);
	loop_close(&loop);
}

static void work_on(struct job *job)
{
	struct hog *h = container_of(job, struct hog, job);

	h->runs++;
	loop_defer(h->loop, &h->job);
}

/* Who asks for jobs for ever keeps neither the last ones nor the timers from running. */
static void test_loop_fairness(void)
{
	struct loop loop;
	struct hog hog = { { .run = work_on }, &loop, 0 },
		   last = { { .run = work_long }, &loop, 999 };
	struct timer *timer;
	int fired = 0;

	loop_open(&loop);
	timer = timer_new(&loop, count, &fired);
	timer_start(timer, 5);
	loop_defer(&loop, &hog.job);
	loop_defer_last(&loop, &last.job);
	uv_run(&loop.uv, UV_RUN_ONCE);
	CHECK_INT(last.runs, 1000);
	CHECK(RUN_UNTIL(&loop, fired == 1, 2000));
	job_cancel(&hog.job);
	timer_clear(&timer);
	loop_close(&loop);
}

static void work_slowly(struct job *job)
{
	struct worker *w = container_of(job, struct worker, job);
	int64_t until_us = clock_us() + 4000;

	while (clock_us() < until_us)
		continue;
	order[strlen(order)] = w->name;
	if (w->victim)
		job_cancel(&w->victim->job);
}

/* Whoever comes last may take long: descriptors are looked at in between, and nobody loses the place. */
static void test_loop_last(void)
{
	struct loop loop;
	struct worker x = { { .run = work_slowly }, &loop, 'x', NULL, NULL };
	struct worker a = { { .run = work_slowly }, &loop, 'a', NULL, NULL };
	struct worker b = { { .run = work_slowly }, &loop, 'b', NULL, &x };
	struct worker c = { { .run = work_slowly }, &loop, 'c', NULL, NULL };
	struct worker quick = { { .run = work }, &loop, 'q', NULL, NULL };

	memset(order, 0, sizeof order);
	loop_open(&loop);
	loop_defer_last(&loop, &a.job);
	loop_defer_last(&loop, &b.job);
	loop_defer_last(&loop, &x.job);
	uv_run(&loop.uv, UV_RUN_ONCE);
	CHECK_STR(order, "a");
	loop_defer_last(&loop, &c.job);
	loop_defer(&loop, &quick.job);
	for (int i = 0; i < 8 && strlen(order) < 4; i++)
		uv_run(&loop.uv, UV_RUN_ONCE);
	CHECK_STR(order, "aqbc");
	loop_close(&loop);
}

static void burn(int64_t us)
{
	int64_t until_us = clock_us() + us;

	while (clock_us() < until_us)
		continue;
}

static void ask_whether_late(struct job *job)
{
	struct worker *w = container_of(job, struct worker, job);

	burn(LOOP_TURN_US);
	order[strlen(order)] = loop_is_late(w->loop) ? w->name : '-';
}

/* A turn's time is counted from the first who asks, and the next turn has its own. */
static void test_loop_is_late(void)
{
	struct loop loop;
	struct worker a = { { .run = ask_whether_late }, &loop, 'a', NULL, NULL };

	memset(order, 0, sizeof order);
	loop_open(&loop);
	for (int i = 0; i < 3; i++) {
		loop_defer(&loop, &a.job);
		uv_run(&loop.uv, UV_RUN_NOWAIT);
		(void)!loop_is_late(&loop); /* the next turn's begins */
		burn(LOOP_TURN_US);
		CHECK(loop_is_late(&loop));
		uv_run(&loop.uv, UV_RUN_NOWAIT);
	}
	CHECK_STR(order, "aaa");
	burn(LOOP_TURN_US); /* nobody has asked: it isn't counted */
	CHECK(!loop_is_late(&loop));
	loop_close(&loop);
}

int main(void)
{
	test_json_text();
	test_buf();
	test_span_list();
	test_headers();
	test_list();
	test_loop();
	test_loop_later();
	test_loop_fairness();
	test_loop_last();
	test_loop_is_late();
	return check_done();
}
