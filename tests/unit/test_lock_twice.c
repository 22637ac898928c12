/*
 * test_lock_twice.c - a process too busy to hear what two touches say, that a waiter is unknown: so
 * it enters that waiter twice. Whatever the first is told, the second leaves nothing behind in
 * Redis.
 */
#include <signal.h>

#include "redis_fixture.h"

static int removed;

static void hears_removed(struct lock_ticket *t, const struct lock_news *news)
{
	if (news->event == LOCK_REMOVED)
		removed++;
	else
		guest_hears(t, news);
}

static int64_t scripts_run(struct fixture *f)
{
	redisReply *r = redisCommand(f->server.client, "INFO commandstats");
	int64_t calls = 0;

	for (const char *at = r->str; (at = strstr(at, "cmdstat_eval")); at++)
		calls += strtoll(strchr(at, '=') + 1, NULL, 10);
	freeReplyObject(r);
	return calls;
}

/* Until the keepers have run that many scripts; the loop stands still. */
static void block_loop(struct fixture *f, int64_t scripts)
{
	int64_t enough = scripts_run(f) + scripts, start_ms = clock_ms();

	while (scripts_run(f) < enough && !check_is_over(start_ms, 15000))
		usleep(10000);
	CHECK(scripts_run(f) >= enough);
}

/* An operator removes it, and the message is lost. The turn is free when it is entered. */
static void test_removed(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };

	removed = 0;
	a.t.terms = (struct lock_terms){ 0, 60000, 60000, 10 };
	redis_ask(&f->server, "SET t_lock:a another PX 60000");
	guest_enter(&a, f->b[0], "a");
	a.t.on_event = hears_removed;
	UNTIL(f, a.waiting);
	redis_ask(&f->server, "ZREM t_wait:a %s", a.t.id);
	redis_ask(&f->server, "ZREM t_alive:a %s", a.t.id);
	redis_ask(&f->server, "HSET t_who:a %s %s", a.t.id, "removed 1");
	block_loop(f, 3); /* the first touch may be sent as text */
	redis_ask(&f->server, "DEL t_lock:a");
	UNTIL(f, removed);
	guest_leave(&a, false);
	guest_enter(&b, f->b[1], "a");
	UNTIL(f, b.granted);
	UNTIL(f, !redis_ask(&f->server, "HEXISTS t_who:a %s", a.t.id));
	guest_leave(&b, false);
}

static const struct redis_case cases[] = {
	{ "removed", test_removed },
};

/* With an argument: only that case. */
int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	run_redis_cases(cases, ARRAY_SIZE(cases), argc > 1 ? argv[1] : NULL);
	return check_done();
}
