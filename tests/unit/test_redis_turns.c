/*
 * test_redis_turns.c - places that were lost, with the redis backend.
 */
#include <signal.h>

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
 * What a process finds that was stopped for longer than a lease: its place is gone, others have joined, and
 * there is no room. That is the line's state, not a failure of the backend.
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

static const struct redis_case cases[] = {
	{ "lost place in a full line", test_lost_place_in_a_full_line },
};

/* With an argument: only that case. */
int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	run_redis_cases(cases, ARRAY_SIZE(cases), argc > 1 ? argv[1] : NULL);
	return check_done();
}
