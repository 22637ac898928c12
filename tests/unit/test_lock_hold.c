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
	lock_release(p.g[1].b, f->account, 0);
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
	lock_release(f->b[0], f->account, 0);
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
	lock_release(f->b[0], f->account, 0);
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
	lock_release(p.g[3].b, f->account, 0);
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
	struct lock_view_hold hold, opus;
	bool done;
};

static void answered(struct lock_query *q, const struct lock_answer *answer)
{
	struct asked *a = container_of(q, struct asked, q);

	a->error = answer->error;
	if (answer->count) {
		a->hold = answer->views[0].hold;
		a->opus = answer->views[0].family_holds[0];
	}
	a->done = true;
}

static struct asked ask(struct fixture *f, enum lock_verb verb)
{
	struct asked a = { .q = { .verb = verb, .account = f->account, .answered = answered } };

	lock_query_send(f->b[1], &a.q);
	UNTIL(f, a.done);
	return a;
}

enum { OPUS = 1, HAIKU = 4 };

static void join_for(struct party *p, int i, unsigned families)
{
	p->g[i].t.standing.families = families;
	join(p, i);
}

static void hold_family(struct party *p, int i, int64_t for_ms)
{
	lock_hold(p->g[i].b, p->f->account,
		  &(struct lock_limit){ HOLD_QUOTA, for_ms, "429\n\nopus", OPUS });
}

/* The limit of a family holds only requests for it; others pass them, in their order. */
static void test_family(struct fixture *f)
{
	struct party p = { .f = f };
	struct guest late = { 0 };

	join_for(&p, 0, OPUS);
	join_for(&p, 1, OPUS);
	join_for(&p, 2, HAIKU);
	join_for(&p, 3, OPUS | HAIKU);
	join_for(&p, 4, 0);
	hold_family(&p, 0, 3600 * 1000);
	guest_leave(&p.g[0], true);
	UNTIL(f, p.g[2].granted);
	CHECK(!p.g[2].probe);
	UNTIL(f, p.g[1].held && p.g[3].held);
	CHECK_STR(p.g[3].refusal, "429\n\nopus");
	guest_leave(&p.g[2], true);
	UNTIL(f, p.g[4].granted);
	guest_leave(&p.g[4], true);
	settle(f);
	CHECK(!p.g[1].granted && !p.g[3].granted);
	CHECK_INT(p.g[2].held + p.g[4].held, 0);
	/* whoever comes now: one of that family hears of it, another one has its turn at once */
	late.t.standing.families = OPUS;
	guest_enter(&late, f->b[1], f->account);
	UNTIL(f, late.held);
	guest_leave(&late, false);
	join_for(&p, 5, HAIKU);
	UNTIL(f, p.g[5].granted);
	CHECK(!p.g[5].probe);
	lock_release(f->b[0], f->account, HAIKU); /* of another family */
	guest_leave(&p.g[5], true);
	settle(f);
	CHECK(!p.g[1].granted);
	lock_release(f->b[0], f->account, OPUS | HAIKU);
	UNTIL(f, p.g[1].granted);
	CHECK(!p.g[1].probe);
	leave_all(&p);
}

/* Whom several windows concern hears of the longest. */
static void test_two_windows(struct fixture *f)
{
	struct party p = { .f = f };

	join_for(&p, 0, OPUS | HAIKU);
	join_for(&p, 1, OPUS | HAIKU);
	join_for(&p, 2, HAIKU);
	hold_family(&p, 0, 3600 * 1000);
	UNTIL(f, p.g[1].held);
	lock_hold(p.g[0].b, f->account,
		  &(struct lock_limit){ HOLD_QUOTA, 1800 * 1000, "429\n\nhaiku", HAIKU });
	UNTIL(f, p.g[2].held);
	CHECK_STR(p.g[2].refusal, "429\n\nhaiku");
	join_for(&p, 3, OPUS | HAIKU);
	UNTIL(f, p.g[3].held);
	CHECK_STR(p.g[1].refusal, "429\n\nopus");
	CHECK_STR(p.g[3].refusal, "429\n\nopus");
	CHECK(p.g[3].held_ms > 1800 * 1000);
	lock_release(f->b[0], f->account, OPUS | HAIKU);
	for (int i = 0; i < 4; i++)
		guest_leave(&p.g[i], false);
}

/* Whoever joins over another connection now finds it held. */
static void is_held(struct fixture *f)
{
	int tries = 1000;

	while (!ask(f, LOCK_LOOK).opus.kind && --tries > 0)
		;
	CHECK(tries > 0);
}

/* An operator sees it, and ends it. */
static void test_family_operator(struct fixture *f)
{
	struct party p = { .f = f };
	struct asked a;

	join_for(&p, 0, OPUS);
	hold_family(&p, 0, 3600 * 1000);
	is_held(f);
	a = ask(f, LOCK_LOOK);
	CHECK_INT(a.hold.kind, HOLD_NONE);
	CHECK_INT(a.opus.kind, HOLD_QUOTA);
	CHECK_INT(ask(f, LOCK_RELEASE).error, 0);
	CHECK_INT(ask(f, LOCK_RELEASE).error, -ENOENT);
	guest_leave(&p.g[0], true);
}

/* Its probe goes alone among those of the family, beside all others. */
static void test_family_probe(struct fixture *f)
{
	struct party p = { .f = f };
	static const struct lock_terms three = {
		.ttl_ms = 3000, .max_hold_ms = 60000, .max_waiting = 100, .turns = 3
	};

	for (int i = 0; i < COUNT; i++)
		p.g[i].t.terms = three;
	join_for(&p, 0, OPUS);
	hold_family(&p, 0, 300);
	is_held(f);
	guest_leave(&p.g[0], true);
	join_for(&p, 1, OPUS);
	join_for(&p, 2, OPUS);
	join_for(&p, 3, HAIKU);
	UNTIL(f, p.g[3].granted);
	UNTIL(f, p.g[1].granted);
	CHECK(p.g[1].probe && !p.g[3].probe);
	settle(f);
	CHECK(!p.g[2].granted);
	hold_family(&p, 1, 300); /* refused again */
	guest_leave(&p.g[1], true);
	UNTIL(f, p.g[2].granted);
	CHECK(p.g[2].probe);
	lock_release(p.g[2].b, f->account, OPUS);
	guest_leave(&p.g[2], true);
	guest_leave(&p.g[3], true);
	join_for(&p, 4, OPUS);
	UNTIL(f, p.g[4].granted);
	CHECK(!p.g[4].probe);
	guest_leave(&p.g[4], true);
}

/* Holds of accounts that nobody uses are forgotten before they take all memory. */
static void test_many(struct fixture *f)
{
	struct lock_stats before, after;
	char name[32];

	f->b[0]->ops->stats(f->b[0], &before);
	for (int i = 0; i < 1500; i++) {
		struct guest g = { 0 };

		snprintf(name, sizeof name, "many-%d", i);
		guest_enter(&g, f->b[0], name);
		UNTIL(f, g.granted);
		lock_hold(f->b[0], name,
			  &(struct lock_limit){ HOLD_THROTTLE, 3600 * 1000, "429\n\n" });
		guest_leave(&g, true);
	}
	f->b[0]->ops->stats(f->b[0], &after);
	CHECK(after.forgotten - before.forgotten >= 450);
}

/* An operator sees it, and ends it. */
static void test_operator(struct fixture *f)
{
	struct party p = { 0 };
	struct asked a;

	refused(&p, f, HOLD_QUOTA, 3600 * 1000);
	UNTIL(f, p.g[1].held);
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
		{ "throttle", test_throttle },
		{ "probes", test_probes },
		{ "quota", test_quota },
		{ "no burst", test_no_burst },
		{ "family", test_family },
		{ "family probe", test_family_probe },
		{ "two windows", test_two_windows },
		{ "family operator", test_family_operator },
		{ "many", test_many, true },
		{ "operator", test_operator },
		{ "stop", pair_stop },
	};

	return pair_main(cases, ARRAY_SIZE(cases));
}
