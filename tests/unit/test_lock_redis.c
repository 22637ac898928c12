/*
 * test_lock_redis.c - what the contract of lock.h doesn't say: faults and cost of the redis
 * backend, against a real redis-server that is killed, frozen and filled up.
 */
#include <signal.h>

#include "queue/query.h"
#include "redis_fixture.h"

static void test_hand_over_is_a_message(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };
	int64_t start;

	hold_and_wait(f, &a, &b);
	start = clock_ms();
	guest_leave(&a, true);
	UNTIL(f, b.granted);
	CHECK(b.granted_at_ms - start < LATE_MS); /* touches come every second */
	CHECK(redis_ask(&f->server, "PTTL t_lock:a") <= 3000);
	CHECK_INT(b.lost, 0);
	guest_leave(&b, true);
}

static void test_lost_messages(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };
	int64_t start;

	hold_and_wait(f, &a, &b);
	redis_ask(&f->server, "ACL SETUSER default resetchannels"); /* cuts subscribers, too */
	start = clock_ms();
	guest_leave(&a, true);
	UNTIL(f, b.granted);
	CHECK(b.granted_at_ms - start < 1000 + LATE_MS);
	guest_leave(&b, true);
	redis_ask(&f->server, "ACL SETUSER default allchannels");
}

/* The message that an account is held is a hint as well: the next touch tells. */
static void test_limit_without_a_message(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };
	redisReply *r;
	int64_t now, start;

	hold_and_wait(f, &a, &b);
	r = redisCommand(f->server.client, "TIME");
	now = strtoll(r->element[0]->str, NULL, 10) * 1000;
	freeReplyObject(r);
	redis_ask(
		&f->server,
		"HSET t_line:a limit_kind quota limit_since %lld limit_said %lld limit_until %lld "
		"limit_probe %lld limit_refusals 1 refusal 429",
		now, now, now + 3600000, now + 60000);
	start = clock_ms();
	UNTIL(f, b.held);
	CHECK(clock_ms() - start < 1000 + LATE_MS);
	CHECK_STR(b.refusal, "429");
	CHECK(b.held_ms > 3500000);
	pass(f, 1200); /* the next touch: it is told once */
	CHECK_INT(b.held, 1);
	guest_leave(&b, false);
	guest_leave(&a, true);
	lock_release(f->b[0], "a", 0);
}

/* A confirmation too late hands the turn to another one of the same process: who must hear it. */
static void test_late_confirmation(struct fixture *f)
{
	struct guest a = { 0 }, late = { 0 }, next = { 0 };
	char owner[LOCK_TICKET_MAX], message[LOCK_TICKET_MAX + 8];
	int64_t start;

	a.t.terms = (struct lock_terms){ 0, 600000, 600000, 10 }; /* no renewal takes it back */
	hold_and_wait(f, &a, &late);
	guest_enter(&next, f->b[1], "a");
	UNTIL(f, next.waiting);
	snprintf(message, sizeof message, "%s granted", late.t.id);
	snprintf(owner, sizeof owner, "%s", late.t.id);
	*strchr(owner, ':') = '\0';
	redis_ask(&f->server, "DEL t_lock:a t_seats:a");
	redis_ask(&f->server, "ZREM t_wait:a %s", late.t.id);
	start = clock_ms();
	redis_ask(&f->server, "PUBLISH t:%s %b", owner, message, strlen(message));
	UNTIL(f, next.granted);
	CHECK(next.granted_at_ms - start < LATE_MS); /* not its next touch */
	guest_leave(&next, false);
	UNTIL(f, late.granted); /* it has joined again */
	guest_leave(&late, false);
	guest_leave(&a, false);
}

static void test_cut_subscriber(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };
	int64_t start;

	hold_and_wait(f, &a, &b);
	CHECK(redis_ask(&f->server, "CLIENT KILL TYPE pubsub") > 0);
	guest_leave(&a, true);
	start = clock_ms();
	UNTIL(f, b.granted);
	CHECK(b.granted_at_ms - start < 1000 + LATE_MS);
	guest_leave(&b, true);
}

static void test_cut_connections(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };
	int64_t start;

	a.t.terms =
		(struct lock_terms){ 0, 30000, 60000, 10 }; /* it isn't the lease that ends it */
	hold_and_wait(f, &a, &b);
	redis_ask(&f->server, "CLIENT KILL TYPE normal SKIPME yes");
	UNTIL(f, !is_up(f->b[0]) && !is_up(f->b[1]));
	start = clock_ms();
	guest_leave(&a, true); /* can't be delivered: a debt */
	UNTIL(f, b.granted);
	CHECK(clock_ms() - start < 1000 + LATE_MS);
	CHECK_INT(b.failed, 0);
	pass(f, 1100); /* the debt, tried again, ends nobody else's */
	CHECK_INT(b.lost, 0);
	guest_leave(&b, true);
}

static int64_t server_now(struct fixture *f)
{
	redisReply *r = redisCommand(f->server.client, "TIME");
	int64_t now = strtoll(r->element[0]->str, NULL, 10) * 1000 +
		      strtoll(r->element[1]->str, NULL, 10) / 1000;

	freeReplyObject(r);
	return now;
}

static void add_ghost(struct fixture *f, int64_t lease_ms)
{
	redis_ask(&f->server, "ZADD t_wait:a -1 ghost.1:1");
	redis_ask(&f->server, "ZADD t_alive:a %lld ghost.1:1",
		  (long long)(server_now(f) + lease_ms));
}

static void test_dead_waiters(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };
	int64_t start;

	hold_and_wait(f, &a, &b);
	add_ghost(f, -1);
	start = clock_ms();
	guest_leave(&a, true);
	UNTIL(f, b.granted);
	CHECK(b.granted_at_ms - start < LATE_MS); /* skipped */
	guest_leave(&b, true);
	hold_and_wait(f, &a, &b);
	add_ghost(f, 2000);
	start = clock_ms();
	guest_leave(&a, true); /* the ghost gets it, and never confirms */
	UNTIL(f, b.granted);
	CHECK(b.granted_at_ms - start > 1500);
	CHECK(b.granted_at_ms - start < 3000 + LATE_MS);
	guest_leave(&b, true);
}

static void test_flushed_scripts(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };
	int64_t before;

	a.t.terms = b.t.terms = (struct lock_terms){ 0, lease_ms(3000), 60000, 10 };
	hold_and_wait(f, &a, &b);
	redis_ask(&f->server, "SCRIPT FLUSH");
	guest_leave(&a, true);
	UNTIL(f, b.granted);
	redis_ask(&f->server, "SCRIPT FLUSH");
	before = renewals(f->b[1]);
	UNTIL(f, renewals(f->b[1]) > before); /* by the keeper, too */
	CHECK_INT(b.lost, 0);
	redis_ask(&f->server, "SCRIPT FLUSH");
	guest_leave(&b, true);
	guest_enter(&a, f->b[0], "a");
	UNTIL(f, a.granted);
	guest_leave(&a, true);
}

static void test_short_restart(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };

	hold_and_wait(f, &a, &b);
	redis_server_kill(&f->server);
	redis_server_start(&f->server); /* and all data are gone */
	UNTIL(f, redis_ask(&f->server, "EXISTS t_lock:a"));
	UNTIL(f, is_up(f->b[0]) && is_up(f->b[1]));
	pass(f, 1500);                 /* both have renewed and touched */
	UNTIL(f, a.lost == b.granted); /* who came first has it: nobody, or both, would be wrong */
	CHECK_INT(redis_ask(&f->server, "EXISTS t_lock:a"), 1);
	guest_leave(&a, true);
	UNTIL(f, b.granted);
	CHECK_INT(b.failed, 0);
	guest_leave(&b, true);
}

/* A waiter's lease can't be renewed then: it is told before it is taken for dead. */
static void test_waiters_out_of_memory(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };
	int64_t start = clock_ms();

	a.t.terms = (struct lock_terms){ 0, 60000, 600000, 10 };
	hold_and_wait(f, &a, &b);
	redis_ask(&f->server, "CONFIG SET maxmemory 1");
	UNTIL(f, b.failed);
	CHECK(clock_ms() - start < 1000 + 250 + LATE_MS);
	pass(f, 1500); /* the holder isn't told anything */
	CHECK_INT(a.lost, 0);
	redis_ask(&f->server, "CONFIG SET maxmemory 0");
	guest_leave(&b, false);
	guest_leave(&a, true);
	UNTIL(f, !redis_ask(&f->server, "EXISTS t_lock:a t_wait:a"));
}

/* Nobody enters: it is the keeper that finds out, and the link is asked. */
static void test_waiters_on_a_replica(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };
	int64_t start = clock_ms();

	a.t.terms = (struct lock_terms){ 0, 30000, 60000, 10 };
	hold_and_wait(f, &a, &b);
	redis_ask(&f->server, "REPLICAOF 127.0.0.1 1");
	UNTIL(f, b.failed);
	CHECK(clock_ms() - start < 2 * timeout_ms(f) + LATE_MS);
	CHECK(!is_up(f->b[1]));
	redis_ask(&f->server, "REPLICAOF NO ONE");
	UNTIL(f, is_up(f->b[0]) && is_up(f->b[1]));
	guest_leave(&b, false);
	guest_leave(&a, true);
}

static void test_long_outage(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 }, c = { 0 };
	int64_t start = clock_ms();

	hold_and_wait(f, &a, &b);
	redis_server_kill(&f->server);
	UNTIL(f, b.failed);
	CHECK(clock_ms() - start < timeout_ms(f) + LATE_MS);
	guest_enter(&c, f->b[0], "c");
	start = clock_ms();
	UNTIL(f, c.failed);
	CHECK(clock_ms() - start < LATE_MS);
	guest_leave(&c, false);
	UNTIL(f, a.lost); /* ttl is 3 s */
	guest_leave(&a, true);
	guest_leave(&b, true);
	redis_server_start(&f->server);
	start = clock_ms();
	UNTIL(f, is_up(f->b[0]) && is_up(f->b[1]));
	CHECK(clock_ms() - start < 1000 + LATE_MS);
	guest_enter(&c, f->b[0], "a");
	UNTIL(f, c.granted);
	guest_leave(&c, false);
}

static void test_frozen(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 }, c = { 0 };
	int64_t start = clock_ms();

	a.t.terms =
		(struct lock_terms){ 0, 60000, 600000, 10 }; /* it isn't the lease that ends it */
	hold_and_wait(f, &a, &b);
	kill(f->server.pid, SIGSTOP);
	guest_enter(&c, f->b[0], "c");
	UNTIL(f, b.failed && c.failed);
	CHECK(clock_ms() - start < timeout_ms(f) + LATE_MS);
	guest_leave(&a, true);
	guest_leave(&b, false);
	guest_leave(&c, false);
	CHECK_INT(a.lost, 0);
	kill(f->server.pid, SIGCONT);
	UNTIL(f, is_up(f->b[0]) && is_up(f->b[1]));
	UNTIL(f, !redis_ask(&f->server, "EXISTS t_lock:a t_lock:c t_wait:a")); /* debts are paid */
	CHECK_INT(redis_ask(&f->server, "EXISTS t_last:a"), 1);
	/* It is listed for as long as its past is known. */
	CHECK(redis_ask(&f->server, "PTTL t_last:a") > LOCK_RECENT_MS - 30000);
	CHECK(redis_ask(&f->server, "PTTL t_times:a") > LOCK_RECENT_MS - 30000);
}

/*
 * Whether the live key of a process was refreshed since *ttl_ms was noted; if not, notes what is
 * left of it.
 */
static bool refreshed(struct fixture *f, const char *owner, int64_t *ttl_ms)
{
	int64_t before_ms = *ttl_ms;

	*ttl_ms = redis_ask(&f->server, "PTTL t_live:%s", owner);
	return *ttl_ms > before_ms;
}

/*
 * Frozen right behind a refresh of the live key, when it takes longest to notice: how long that
 * takes. INT64_MAX if the waiter failed before, as a busy machine alone may take longer than the
 * timeout.
 */
static int64_t frozen_for_waiters(struct fixture *f, struct lock_backend *b)
{
	struct guest a = { 0 }, w = { 0 };
	char owner[LOCK_TICKET_MAX];
	int64_t start, ttl_ms, took_ms = INT64_MAX;

	UNTIL(f, is_up(b));
	guest_enter(&a, f->b[0], "a");
	UNTIL(f, a.granted);
	guest_enter(&w, b, "a");
	UNTIL(f, w.waiting || w.failed);
	snprintf(owner, sizeof owner, "%s", w.t.id);
	*strchr(owner, ':') = '\0';
	ttl_ms = INT64_MAX;
	UNTIL(f, w.failed || refreshed(f, owner, &ttl_ms));
	if (!w.failed) {
		kill(f->server.pid, SIGSTOP);
		start = clock_ms();
		UNTIL(f, w.failed);
		took_ms = clock_ms() - start;
		kill(f->server.pid, SIGCONT);
	}
	guest_leave(&w, false);
	guest_leave(&a, false);
	UNTIL(f, !redis_ask(&f->server, "EXISTS t_lock:a t_wait:a"));
	return took_ms;
}

static void test_short_timeout(struct fixture *f)
{
	int64_t best_ms = INT64_MAX;
	struct lock_backend *b;

	f->config.redis.command_timeout_ms = 100;
	b = new_backend(f);
	for (int i = 0; i < 12 && best_ms >= 100 + 100; i++) {
		int64_t ms = frozen_for_waiters(f, b);

		best_ms = MIN(best_ms, ms);
	}
	CHECK(best_ms < 100 + 100);
	guest_stop(&f->loop, b);
}

/* The first one's answer is lost, so it is sent again and finds no lock: that isn't a lost turn. */
static void test_given_back_twice(struct fixture *f)
{
	struct guest a = { 0 };
	int64_t before = lost(f->b[0]);

	a.t.terms = (struct lock_terms){ 0, 10000, 60000, 10 };
	guest_enter(&a, f->b[0], "a");
	UNTIL(f, a.granted);
	kill(f->server.pid, SIGSTOP);
	guest_leave(&a, true);
	UNTIL(f, !is_up(f->b[0]));
	kill(f->server.pid, SIGCONT);
	UNTIL(f, is_up(f->b[0]) && is_up(f->b[1]));
	UNTIL(f, !redis_ask(&f->server, "EXISTS t_lock:a"));
	pass(f, 1200); /* the debt is tried again within a second */
	CHECK_INT(lost(f->b[0]), before);
}

static void test_stop_while_frozen(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 }, c = { 0 };

	hold_and_wait(f, &a, &b);
	kill(f->server.pid, SIGSTOP);
	guest_enter(&c, f->b[0], "c"); /* which is under way */
	guest_stop(&f->loop, f->b[0]);
	kill(f->server.pid, SIGCONT);
	f->b[0] = new_backend(f);
	UNTIL(f, b.granted || b.failed);
	guest_leave(&b, false);
}

static void test_refusals(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };

	guest_enter(&a, f->b[0], "a");
	UNTIL(f, a.granted);
	redis_ask(&f->server, "CONFIG SET maxmemory 1");
	guest_enter(&b, f->b[1], "b");
	UNTIL(f, b.failed);
	CHECK(!is_up(f->b[1])); /* of use */
	guest_leave(&b, false);
	guest_leave(&a, true); /* needs no memory */
	UNTIL(f, !redis_ask(&f->server, "EXISTS t_lock:a"));
	redis_ask(&f->server, "CONFIG SET maxmemory 0");
	redis_ask(&f->server, "REPLICAOF 127.0.0.1 1");
	guest_enter(&b, f->b[1], "b");
	UNTIL(f, b.failed);
	UNTIL(f, !is_up(f->b[1]));
	guest_leave(&b, false);
	redis_ask(&f->server, "REPLICAOF NO ONE");
	UNTIL(f, is_up(f->b[1]));
	guest_enter(&b, f->b[1], "b");
	UNTIL(f, b.granted);
	guest_leave(&b, false);
}

static void test_renewal(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };

	int64_t ttl_ms = lease_ms(1000);

	a.t.terms = b.t.terms = (struct lock_terms){ 0, ttl_ms, 60000, 10 };
	hold_and_wait(f, &a, &b);
	for (int i = 0; i < 35; i++) { /* more than 3 leases, of the waiter's as well */
		pass(f, ttl_ms / 10);
		CHECK(redis_ask(&f->server, "PTTL t_lock:a") > ttl_ms * 3 / 10);
	}
	CHECK_INT(a.lost + b.failed, 0);
	CHECK_INT(redis_ask(&f->server, "ZCARD t_wait:a"), 1);
	guest_leave(&a, true);
	UNTIL(f, b.granted);
	pass(f, ttl_ms * 7 / 2); /* and after it was handed over */
	CHECK_INT(b.lost, 0);
	guest_leave(&b, true);
}

static int64_t script_calls(struct fixture *f)
{
	redisReply *r = redisCommand(f->server.client, "INFO commandstats");
	int64_t calls = 0;

	for (const char *at = r->str; (at = strstr(at, "cmdstat_eval")); at++)
		calls += strtoll(strchr(at, '=') + 1, NULL, 10);
	/* check.lua is called once a second, for no ticket, and no other script has this. */
	for (const char *at = r->str; (at = strstr(at, "cmdstat_strlen")); at++)
		calls -= strtoll(strchr(at, '=') + 1, NULL, 10);
	freeReplyObject(r);
	return calls;
}

/* How many scripts that takes; in one of some rounds, as a touch or a renewal may come in between. */
static int64_t least_calls(struct fixture *f, void (*round)(struct fixture *f), int64_t wanted)
{
	int64_t least = INT64_MAX;

	for (int i = 0; i < 20 && least > wanted; i++) {
		int64_t before = script_calls(f);

		round(f);
		least = MIN(least, script_calls(f) - before);
	}
	return least;
}

static void take_turn(struct fixture *f)
{
	struct guest a = { 0 };

	guest_enter(&a, f->b[0], "a");
	UNTIL(f, a.granted);
	guest_leave(&a, true);
	UNTIL(f, !redis_ask(&f->server, "EXISTS t_lock:a"));
}

static void hand_on_turn(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };

	hold_and_wait(f, &a, &b);
	guest_leave(&a, true);
	UNTIL(f, b.granted);
	guest_leave(&b, true);
	UNTIL(f, !redis_ask(&f->server, "EXISTS t_lock:a"));
}

/* Two touches of those who wait, and two renewals of the holder. */
static void wait_for_touches(struct fixture *f)
{
	int64_t before = script_calls(f);

	pass(f, 2050);
	UNTIL(f, script_calls(f) - before >= 2 + 1);
}

static void test_cost(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 }, g[10] = { 0 };

	for (int i = 0; i < 2; i++) /* scripts are loaded and the account is known after that */
		hand_on_turn(f);
	CHECK_INT(least_calls(f, take_turn, 2), 2);
	CHECK_INT(least_calls(f, hand_on_turn, 2 + 3), 2 + 3);
	/* Ten waiters of one process: a touch a second, and nothing else. */
	hold_and_wait(f, &a, &b);
	for (size_t i = 0; i < ARRAY_SIZE(g); i++) {
		guest_enter(&g[i], f->b[1], "a");
		UNTIL(f, g[i].waiting);
	}
	CHECK(least_calls(f, wait_for_touches, 3 + 3) <= 3 + 3); /* one of each was just due */
	for (size_t i = 0; i < ARRAY_SIZE(g); i++)
		guest_leave(&g[i], false);
	guest_leave(&b, false);
	guest_leave(&a, false);
	UNTIL(f, !redis_ask(&f->server, "EXISTS t_lock:a t_wait:a"));
}

/* Two of one process: the answer to the first one's give-back is all that the second waits for. */
static void test_handed_on_at_once(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };
	int64_t ttl_ms = lease_ms(3000), before, start;

	b.t.terms = (struct lock_terms){ 0, ttl_ms, 60000, 10 };
	guest_enter(&a, f->b[0], "a");
	UNTIL(f, a.granted);
	guest_enter(&b, f->b[0], "a");
	UNTIL(f, b.waiting);
	before = script_calls(f);
	start = clock_ms();
	guest_leave(&a, true);
	UNTIL(f, b.granted);
	/* And maybe a touch; where that took long, more may have come in between. */
	CHECK(script_calls(f) - before <= 1 + 1 || clock_ms() - start > 200);
	UNTIL(f, redis_ask(&f->server, "PTTL t_lock:a") > ttl_ms * 2 / 3);
	CHECK(clock_ms() - b.granted_at_ms < 600 + LATE_MS);
	UNTIL(f, renewals(f->b[0]) >= 1); /* counted when the keeper has its answer */
	pass(f, ttl_ms * 5 / 6);
	CHECK_INT(b.lost, 0);
	guest_leave(&b, true);
}

/* An answer that was long on its way isn't: its lease may be over. */
static void test_handed_on_late(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };

	b.t.terms = (struct lock_terms){ 0, 60000, 60000, 10 }; /* renewed only after long */
	guest_enter(&a, f->b[0], "a");
	UNTIL(f, a.granted);
	guest_enter(&b, f->b[0], "a");
	UNTIL(f, b.waiting);
	redis_ask(&f->server, "CLIENT PAUSE 700");
	guest_leave(&a, true);
	UNTIL(f, b.granted);
	CHECK(redis_ask(&f->server, "PTTL t_lock:a") > 20000); /* confirmed before it was used, … */
	pass(f, 200);
	CHECK_INT(renewals(f->b[0]), 0); /* … not by the keeper, who would do it afterwards */
	guest_leave(&b, true);
}

/* Backend 0 hears a message, and so what was published before it. */
static void hear_another(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };

	guest_enter(&a, f->b[1], "another");
	UNTIL(f, a.granted);
	guest_enter(&b, f->b[0], "another");
	UNTIL(f, b.waiting);
	guest_leave(&a, false);
	UNTIL(f, b.granted);
	guest_leave(&b, false);
}

/* A message that the turn is lost may come before the answer that tells of it. */
static void test_lost_before_known(struct fixture *f)
{
	char channel[LOCK_TICKET_MAX + 2], text[LOCK_TICKET_MAX + 5];
	struct guest a = { 0 }, b = { 0 };

	guest_enter(&a, f->b[0], "a");
	UNTIL(f, a.granted);
	guest_enter(&b, f->b[0], "a");
	UNTIL(f, b.waiting);
	snprintf(channel, sizeof channel, "t:%.*s", (int)(strrchr(b.t.id, ':') - b.t.id), b.t.id);
	snprintf(text, sizeof text, "%s lost", b.t.id);
	CHECK_INT(redis_ask(&f->server, "PUBLISH %s %s", channel, text), 1);
	hear_another(f);
	guest_leave(&a, true);
	UNTIL(f, b.granted);
	CHECK(redis_ask(&f->server, "PTTL t_lock:a") > 2000); /* confirmed, as when it was late */
	CHECK_INT(b.lost, 0);
	guest_leave(&b, true);
}

static const struct redis_case cases[] = {
	{ "lost before known", test_lost_before_known },
	{ "handed on at once", test_handed_on_at_once },
	{ "handed on late", test_handed_on_late },
	{ "hand-over is a message", test_hand_over_is_a_message },
	{ "lost messages", test_lost_messages },
	{ "limit without a message", test_limit_without_a_message },
	{ "late confirmation", test_late_confirmation },
	{ "cut subscriber", test_cut_subscriber },
	{ "cut connections", test_cut_connections },
	{ "dead waiters", test_dead_waiters },
	{ "flushed scripts", test_flushed_scripts },
	{ "short restart", test_short_restart },
	{ "waiters out of memory", test_waiters_out_of_memory },
	{ "waiters on a replica", test_waiters_on_a_replica },
	{ "long outage", test_long_outage },
	{ "frozen", test_frozen },
	{ "short timeout", test_short_timeout },
	{ "given back twice", test_given_back_twice },
	{ "stop while frozen", test_stop_while_frozen },
	{ "refusals", test_refusals },
	{ "renewal", test_renewal },
	{ "cost", test_cost },
};

/* With an argument: only that case. */
int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	run_redis_cases(cases, ARRAY_SIZE(cases), argc > 1 ? argv[1] : NULL);
	return check_done();
}
