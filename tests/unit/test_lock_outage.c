/*
 * test_lock_outage.c - Redis is away: who waits goes on waiting, until redis.outage_ms are over, and has
 * its place again; newcomers don't.
 */
#include <signal.h>

#include "redis_fixture.h"

enum { MANY = 10 };

static void join(struct fixture *f, struct guest *g, struct lock_backend *b)
{
	g->t.terms = (struct lock_terms){ 0, 60000, 600000, 100 };
	guest_enter(g, b, "a");
	UNTIL(f, g->granted || g->waiting);
}

static void newcomers_fail(struct fixture *f)
{
	struct guest late = { 0 };
	int64_t start = clock_ms();

	guest_enter(&late, f->b[0], "a");
	UNTIL(f, late.failed);
	CHECK(clock_ms() - start < TIMEOUT_MS + LATE_MS);
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
static void test_line_stays(struct fixture *f)
{
	struct guest g[MANY] = { 0 };

	f->config.redis.outage_ms = 60000;
	for (int i = 0; i < MANY; i++)
		join(f, &g[i], f->b[i % 2]);
	redis_server_kill(&f->server);
	pass(f, TIMEOUT_MS + 1500);
	newcomers_fail(f);
	redis_server_start(&f->server);
	UNTIL(f, is_up(f->b[0]) && is_up(f->b[1]));
	UNTIL(f, redis_ask(&f->server, "ZCARD t_wait:a") == MANY - 1);
	CHECK_INT(g[0].lost, 0);
	guest_leave(&g[0], true);
	all_in_order(f, g, 1);
}

/* The holder leaves meanwhile, and the first of those who wait hangs up. */
static void test_line_moves_meanwhile(struct fixture *f)
{
	struct guest g[MANY] = { 0 };

	f->config.redis.outage_ms = 60000;
	for (int i = 0; i < MANY; i++)
		join(f, &g[i], f->b[i % 2]);
	redis_server_kill(&f->server);
	pass(f, 500);
	guest_leave(&g[0], true);
	guest_leave(&g[1], false);
	pass(f, TIMEOUT_MS + 1500);
	redis_server_start(&f->server);
	all_in_order(f, g, 2);
}

/* It is frozen for longer than all leases of waiters, and goes on with its data. */
static void test_frozen(struct fixture *f)
{
	struct guest g[MANY] = { 0 };

	f->config.redis.outage_ms = 60000;
	for (int i = 0; i < MANY; i++)
		join(f, &g[i], f->b[i % 2]);
	kill(f->server.pid, SIGSTOP);
	pass(f, TIMEOUT_MS + 2500);
	kill(f->server.pid, SIGCONT);
	UNTIL(f, is_up(f->b[0]) && is_up(f->b[1]));
	pass(f, 1500);
	guest_leave(&g[0], true);
	all_in_order(f, g, 1);
}

/* Longer than anybody is to wait. */
static void test_too_long(struct fixture *f)
{
	struct guest g[MANY] = { 0 };
	int64_t start;

	f->config.redis.outage_ms = TIMEOUT_MS + 1500;
	for (int i = 0; i < MANY; i++)
		join(f, &g[i], f->b[i % 2]);
	start = clock_ms();
	redis_server_kill(&f->server);
	for (int i = 1; i < MANY; i++)
		UNTIL(f, g[i].failed);
	CHECK(clock_ms() - start >= TIMEOUT_MS + 1400);
	CHECK(clock_ms() - start < TIMEOUT_MS + 1500 + LATE_MS);
	CHECK_INT(g[0].lost, 0);
	for (int i = 0; i < MANY; i++)
		guest_leave(&g[i], false);
	redis_server_start(&f->server);
	UNTIL(f, is_up(f->b[0]) && is_up(f->b[1]));
}

/* It answers, but takes nothing: for longer than waiters' leases, which nobody can renew. */
static void test_refused(struct fixture *f)
{
	struct guest g[MANY] = { 0 };

	f->config.redis.outage_ms = 60000;
	for (int i = 0; i < MANY; i++)
		join(f, &g[i], f->b[i % 2]);
	redis_ask(&f->server, "CONFIG SET maxmemory 1");
	pass(f, 4500);
	newcomers_fail(f);
	redis_ask(&f->server, "CONFIG SET maxmemory 0");
	guest_leave(&g[0], true);
	all_in_order(f, g, 1);
}

/* The same, longer than anybody is to wait. */
static void test_refused_too_long(struct fixture *f)
{
	struct guest g[MANY] = { 0 };
	int64_t start;

	f->config.redis.outage_ms = 2500;
	for (int i = 0; i < MANY; i++)
		join(f, &g[i], f->b[i % 2]);
	start = clock_ms();
	redis_ask(&f->server, "CONFIG SET maxmemory 1");
	for (int i = 1; i < MANY; i++)
		UNTIL(f, g[i].failed);
	CHECK(clock_ms() - start >= 2500);
	redis_ask(&f->server, "CONFIG SET maxmemory 0");
	for (int i = 0; i < MANY; i++)
		guest_leave(&g[i], false);
}

int main(void)
{
	static const struct redis_case cases[] = {
		{ "line stays", test_line_stays },
		{ "line moves meanwhile", test_line_moves_meanwhile },
		{ "frozen", test_frozen },
		{ "too long", test_too_long },
		{ "refused", test_refused },
		{ "refused too long", test_refused_too_long },
	};

	signal(SIGPIPE, SIG_IGN);
	run_redis_cases(cases, ARRAY_SIZE(cases), NULL);
	return check_done();
}
