/*
 * test_lock_losses.c - a turn that Redis has lost, or given to another program, is found out, counted and
 * logged once: whoever comes first, renewal, touch or give-back.
 */
#include <signal.h>

#include "redis_fixture.h"

static struct lock_terms brief(void)
{
	return (struct lock_terms){ 0, lease_ms(1000), 60000, 10 };
}

static void test_stolen_turn_is_lost(struct fixture *f)
{
	struct guest a = { .t.terms = brief() };
	int64_t before = lost(f->b[0]), start;

	guest_enter(&a, f->b[0], "a");
	UNTIL(f, a.granted);
	redis_ask(&f->server, "SET t_lock:a somebody PX 60000");
	start = clock_ms();
	UNTIL(f, a.lost);
	CHECK(clock_ms() - start < a.t.terms.ttl_ms / 2 + LATE_MS);
	CHECK_INT(lost(f->b[0]), before + 1);
	guest_leave(&a, true);
	redis_ask(&f->server, "DEL t_lock:a");
	/* A turn stolen and given back before anybody looks is counted as well. */
	guest_enter(&a, f->b[0], "a");
	UNTIL(f, a.granted);
	redis_ask(&f->server, "SET t_lock:a somebody PX 60000");
	guest_leave(&a, true);
	UNTIL(f, lost(f->b[0]) == before + 2);
	CHECK_INT(redis_ask(&f->server, "EXISTS t_lock:a"), 1);
	redis_ask(&f->server, "DEL t_lock:a");
}

/* Evicted, deleted by hand, or by a relay that cleans up: the turn goes on, and it is counted once. */
static void test_deleted_lock_is_set_again(struct fixture *f)
{
	struct guest a = { .t.terms = brief() }, b = { 0 };
	int64_t before = lost(f->b[0]), start;

	guest_enter(&a, f->b[0], "a");
	UNTIL(f, a.granted);
	redis_ask(&f->server, "DEL t_lock:a");
	start = clock_ms();
	UNTIL(f, lost(f->b[0]) == before + 1);
	CHECK(clock_ms() - start < a.t.terms.ttl_ms / 2 + LATE_MS);
	CHECK_INT(redis_ask(&f->server, "EXISTS t_lock:a"), 1);
	guest_enter(&b, f->b[1], "a");
	UNTIL(f, b.waiting);
	redis_ask(&f->server, "DEL t_lock:a");
	UNTIL(f, redis_ask(&f->server, "EXISTS t_lock:a"));
	pass(f, a.t.terms.ttl_ms + 200); /* nobody ends it, or takes it, in its lease */
	CHECK_INT(a.lost + b.granted, 0);
	guest_leave(&a, true);
	UNTIL(f, b.granted);
	guest_leave(&b, true);
	CHECK_INT(lost(f->b[0]), before + 1);
}

/* Who waits looks every second, and so finds out what happened to the turn of another process. */
static void test_waiters_find_losses(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };
	int64_t before = lost(f->b[0]), start;

	a.t.terms = (struct lock_terms){ 0, 120000, 600000, 10 };
	hold_and_wait(f, &a, &b);
	redis_ask(&f->server, "DEL t_lock:a");
	start = clock_ms();
	UNTIL(f, lost(f->b[0]) == before + 1);
	CHECK(clock_ms() - start < 1000 + LATE_MS);
	CHECK_INT(a.lost + b.granted, 0);
	redis_ask(&f->server, "SET t_lock:a somebody PX 2500");
	UNTIL(f, a.lost);
	CHECK_INT(lost(f->b[0]), before + 1); /* one turn, one loss */
	guest_leave(&a, true);
	UNTIL(f, b.granted);
	guest_leave(&b, true);
}

/* Nothing of it is left, and nobody looks before it is given back. */
static void test_flushed_turn_is_counted(struct fixture *f)
{
	struct guest a = { 0 };
	int64_t before = lost(f->b[0]);

	a.t.terms = (struct lock_terms){ 0, 120000, 600000, 10 };
	guest_enter(&a, f->b[0], "a");
	UNTIL(f, a.granted);
	redis_ask(&f->server, "FLUSHALL");
	guest_leave(&a, true);
	UNTIL(f, lost(f->b[0]) == before + 1);
	/* What was never used is no loss. */
	guest_enter(&a, f->b[0], "a");
	UNTIL(f, a.granted);
	redis_ask(&f->server, "FLUSHALL");
	guest_leave(&a, false);
	pass(f, 200); /* that it isn't counted is the subject */
	CHECK_INT(lost(f->b[0]), before + 1);
}

static void test_free_turn_is_taken_again(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };
	int64_t before = lost(f->b[0]);

	guest_enter(&a, f->b[0], "a");
	UNTIL(f, a.granted);
	redis_ask(&f->server, "FLUSHALL"); /* as a failover that comes before replication */
	redis_ask(&f->server, "CLIENT KILL TYPE normal SKIPME yes");
	UNTIL(f, redis_ask(&f->server, "EXISTS t_lock:a"));
	UNTIL(f, is_up(f->b[0]) && is_up(f->b[1]));
	guest_enter(&b, f->b[1], "a");
	UNTIL(f, b.waiting);
	CHECK_INT(b.granted, 0);
	CHECK_INT(a.lost, 0);
	guest_leave(&a, true);
	UNTIL(f, b.granted);
	guest_leave(&b, true);
	CHECK_INT(lost(f->b[0]), before + 1); /* somebody may have had one beside it */
}

/* Of a turn nothing is left but its seat: what is found out first is what its give-back says. */
static void test_record_and_lock_are_lost(struct fixture *f)
{
	struct guest a = { 0 };
	int64_t before = lost(f->b[0]);

	a.t.terms = (struct lock_terms){ 0, 120000, 600000, 10 };
	guest_enter(&a, f->b[0], "a");
	UNTIL(f, a.granted);
	redis_ask(&f->server, "DEL t_who:a t_lock:a");
	guest_leave(&a, true);
	UNTIL(f, lost(f->b[0]) == before + 1);
	pass(f, 200); /* nor once more */
	CHECK_INT(lost(f->b[0]), before + 1);
}

/* How long its lease may be has been evicted as well: the renewal says it, and nobody ends it earlier. */
static void test_lease_without_a_record(struct fixture *f)
{
	struct guest a = { 0 }, b = { .t.terms = brief() };

	a.t.terms = (struct lock_terms){ 0, 120000, 600000, 10 };
	guest_enter(&a, f->b[0], "a");
	UNTIL(f, a.granted);
	redis_ask(&f->server, "DEL t_who:a t_line:a");
	redis_ask(&f->server, "CLIENT KILL TYPE normal SKIPME yes"); /* a new link renews at once */
	UNTIL(f, redis_ask(&f->server, "EXISTS t_who:a"));
	UNTIL(f, is_up(f->b[0]) && is_up(f->b[1]));
	guest_enter(&b, f->b[1], "a");
	UNTIL(f, b.waiting);
	CHECK(redis_ask(&f->server, "PTTL t_lock:a") > 60000);
	CHECK_INT(a.lost + b.granted, 0);
	guest_leave(&a, true);
	UNTIL(f, b.granted);
	guest_leave(&b, true);
}

/*
 * A server has taken over whose copy is older than a give-back: the turn is there again, for all of its
 * lease. The first new link gives it back, and so does the sweep.
 */
static void copy_is_given_back(struct fixture *f, bool new_link)
{
	struct guest a = { 0 }, b = { 0 };
	char id[LOCK_TICKET_MAX];
	int64_t start;

	a.t.terms = b.t.terms = (struct lock_terms){ 0, 120000, 600000, 10 };
	guest_enter(&a, f->b[0], "a");
	UNTIL(f, a.granted);
	memcpy(id, a.t.id, sizeof id);
	guest_leave(&a, true);
	UNTIL(f, !redis_ask(&f->server, "EXISTS t_lock:a"));
	redis_ask(&f->server, "SET t_lock:a %s PX 120000", id);
	redis_ask(&f->server, "HSET t_line:a first %s", id);
	redis_ask(&f->server, "ZADD t_seats:a 99999999999999 %s", id);
	redis_ask(&f->server, "ZADD t_wait:a 7 %s1", id);
	redis_ask(&f->server, "ZADD t_alive:a 99999999999999 %s1", id);
	start = clock_ms();
	if (new_link) {
		redis_ask(&f->server, "CLIENT KILL TYPE normal SKIPME yes");
		UNTIL(f, !is_up(f->b[0]) && !is_up(f->b[1]));
		UNTIL(f, is_up(f->b[0]) && is_up(f->b[1]));
	}
	guest_enter(&b, f->b[1], "a");
	UNTIL(f, b.granted);
	CHECK(clock_ms() - start < 2500 + LATE_MS);
	guest_leave(&b, true);
}

static void test_copies_and_a_new_link(struct fixture *f)
{
	copy_is_given_back(f, true);
}

static void test_copies_and_the_sweep(struct fixture *f)
{
	struct guest a = { 0 };

	f->config.queue.cleanup_interval_ms = 1000; /* from the next one on */
	guest_stop(&f->loop, f->b[0]);
	f->b[0] = new_backend(f);
	UNTIL(f, is_up(f->b[0]));
	guest_enter(&a, f->b[0], "a"); /* the account is listed */
	UNTIL(f, a.granted);
	guest_leave(&a, true);
	copy_is_given_back(f, false);
}

static int64_t version_of(struct fixture *f, const char *id)
{
	return redis_ask(&f->server, "HGET t_who:a %s", id);
}

/*
 * A process of before families of models, in the same line: what it has written stays in its form, and it gets
 * its turn; a record with families is of another version, which it takes for an older one than its own.
 */
static void test_record_versions(struct fixture *f)
{
	struct guest holder = { 0 }, opus = { .t.standing.families = 1 };
	static const char old[] = "2 1 client - - 0 3000 u-old - - 0.5 0.5 1 - -";

	guest_enter(&holder, f->b[0], "a");
	UNTIL(f, holder.granted);
	guest_enter(&opus, f->b[1], "a");
	UNTIL(f, opus.waiting);
	CHECK_INT(version_of(f, holder.t.id), 2);
	CHECK_INT(version_of(f, opus.t.id), 3);
	redis_ask(&f->server, "HSET t_who:a old.1:x %b", old, strlen(old));
	redis_ask(&f->server, "ZADD t_alive:a 9999999999999 old.1:x");
	redis_ask(&f->server, "ZADD t_wait:a 0.00001 old.1:x");
	guest_leave(&holder, true);
	UNTIL(f, redis_ask(&f->server, "ZSCORE t_seats:a old.1:x") > 0);
	CHECK_INT(version_of(f, "old.1:x"), 2);
	UNTIL(f, opus.granted); /* nobody confirms the other one's */
	CHECK_INT(version_of(f, opus.t.id), 3);
	guest_leave(&opus, true);
}

int main(void)
{
	static const struct redis_case cases[] = {
		{ "stolen turn is lost", test_stolen_turn_is_lost },
		{ "deleted lock is set again", test_deleted_lock_is_set_again },
		{ "waiters find losses", test_waiters_find_losses },
		{ "flushed turn is counted", test_flushed_turn_is_counted },
		{ "free turn is taken again", test_free_turn_is_taken_again },
		{ "record and lock are lost", test_record_and_lock_are_lost },
		{ "a lease without a record", test_lease_without_a_record },
		{ "copies and a new link", test_copies_and_a_new_link },
		{ "copies and the sweep", test_copies_and_the_sweep },
		{ "record versions", test_record_versions },
	};

	signal(SIGPIPE, SIG_IGN);
	run_redis_cases(cases, ARRAY_SIZE(cases), NULL);
	return check_done();
}
