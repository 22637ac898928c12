/*
 * test_lock_hold.c - the contract of lock.h, on each backend: an account that its upstream has
 * limited is held, asked by one, and goes on.
 */
#include <errno.h>

#include "lock_pair.h"
#include "queue/query.h"

enum { COUNT = 6 };

struct party {
	struct fixture *f;
	struct guest g[COUNT];
};

static void join(struct party *p, int i)
{
	guest_enter(&p->g[i], p->f->b[i % 2], p->f->account);
	UNTIL(p->f, p->g[i].granted || p->g[i].waiting);
}

static void hold(struct party *p, int i, enum hold_kind kind, int64_t for_ms)
{
	lock_hold(p->g[i].b, p->f->account, &(struct lock_limit){ kind, for_ms, "429\n\nwait" });
}

/* The last one holds, all others wait; then the upstream refuses it. */
static void refused(struct party *p, struct fixture *f, enum hold_kind kind, int64_t for_ms)
{
	p->f = f;
	for (int i = 0; i < COUNT; i++)
		join(p, i);
	CHECK(p->g[0].granted);
	CHECK(!p->g[0].probe);
	hold(p, 0, kind, for_ms);
	guest_leave(&p->g[0], true);
}

static void leave_all(struct party *p)
{
	for (int i = 0; i < COUNT; i++)
		guest_leave(&p->g[i], false);
}

/* For as long as it was said nobody is sent; then the first one alone, and the rest in order. */
static void test_throttle(struct fixture *f)
{
	struct party p = { 0 };
	int64_t start_ms = clock_ms();

	refused(&p, f, HOLD_THROTTLE, 1500);
	UNTIL(f, p.g[1].granted);
	CHECK(clock_ms() - start_ms >= 1500);
	CHECK(p.g[1].probe);
	CHECK(!p.g[2].granted);
	lock_release(p.g[1].b, f->account);
	guest_leave(&p.g[1], true);
	for (int i = 2; i < COUNT; i++) {
		UNTIL(f, p.g[i].granted);
		CHECK(!p.g[i].probe);
		CHECK_INT(p.g[i].held, 0);
		guest_leave(&p.g[i], true);
	}
	leave_all(&p);
}

/* A probe that is refused holds the account again; one that ends without a word makes the next one ask. */
static void test_probes(struct fixture *f)
{
	struct party p = { 0 };
	int64_t again_ms;

	refused(&p, f, HOLD_THROTTLE, 100);
	UNTIL(f, p.g[1].granted);
	hold(&p, 1, HOLD_THROTTLE, 1500);
	again_ms = clock_ms();
	guest_leave(&p.g[1], true);
	UNTIL(f, p.g[2].granted);
	CHECK(clock_ms() - again_ms >= 1500);
	CHECK(p.g[2].probe);
	guest_leave(&p.g[2], false);
	UNTIL(f, p.g[3].granted);
	CHECK(p.g[3].probe);
	leave_all(&p);
	lock_release(f->b[0], f->account);
}

/* Of a window everybody hears, with what the upstream said; also whoever joins later. */
static void test_quota(struct fixture *f)
{
	struct party p = { 0 };
	struct guest late = { 0 };

	refused(&p, f, HOLD_QUOTA, 3600 * 1000);
	for (int i = 1; i < COUNT; i++) {
		UNTIL(f, p.g[i].held);
		CHECK(p.g[i].held_ms > 3590 * 1000 && p.g[i].held_ms <= 3600 * 1000);
		CHECK_STR(p.g[i].refusal, "429\n\nwait");
		CHECK(!p.g[i].granted);
	}
	leave_all(&p);
	guest_enter(&late, f->b[1], f->account);
	UNTIL(f, late.held);
	CHECK_INT(late.waiting, 1);
	CHECK_STR(late.refusal, "429\n\nwait");
	lock_release(f->b[0], f->account);
	UNTIL(f, late.granted);
	CHECK(!late.probe);
	guest_leave(&late, true);
}

/* After a hold the turns begin one after another, however many there are. */
static void test_no_burst(struct fixture *f)
{
	struct party p = { .f = f };
	static const struct lock_terms three = { .delay_ms = 400,
						 .ttl_ms = 3000,
						 .max_hold_ms = 60000,
						 .max_waiting = 100,
						 .turns = 3 };

	for (int i = 0; i < COUNT; i++) {
		p.g[i].t.terms = three;
		join(&p, i);
	}
	hold(&p, 0, HOLD_THROTTLE, 100);
	for (int i = 0; i < 3; i++)
		guest_leave(&p.g[i], false);
	UNTIL(f, p.g[3].granted);
	CHECK(!p.g[4].granted);
	lock_release(p.g[3].b, f->account);
	UNTIL(f, p.g[4].granted && p.g[5].granted);
	/* What was granted is heard a little later, where it comes over a network. */
	CHECK(p.g[4].delay_ms + p.g[4].granted_at_ms >= p.g[3].granted_at_ms + 300);
	CHECK(p.g[5].delay_ms + p.g[5].granted_at_ms >=
	      p.g[4].delay_ms + p.g[4].granted_at_ms + 300);
	leave_all(&p);
}

struct asked {
	struct lock_query q;
	int error;
	struct lock_view_hold hold;
	bool done;
};

static void answered(struct lock_query *q, const struct lock_answer *answer)
{
	struct asked *a = container_of(q, struct asked, q);

	a->error = answer->error;
	if (answer->count)
		a->hold = answer->views[0].hold;
	a->done = true;
}

static struct asked ask(struct fixture *f, enum lock_verb verb)
{
	struct asked a = { .q = { .verb = verb, .account = f->account, .answered = answered } };

	lock_query_send(f->b[1], &a.q);
	UNTIL(f, a.done);
	return a;
}

/* An operator sees it, and ends it. */
static void test_operator(struct fixture *f)
{
	struct party p = { 0 };
	struct asked a;

	refused(&p, f, HOLD_QUOTA, 3600 * 1000);
	a = ask(f, LOCK_LOOK);
	CHECK_INT(a.hold.kind, HOLD_QUOTA);
	CHECK_INT(a.hold.refusals, 1);
	CHECK(a.hold.left_ms > 3590 * 1000);
	CHECK(a.hold.probe_ms > 0 && a.hold.probe_ms <= HOLD_PROBE_MS);
	CHECK_INT(ask(f, LOCK_RELEASE).error, 0);
	UNTIL(f, p.g[1].granted);
	CHECK_INT(ask(f, LOCK_RELEASE).error, -ENOENT);
	leave_all(&p);
}

int main(void)
{
	static const struct pair_case cases[] = {
		{ "throttle", test_throttle }, { "probes", test_probes },
		{ "quota", test_quota },       { "no burst", test_no_burst },
		{ "operator", test_operator }, { "stop", pair_stop },
	};

	return pair_main(cases, ARRAY_SIZE(cases));
}
