/*
 * test_lock_checkup.c - a Redis that answers and is of no use is found out without anybody entering, with
 * its reason; and so is that it is of use again.
 */
#include <signal.h>

#include "redis_fixture.h"

enum { SOON_MS = 3000 };

static void stats_of(struct fixture *f, struct lock_stats *ret)
{
	f->b[0]->ops->stats(f->b[0], ret);
}

static bool refuses(struct fixture *f, const char *word)
{
	struct lock_stats s;

	stats_of(f, &s);
	return !s.up && !strncmp(s.refusal, word, strlen(word));
}

static bool hand_overs_are_slow(struct fixture *f)
{
	struct lock_stats s;

	stats_of(f, &s);
	CHECK(s.up);
	return *s.slow_hand_overs;
}

static void found_out(struct fixture *f, const char *word)
{
	int64_t start = clock_ms();

	UNTIL(f, refuses(f, word));
	CHECK(clock_ms() - start < SOON_MS + LATE_MS);
}

static void found_well(struct fixture *f)
{
	struct guest g = { 0 };
	int64_t start = clock_ms();

	UNTIL(f, is_up(f->b[0]));
	CHECK(clock_ms() - start < SOON_MS + LATE_MS);
	guest_enter(&g, f->b[0], "a");
	UNTIL(f, g.granted);
	guest_leave(&g, true);
}

static void test_no_replicas(struct fixture *f)
{
	redis_ask(&f->server, "CONFIG SET min-replicas-to-write 1");
	found_out(f, "NOREPLICAS");
	redis_ask(&f->server, "CONFIG SET min-replicas-to-write 0");
	found_well(f);
}

static void test_out_of_memory(struct fixture *f)
{
	redis_ask(&f->server, "CONFIG SET maxmemory 1");
	found_out(f, "OOM");
	redis_ask(&f->server, "CONFIG SET maxmemory 0");
	found_well(f);
}

static void test_no_scripts(struct fixture *f)
{
	redis_ask(&f->server, "ACL SETUSER default -evalsha -eval");
	found_out(f, "NOPERM");
	redis_ask(&f->server, "ACL SETUSER default +@all");
	found_well(f);
}

static void test_no_clock(struct fixture *f)
{
	redis_ask(&f->server, "ACL SETUSER default -time");
	found_out(f, "ERR"); /* as a script's error, its text differs by version */
	redis_ask(&f->server, "ACL SETUSER default +@all");
	found_well(f);
}

static void test_no_keys(struct fixture *f)
{
	redis_ask(&f->server, "ACL SETUSER default resetkeys ~t_live*");
	found_out(f, "NOPERM");
	redis_ask(&f->server, "ACL SETUSER default ~*");
	found_well(f);
}

/* What an enter meets counts as well, and isn't forgiven by a check that asks for less. */
static void test_enters_count(struct fixture *f)
{
	struct guest g = { 0 };

	redis_ask(&f->server, "ACL SETUSER default -hmget");
	guest_enter(&g, f->b[0], "a");
	UNTIL(f, g.failed);
	CHECK(refuses(f, ""));
	guest_leave(&g, false);
	redis_ask(&f->server, "ACL SETUSER default +@all");
	found_well(f);
}

static void test_no_messages(struct fixture *f)
{
	int64_t start = clock_ms();

	redis_ask(&f->server, "ACL SETUSER default -publish");
	UNTIL(f, hand_overs_are_slow(f));
	CHECK(clock_ms() - start < SOON_MS + LATE_MS);
	redis_ask(&f->server, "ACL SETUSER default +@all");
	UNTIL(f, !hand_overs_are_slow(f));
	redis_ask(&f->server, "ACL SETUSER default -subscribe");
	redis_ask(&f->server, "CLIENT KILL TYPE pubsub");
	UNTIL(f, hand_overs_are_slow(f));
	redis_ask(&f->server, "ACL SETUSER default +@all");
	UNTIL(f, !hand_overs_are_slow(f));
}

/* It leaves nothing behind. */
static void test_traces(struct fixture *f)
{
	pass(f, 1500);
	CHECK_INT(redis_ask(&f->server, "EXISTS t_last:check t_line:check t_wait:check"), 0);
}

int main(void)
{
	static const struct redis_case cases[] = {
		{ "no replicas", test_no_replicas }, { "out of memory", test_out_of_memory },
		{ "no scripts", test_no_scripts },   { "no clock", test_no_clock },
		{ "no keys", test_no_keys },         { "enters count", test_enters_count },
		{ "no messages", test_no_messages }, { "traces", test_traces },
	};

	signal(SIGPIPE, SIG_IGN);
	run_redis_cases(cases, ARRAY_SIZE(cases), NULL);
	return check_done();
}
