/* test_lock.c - the contract of lock.h, on each backend. test_lock_line.c goes on. */
#include "lock_pair.h"

static void test_exclusion(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 }, other = { 0 };

	guest_enter(&a, f->b[0], f->account);
	UNTIL(f, a.granted);
	CHECK_INT(a.delay_ms, 0);
	CHECK_INT(a.waiting, 0);
	guest_enter(&b, f->b[1], f->account);
	UNTIL(f, b.waiting);
	CHECK_INT(b.position, 1);
	guest_enter(&other, f->b[1], "another");
	UNTIL(f, other.granted);
	settle(f);
	CHECK_INT(b.granted, 0);
	guest_leave(&a, true);
	UNTIL(f, b.granted);
	guest_leave(&b, true);
	guest_leave(&other, true);
	CHECK_INT(a.granted + b.granted + other.granted, 3);
}

static void test_order(struct fixture *f)
{
	struct guest first = { 0 }, g[100] = { 0 };

	grants = 0;
	guest_enter(&first, f->b[0], f->account);
	UNTIL(f, first.granted);
	for (int i = 0; i < 100; i++) {
		guest_enter(&g[i], f->b[i % 2], f->account);
		UNTIL(f, g[i].waiting); /* who is first is known only when Redis has answered */
		CHECK_INT(g[i].position, i + 1);
	}
	guest_leave(&first, true);
	for (int i = 0; i < 100; i++) {
		UNTIL(f, g[i].granted);
		CHECK_INT(g[i].place, i + 1);
		CHECK(i == 99 || !g[i + 1].granted);
		guest_leave(&g[i], true);
		guest_leave(&g[i], true); /* idempotent: the next must not get it twice */
	}
}

static void test_give_back_is_final(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };

	guest_enter(&a, f->b[0], f->account);
	guest_leave(&a, true); /* before the answer */
	guest_enter(&b, f->b[0], f->account);
	UNTIL(f, b.granted);
	CHECK_INT(a.granted + a.waiting + a.failed, 0);
	guest_enter(&c, f->b[0], f->account);
	guest_enter(&d, f->b[0], f->account);
	UNTIL(f, d.waiting);
	guest_leave(&b, true); /* c is granted, but gives back before it hears */
	guest_leave(&c, true);
	UNTIL(f, d.granted);
	CHECK_INT(c.granted, 0);
	guest_leave(&d, true);
	settle(f);
	CHECK_INT(a.granted + a.waiting + a.failed + c.granted, 0);
}

static void test_max_waiting(struct fixture *f)
{
	struct guest g[4] = { 0 };

	for (int i = 0; i < 4; i++) {
		g[i].t.terms = (struct lock_terms){ 0, 3000, 60000, 2 };
		guest_enter(&g[i], f->b[i % 2], f->account);
		UNTIL(f, g[i].granted || g[i].waiting || g[i].full);
	}
	CHECK_INT(g[3].full, 1);
	CHECK_INT(g[3].waiting + g[3].granted, 0);
	CHECK_INT(g[2].waiting, 1);
	guest_leave(&g[3], false);
	guest_leave(&g[1], false);
	settle(f);
	guest_enter(&g[3], f->b[1], f->account);
	UNTIL(f, g[3].waiting);
	CHECK_INT(g[3].position, 2);
	guest_leave(&g[0], false);
	UNTIL(f, g[2].granted);
	guest_leave(&g[2], false);
	UNTIL(f, g[3].granted);
	guest_leave(&g[3], false);
}

static void test_delay(struct fixture *f)
{
	struct lock_terms slow = { .delay_ms = 5000, 3000, 60000, 10 };
	struct guest a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };

	a.t.terms = b.t.terms = c.t.terms = d.t.terms = slow;
	guest_enter(&a, f->b[0], f->account);
	UNTIL(f, a.granted);
	CHECK_INT(a.delay_ms, 0);
	guest_leave(&a, false); /* not used: no delay */
	guest_enter(&b, f->b[1], f->account);
	UNTIL(f, b.granted);
	CHECK_INT(b.delay_ms, 0);
	guest_enter(&c, f->b[0], f->account);
	UNTIL(f, c.waiting);
	guest_leave(&b, true);
	UNTIL(f, c.granted);
	CHECK(c.delay_ms > 4000 && c.delay_ms <= 5000);
	guest_leave(&c, false);
	guest_enter(&d, f->b[1], f->account);
	UNTIL(f, d.granted);
	CHECK(d.delay_ms > 3000 && d.delay_ms <= c.delay_ms);
	guest_leave(&d, false);
}

static void test_leaving_the_queue(struct fixture *f)
{
	struct guest g[5] = { 0 };

	for (int i = 0; i < 5; i++) {
		guest_enter(&g[i], f->b[i % 2], f->account);
		UNTIL(f, g[i].granted || g[i].waiting);
	}
	guest_leave(&g[2], false); /* from the middle */
	guest_leave(&g[1], false); /* the head */
	settle(f);
	guest_leave(&g[0], true);
	UNTIL(f, g[3].granted);
	CHECK_INT(g[4].granted, 0);
	guest_leave(&g[4], false); /* the tail */
	guest_leave(&g[3], true);
	settle(f);
	CHECK_INT(g[1].granted + g[2].granted + g[4].granted, 0);
}

static void test_max_hold(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };
	struct lock_stats before, after;

	f->b[0]->ops->stats(f->b[0], &before);
	a.t.terms = (struct lock_terms){ 0, 1000, 100, 10 };
	guest_enter(&a, f->b[0], f->account);
	UNTIL(f, a.granted);
	guest_enter(&b, f->b[1], f->account);
	UNTIL(f, a.lost);
	UNTIL(f, b.granted);
	f->b[0]->ops->stats(f->b[0], &after);
	CHECK_INT(after.lost, before.lost + 1);
	guest_leave(&a, true);
	settle(f);
	CHECK_INT(a.lost, 1);
	CHECK_INT(b.lost, 0);
	guest_leave(&b, true);
}

static void test_stats(struct fixture *f)
{
	struct guest a = { 0 };
	struct lock_stats stats;

	guest_enter(&a, f->b[0], f->account);
	UNTIL(f, a.granted);
	f->b[0]->ops->stats(f->b[0], &stats);
	CHECK(stats.up);
	CHECK_INT(stats.active_renewals, 1);
	guest_leave(&a, true);
	f->b[0]->ops->stats(f->b[0], &stats);
	CHECK_INT(stats.active_renewals, 0);
}

/* The last case: what is still entered is given back. */
static void test_stop(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 }, c = { 0 };
	int last = f->remote ? 1 : 0;

	guest_enter(&a, f->b[0], f->account);
	UNTIL(f, a.granted);
	guest_enter(&b, f->b[0], f->account);
	guest_enter(&c, f->b[last], f->account);
	UNTIL(f, b.waiting && c.waiting);
	guest_stop(&f->loop, f->b[0]);
	if (f->remote) {
		UNTIL(f, c.granted);
		guest_leave(&c, true);
		guest_stop(&f->loop, f->b[1]);
	}
	CHECK_INT(a.granted, 1);
	CHECK_INT(b.granted + a.lost + b.failed, 0);
}

int main(void)
{
	static const struct pair_case cases[] = {
		{ "exclusion", test_exclusion },
		{ "order", test_order },
		{ "give back is final", test_give_back_is_final },
		{ "max waiting", test_max_waiting },
		{ "delay", test_delay },
		{ "leaving the queue", test_leaving_the_queue },
		{ "max hold", test_max_hold },
		{ "stats", test_stats },
		{ "stop", test_stop },
	};

	return pair_main(cases, ARRAY_SIZE(cases));
}
