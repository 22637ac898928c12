/*
 * test_lock_outage.c - Redis is away: who waits goes on waiting, until redis.outage_ms are over, and has
 * its place again; newcomers don't.
 *
 * Behind an outage the line waits for all of its processes, but only for so long (gather and grace in
 * prelude.lua), by Redis' clock. Where this machine was slower than that, or than a command's timeout
 * before, nothing is promised about the order: the case says so, and runs anew.
 */
#include <signal.h>

#include "redis_fixture.h"

enum { MANY = 10, ATTEMPTS = 10 };

enum heard { NOT_YET, IN_TIME, TOO_LATE };

/*
 * ARGV: until when the line waits, "gather" or "grace"; how many have a place, and how many the turn, when all
 * are back. Replies an enum heard.
 */
static const char heard_script[] =
	"local t = redis.call('TIME') "
	"local now = t[1] * 1000 + math.floor(t[2] / 1000) "
	"local ends = tonumber(redis.call('HGET', 't_line:a', ARGV[1])) "
	"local all = ends and redis.call('ZCARD', 't_wait:a') == tonumber(ARGV[2]) "
	"and redis.call('EXISTS', 't_lock:a') == tonumber(ARGV[3]) "
	"and redis.call('ZCOUNT', 't_alive:a', ends, ends) == 0 " /* a grace is such a lease */
	"return ends and (now >= ends and 2 or all and 1) or 0";

/* Whether all who wait, and who has the turn, are back within the time that the line waits for them. */
static bool heard_in_time(struct fixture *f, const char *until, int waiting, int held)
{
	enum heard heard = NOT_YET;

	UNTIL(f, (heard = redis_ask(&f->server, "EVAL %s 0 %s %d %d", heard_script, until, waiting,
				    held)) != NOT_YET);
	return heard == IN_TIME;
}

/* False if this machine is too slow for a command's timeout: then an outage may be under way already. */
static bool all_join(struct fixture *f, struct guest *g)
{
	bool joined = true;

	for (int i = 0; i < MANY; i++) {
		g[i].t.terms = (struct lock_terms){ 0, 60000, LONG_MS, 100 };
		guest_enter(&g[i], f->b[i % 2], "a");
		UNTIL(f, g[i].granted || g[i].waiting || g[i].failed);
		joined = joined && !g[i].failed;
	}
	joined = joined && g[0].granted && redis_ask(&f->server, "ZCARD t_wait:a") == MANY - 1;
	return joined && is_up(f->b[0]) && is_up(f->b[1]);
}

static bool all_leave(struct guest *g)
{
	for (int i = 0; i < MANY; i++)
		guest_leave(&g[i], false);
	return false;
}

static void newcomers_fail(struct fixture *f)
{
	struct guest late = { 0 };
	int64_t start = clock_ms();

	guest_enter(&late, f->b[0], "a");
	UNTIL(f, late.failed);
	CHECK(clock_ms() - start < timeout_ms(f) + LATE_MS);
	guest_leave(&late, false);
}

static void all_in_order(struct fixture *f, struct guest *g, int first)
{
	for (int i = first; i < MANY; i++) {
		UNTIL(f, g[i].granted);
		CHECK_INT(g[i].lost + g[i].failed, 0);
		for (int k = i + 1; k < MANY; k++)
			CHECK_INT(g[k].granted, 0);
		guest_leave(&g[i], true);
	}
}

/* It comes back empty, after more than a waiter's lease: the line is what it was. */
static bool test_line_stays(struct fixture *f)
{
	struct guest g[MANY] = { 0 };

	if (!all_join(f, g))
		return all_leave(g);
	redis_server_kill(&f->server);
	pass(f, timeout_ms(f) + 1500);
	newcomers_fail(f);
	redis_server_start(&f->server);
	if (!heard_in_time(f, "gather", MANY - 1, 1))
		return all_leave(g);
	CHECK_INT(g[0].lost, 0);
	guest_leave(&g[0], true);
	all_in_order(f, g, 1);
	return true;
}

/* The holder leaves meanwhile, and the first of those who wait hangs up. */
static bool test_line_moves_meanwhile(struct fixture *f)
{
	struct guest g[MANY] = { 0 };

	if (!all_join(f, g))
		return all_leave(g);
	redis_server_kill(&f->server);
	pass(f, 500);
	guest_leave(&g[0], true);
	guest_leave(&g[1], false);
	pass(f, timeout_ms(f) + 1500);
	redis_server_start(&f->server);
	if (!heard_in_time(f, "gather", MANY - 2, 0))
		return all_leave(g);
	all_in_order(f, g, 2);
	return true;
}

/* It is frozen for longer than all leases of waiters, and goes on with its data. */
static bool test_frozen(struct fixture *f)
{
	struct guest g[MANY] = { 0 };

	if (!all_join(f, g))
		return all_leave(g);
	kill(f->server.pid, SIGSTOP);
	pass(f, timeout_ms(f) + 2500);
	kill(f->server.pid, SIGCONT);
	if (!heard_in_time(f, "grace", MANY - 1, 1))
		return all_leave(g);
	UNTIL(f, is_up(f->b[0]) && is_up(f->b[1]));
	guest_leave(&g[0], true);
	all_in_order(f, g, 1);
	return true;
}

/* Longer than anybody is to wait. */
static bool test_too_long(struct fixture *f)
{
	struct guest g[MANY] = { 0 };
	int64_t start;

	f->config.redis.outage_ms = timeout_ms(f) + 1500; /* a link reads it as it is lost */
	if (!all_join(f, g))
		return all_leave(g);
	start = clock_ms();
	redis_server_kill(&f->server);
	for (int i = 1; i < MANY; i++)
		UNTIL(f, g[i].failed);
	CHECK(clock_ms() - start >= timeout_ms(f) + 1400);
	CHECK(clock_ms() - start < timeout_ms(f) + 1500 + LATE_MS);
	CHECK_INT(g[0].lost, 0);
	all_leave(g);
	redis_server_start(&f->server);
	UNTIL(f, is_up(f->b[0]) && is_up(f->b[1]));
	return true;
}

/* It answers, but takes nothing: for longer than waiters' leases, which nobody can renew. */
static bool refused_and_back(struct fixture *f, const char *setting)
{
	struct guest g[MANY] = { 0 };

	if (!all_join(f, g))
		return all_leave(g);
	redis_ask(&f->server, "CONFIG SET %s 1", setting);
	pass(f, 4500);
	newcomers_fail(f);
	redis_ask(&f->server, "CONFIG SET %s 0", setting);
	guest_leave(&g[0], true);
	if (!heard_in_time(f, "grace", MANY - 2, 1)) /* the first of them has it then */
		return all_leave(g);
	all_in_order(f, g, 1);
	return true;
}

static bool test_refused(struct fixture *f)
{
	return refused_and_back(f, "maxmemory");
}

static bool test_no_replicas(struct fixture *f)
{
	return refused_and_back(f, "min-replicas-to-write");
}

/* The same, longer than anybody is to wait. */
static bool test_refused_too_long(struct fixture *f)
{
	struct guest g[MANY] = { 0 };
	int64_t start;

	if (!all_join(f, g))
		return all_leave(g);
	f->config.redis.outage_ms = 2500;
	start = clock_ms();
	redis_ask(&f->server, "CONFIG SET maxmemory 1");
	for (int i = 1; i < MANY; i++)
		UNTIL(f, g[i].failed);
	CHECK(clock_ms() - start >= 2500);
	redis_ask(&f->server, "CONFIG SET maxmemory 0");
	all_leave(g);
	return true;
}

struct outage_case {
	const char *name;
	bool (*run)(struct fixture *f); /* false: this machine was too slow */
};

static bool run_once(const struct outage_case *c)
{
	int before = check_failures;
	struct fixture f;
	bool in_time;

	open_fixture(&f);
	f.config.redis.outage_ms = LONG_MS;
	in_time = c->run(&f);
	close_fixture(&f);
	if (check_failures > before)
		fprintf(stderr, "in %s\n", c->name);
	return in_time;
}

static void run_outage_case(const struct outage_case *c)
{
	bool in_time = run_once(c);

	for (int i = 1; !in_time && i < ATTEMPTS; i++) {
		fprintf(stderr, "%s: too slow here, and begins anew\n", c->name);
		in_time = run_once(c);
	}
	CHECK(in_time);
}

int main(void)
{
	static const struct outage_case cases[] = {
		{ "line stays", test_line_stays },
		{ "line moves meanwhile", test_line_moves_meanwhile },
		{ "frozen", test_frozen },
		{ "too long", test_too_long },
		{ "refused", test_refused },
		{ "no replicas", test_no_replicas },
		{ "refused too long", test_refused_too_long },
	};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		run_outage_case(&cases[i]);
	return check_done();
}
