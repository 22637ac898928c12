/*
 * test_tickets.c - places that were lost, and what operators see of a delay, with the redis
 * backend.
 */
#include <signal.h>

#include "queue/query.h"
#include "redis_fixture.h"

static int64_t server_now(struct fixture *f)
{
	redisReply *r = redisCommand(f->server.client, "TIME");
	int64_t now = strtoll(r->element[0]->str, NULL, 10) * 1000 +
		      strtoll(r->element[1]->str, NULL, 10) / 1000;

	freeReplyObject(r);
	return now;
}

/*
 * What a process finds that was stopped for longer than a lease: its place is gone, others have
 * joined, and there is no room. That is the line's state, not a failure of the backend.
 */
static void test_lost_place_in_a_full_line(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };

	b.t.terms = (struct lock_terms){ 0, 3000, 60000, 1 };
	hold_and_wait(f, &a, &b);
	redis_ask(&f->server, "ZREM t_wait:a %s", b.t.id);
	redis_ask(&f->server, "ZADD t_wait:a 5 other.1:1");
	redis_ask(&f->server, "ZADD t_alive:a %lld other.1:1", (long long)(server_now(f) + 2900));
	UNTIL(f, b.full || b.failed || b.granted);
	CHECK_INT(b.full, 1);
	CHECK_INT(b.failed + b.granted, 0);
	guest_leave(&b, false);
	pass(f, 300);
	CHECK_INT(redis_ask(&f->server, "ZCARD t_wait:a"), 1); /* nothing of it is left */
	CHECK_INT(redis_ask(&f->server, "HEXISTS t_who:a %s", b.t.id), 0);
	guest_leave(&a, false);
}

/* --- the delay as operators see it -------------------------------------------------------- */

struct asker {
	struct lock_query q;
	bool answered;
	struct lock_holder holder;
};

static void answered(struct lock_query *q, const struct lock_answer *answer)
{
	struct asker *asker = container_of(q, struct asker, q);

	CHECK_INT(answer->count, 1);
	asker->answered = true;
	asker->holder = *lock_view_first(&answer->views[0]);
}

/* By the other process: what it sees is in Redis. */
static struct lock_holder look(struct fixture *f)
{
	struct asker asker = { .q = { .verb = LOCK_LOOK, .account = "a", .answered = answered } };

	lock_query_send(f->b[1], &asker.q);
	UNTIL(f, asker.answered);
	return asker.holder;
}

static void check_paces(struct fixture *f, const struct guest *g, int64_t delay_ms)
{
	struct lock_holder v = look(f);

	CHECK_STR(v.who.ticket, g->t.id);
	CHECK(v.held_known && v.held_ms < 0 && v.held_ms >= -delay_ms);
	CHECK(v.who.waited_ms > 0 && v.who.waited_ms <= delay_ms + LATE_MS);
}

static void test_delay_is_seen(struct fixture *f)
{
	const struct lock_terms paced = { 2000, 3000, 60000, 10 };
	struct guest a = { 0 }, b = { 0 }, c = { 0 };
	struct lock_holder v;

	a.t.terms = b.t.terms = c.t.terms = paced;
	guest_enter(&a, f->b[0], "a");
	UNTIL(f, a.granted);
	v = look(f);
	CHECK(v.held_known && v.held_ms >= 0); /* there was no turn before */
	guest_enter(&b, f->b[0], "a");
	UNTIL(f, b.waiting);
	guest_leave(&a, true);
	UNTIL(f, b.granted);
	check_paces(f, &b, 2000); /* handed on */
	guest_leave(&b, false);
	guest_enter(&c, f->b[0], "a");
	UNTIL(f, c.granted);
	check_paces(f, &c, 2000); /* entered while it was free */
	UNTIL(f, (pass(f, 20), look(f).held_ms >= 0));
	CHECK(clock_ms() >= c.granted_at_ms + c.delay_ms - 50);
	CHECK(clock_ms() <= c.granted_at_ms + c.delay_ms + LATE_MS);
	guest_leave(&c, false);
}

/* Who gives up during the delay has waited until then, not to its end. */
static void test_left_during_delay(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };
	struct lock_holder v;
	int64_t ms = -1;
	redisReply *r;

	a.t.terms = b.t.terms = (struct lock_terms){ 10000, 3000, 60000, 10 };
	guest_enter(&a, f->b[0], "a");
	UNTIL(f, a.granted);
	guest_leave(&a, true);
	guest_enter(&b, f->b[0], "a");
	UNTIL(f, b.granted);
	v = look(f);
	CHECK(v.held_ms < -5000);
	guest_leave(&b, false);
	UNTIL(f, redis_ask(&f->server, "LLEN t_times:a") == 2);
	r = redisCommand(f->server.client, "LINDEX t_times:a 0");
	CHECK(sscanf(r->str, "%*d %" SCNd64 " -1", &ms) == 1 && ms >= 0 && ms < 5000);
	freeReplyObject(r);
}

static const struct redis_case cases[] = {
	{ "lost place in a full line", test_lost_place_in_a_full_line },
	{ "delay is seen", test_delay_is_seen },
	{ "left during the delay", test_left_during_delay },
};

/* With an argument: only that case. */
int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	run_redis_cases(cases, ARRAY_SIZE(cases), argc > 1 ? argv[1] : NULL);
	return check_done();
}
