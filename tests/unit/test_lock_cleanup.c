/*
 * test_lock_cleanup.c - connecting, and what crashes leave behind: a process that is killed with a
 * turn and a place, and those that start after it.
 */
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include "queue/redis/keeper.h"
#include "redis_fixture.h"

/* By then a start has cleaned up twice, if it does: at once, and when live keys of the dead are over. */
enum { STARTUP_MS = KEEPER_LIVE_MS + 400 };

static void test_passwords(struct fixture *f)
{
	struct lock_backend *b;
	char url[200];

	redis_ask(&f->server, "CONFIG SET requirepass s%%cret");
	b = new_backend(f);
	pass(f, 200); /* that it doesn't come up is the subject */
	CHECK(!is_up(b));
	guest_stop(&f->loop, b);
	snprintf(url, sizeof url, "%s?password=s%%25cret&db=3", f->server.url);
	f->config.redis.url = url;
	b = new_backend(f);
	UNTIL(f, is_up(b));
	guest_stop(&f->loop, b);
	redis_ask(&f->server, "CONFIG SET requirepass %s", "");
	f->config.redis.url = f->server.url;
}

/*
 * A port that nobody listens at, and that nobody else gets while *ret_fd is open: bound, so that it
 * is no connection's own, but with SO_REUSEADDR, so that the server, which has that too, can
 * listen.
 */
static int free_port(int *ret_fd)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	must(fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) &&
	     !bind(fd, (struct sockaddr *)&a, len) &&
	     !getsockname(fd, (struct sockaddr *)&a, &len));
	*ret_fd = fd;
	return ntohs(a.sin_port);
}

/* Redis can't begin to listen on TCP before 7.0. */
static bool listens(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool there = !connect(fd, (struct sockaddr *)&a, sizeof a);

	close(fd);
	return there;
}

/* A host name, and a port where nobody listens yet. */
static void test_tcp(struct fixture *f)
{
	struct lock_backend *b;
	struct guest a = { 0 };
	char url[64];
	int fd, port = free_port(&fd);
	int64_t start;

	snprintf(url, sizeof url, "redis://localhost:%d/1", port);
	f->config.redis.url = url;
	b = new_backend(f);
	pass(f, 300); /* likewise */
	CHECK(!is_up(b));
	redis_ask(&f->server, "CONFIG SET port %d", port);
	start = clock_ms();
	if (!listens(port)) {
		fputs("left out: this Redis can't be told to listen\n", stderr);
		goto end;
	}
	UNTIL(f, is_up(b));
	CHECK(clock_ms() - start < 1000 + LATE_MS);
	a.t.terms = (struct lock_terms){ 0, lease_ms(1000), 60000, 10 };
	guest_enter(&a, b, "a");
	UNTIL(f, a.granted);
	UNTIL(f, renewals(b) > 0); /* the keeper is there, too */
	CHECK_INT(a.lost, 0);
	guest_leave(&a, true);
end:
	guest_stop(&f->loop, b);
	close(fd);
	f->config.redis.url = f->server.url;
}

/* What crash_holding() runs: takes a turn and a place of "a", says so, and waits for its end. */
static int crash_program(char *url, char *instance)
{
	struct fixture f = { 0 };
	struct guest a = { 0 }, b = { 0 };

	f.config.redis.key_prefix = "t";
	f.config.redis.instance = instance;
	f.config.redis.command_timeout_ms = scaled_timeout_ms();
	f.config.redis.max_accounts = 10000;
	f.config.redis.url = url;
	f.config.queue.cleanup_interval_ms = 60000;
	f.config.queue.startup_cleanup = STARTUP_CLEANUP_OFF;
	loop_open(&f.loop);
	f.b[0] = f.b[1] = new_backend(&f);
	UNTIL(&f, is_up(f.b[0]));
	a.t.terms = (struct lock_terms){ 0, 60000, 60000, 10 };
	hold_and_wait(&f, &a, &b);
	must(write(STDOUT_FILENO, "x", 1) == 1);
	pass(&f, 60000);
	return 0;
}

/* Another process with a turn and a place of "a", which is killed when it has them. */
static void crash_holding(struct fixture *f)
{
	int ready[2];
	char byte;
	pid_t pid;

	must(pipe(ready) == 0);
	pid = fork();
	must(pid >= 0);
	if (!pid) {
		dup2(ready[1], STDOUT_FILENO);
		execl("/proc/self/exe", "test_lock_cleanup", "--crash", f->config.redis.url,
		      f->config.redis.instance, NULL);
		_exit(127);
	}
	close(ready[1]);
	CHECK(read(ready[0], &byte, 1) == 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(ready[0]);
}

static void test_startup_cleanup(struct fixture *f)
{
	struct guest a = { 0 };
	struct lock_backend *b;
	int64_t start;

	/* Of another instance: not ours to release. */
	f->config.redis.instance = "two";
	crash_holding(f);
	f->config.redis.instance = "one";
	b = new_backend(f);
	UNTIL(f, is_up(b));
	pass(f, STARTUP_MS);
	CHECK_INT(redis_ask(&f->server, "EXISTS t_lock:a"), 1);
	guest_stop(&f->loop, b);
	/* Unless everybody's is to be. */
	f->config.queue.startup_cleanup = STARTUP_CLEANUP_ALL;
	b = new_backend(f);
	UNTIL(f, !redis_ask(&f->server, "EXISTS t_lock:a t_wait:a"));
	guest_stop(&f->loop, b);
	/* Our own earlier boot, dead for no time at all. */
	f->config.queue.startup_cleanup = STARTUP_CLEANUP_OWN;
	crash_holding(f);
	b = new_backend(f);
	UNTIL(f, is_up(b));
	start = clock_ms();
	guest_enter(&a, b, "a");
	UNTIL(f, a.granted);
	CHECK(a.granted_at_ms - start < 1000 + LATE_MS);
	guest_leave(&a, false);
	guest_stop(&f->loop, b);
	/* Or not at all. */
	f->config.queue.startup_cleanup = STARTUP_CLEANUP_OFF;
	crash_holding(f);
	b = new_backend(f);
	UNTIL(f, is_up(b));
	pass(f, STARTUP_MS);
	CHECK_INT(redis_ask(&f->server, "EXISTS t_lock:a"), 1);
	guest_stop(&f->loop, b);
	redis_ask(&f->server, "DEL t_lock:a");
}

/* The backends of the fixture carry one instance's name "by mistake". */
static void test_startup_spares_the_living(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };
	struct lock_backend *third;

	hold_and_wait(f, &a, &b);
	third = new_backend(f);
	UNTIL(f, is_up(third));
	pass(f, STARTUP_MS);
	CHECK_INT(redis_ask(&f->server, "EXISTS t_lock:a"), 1);
	CHECK_INT(redis_ask(&f->server, "ZCARD t_wait:a"), 1);
	guest_stop(&f->loop, third);
	guest_leave(&a, true);
	UNTIL(f, b.granted);
	guest_leave(&b, true);
}

static void test_locks_without_lease(struct fixture *f)
{
	struct lock_backend *b;
	struct guest a = { 0 };

	guest_enter(&a, f->b[0], "a"); /* so that the account is in the index */
	UNTIL(f, a.granted);
	guest_leave(&a, false);
	UNTIL(f, !redis_ask(&f->server, "EXISTS t_lock:a"));
	f->config.queue.cleanup_interval_ms = 100;
	f->config.queue.startup_cleanup =
		STARTUP_CLEANUP_OFF; /* it releases such locks, whenever it comes */
	f->config.queue.enabled = false;
	b = new_backend(f);
	UNTIL(f, is_up(b));
	redis_ask(&f->server, "SET t_lock:a somebody");
	pass(f, 500); /* nobody sweeps meanwhile */
	CHECK_INT(redis_ask(&f->server, "EXISTS t_lock:a"), 1);
	f->config.queue.enabled = true;
	UNTIL(f, !redis_ask(&f->server, "EXISTS t_lock:a"));
	/* An account that nobody has used for long leaves the index; one that is in use stays. */
	redis_ask(&f->server, "DEL t_times:a");
	redis_ask(&f->server, "ZADD t_index 1 a");
	UNTIL(f, redis_ask(&f->server, "ZSCORE t_index a") == -1);
	redis_ask(&f->server, "SET t_lock:b somebody PX 5000");
	redis_ask(&f->server, "ZADD t_index 1 b 1 c");
	UNTIL(f,
	      redis_ask(&f->server, "ZSCORE t_index c") == -1); /* … when both have been visited */
	CHECK_INT(redis_ask(&f->server, "ZSCORE t_index b"), 1);
	redis_ask(&f->server, "DEL t_lock:b t_index");
	guest_stop(&f->loop, b);
	f->config.queue.cleanup_interval_ms = 60000;
}

/* One turn, held for that long; returns for how long it is remembered from now on. */
static int64_t turn(struct fixture *f, const char *account, int64_t hold_ms)
{
	struct guest g = { 0 };
	int64_t held;

	guest_enter(&g, f->b[0], account);
	UNTIL(f, g.granted);
	pass(f, hold_ms);
	held = redis_ask(&f->server, "LLEN t_times:%s", account);
	guest_leave(&g, true);
	UNTIL(f, redis_ask(&f->server, "LLEN t_times:%s", account) > held);
	return redis_ask(&f->server, "PTTL t_times:%s", account);
}

/* What keys that somebody made up cost, as the upstream refuses them at once. */
static void test_short_turn_alone(struct fixture *f)
{
	char account[8];
	int64_t took, kept_ms, tries = 0;

	do { /* a machine that is busy makes a turn long */
		int64_t start = clock_ms();

		snprintf(account, sizeof account, "a%d", (int)tries);
		kept_ms = turn(f, account, 0);
		took = clock_ms() - start;
	} while (took >= 1000 && ++tries < 100);
	CHECK_INT((kept_ms + 999) / 1000, 60);
	CHECK_INT((turn(f, account, 0) + 999) / 1000, 300); /* somebody who comes back */
	CHECK_INT((turn(f, "b", 1050) + 999) / 1000, 300);
}

/* --- more accounts than there is room for -------------------------------------------------- */

enum { MOST = 100, CROWD = 50, CROWDS = 7 };

static int64_t forgotten(struct fixture *f)
{
	int64_t n = 0;

	for (int i = 0; i < 2; i++) {
		struct lock_stats stats;

		f->b[i]->ops->stats(f->b[i], &stats);
		n += stats.forgotten;
	}
	return n;
}

/* A short turn of each of many accounts that nobody has heard of before, by both processes. */
static void crowd(struct fixture *f, int number)
{
	struct guest g[CROWD] = { 0 };

	for (int i = 0; i < CROWD; i++) {
		char account[32];

		snprintf(account, sizeof account, "made-up-%d-%d", number, i);
		guest_enter(&g[i], f->b[i % 2], account);
	}
	for (int i = 0; i < CROWD; i++) {
		UNTIL(f, g[i].granted);
		guest_leave(&g[i], true);
	}
	UNTIL(f, !redis_ask(&f->server, "EXISTS t_lock:made-up-%d-%d", number, CROWD - 1));
}

static int64_t count_keys(struct fixture *f, const char *pattern)
{
	return redis_ask(&f->server, "KEYS %s", pattern);
}

/* "a" has a turn and a waiter, "paused" a pause and a past; both were there before the crowd. */
static void test_made_up_accounts(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };
	int64_t names = 2 + CROWD * CROWDS;

	f->config.redis.max_accounts = MOST;
	turn(f, "a", 0);
	turn(f, "paused", 0);
	redis_ask(&f->server, "SET t_pause:paused 1 PX 60000");
	hold_and_wait(f, &a, &b);
	for (int i = 0; i < CROWDS; i++)
		crowd(f, i);
	UNTIL(f, redis_ask(&f->server, "ZCARD t_index") <= MOST + 4);
	UNTIL(f, forgotten(f) == names - redis_ask(&f->server, "ZCARD t_index"));
	CHECK(redis_ask(&f->server, "ZCARD t_index") >= MOST - 4);
	CHECK(count_keys(f, "t_last:*") <= MOST + 4);
	CHECK(count_keys(f, "t_times:*") <= MOST + 4);
	CHECK_INT(count_keys(f, "t_lock:*") + count_keys(f, "t_wait:*"), 2);
	/* The last who came are remembered, the first are not. */
	CHECK_INT(redis_ask(&f->server, "EXISTS t_times:made-up-%d-0", CROWDS - 1), 1);
	CHECK_INT(redis_ask(&f->server, "EXISTS t_last:made-up-0-0 t_times:made-up-0-0"), 0);
	CHECK_INT(redis_ask(&f->server, "EXISTS t_last:a t_times:a"), 2);
	CHECK_INT(redis_ask(&f->server, "EXISTS t_last:paused t_times:paused t_pause:paused"), 3);
	CHECK(redis_ask(&f->server, "ZSCORE t_index a") > 0);
	CHECK(redis_ask(&f->server, "ZSCORE t_index paused") > 0);
	CHECK_INT(a.lost + b.granted, 0);
	guest_leave(&a, true);
	UNTIL(f, b.granted);
	guest_leave(&b, true);
	redis_ask(&f->server, "DEL t_pause:paused");
}

static long long used_memory(struct fixture *f)
{
	redisReply *info = redisCommand(f->server.client, "INFO memory");
	long long bytes =
		strtoll(strstr(info->str, "used_memory:") + strlen("used_memory:"), NULL, 10);

	freeReplyObject(info);
	return bytes;
}

/* Redis full before there are too many accounts: those idle for longest make room all the same. */
static void test_full_redis(struct fixture *f)
{
	struct guest g = { 0 };

	for (int i = 0; i < CROWDS; i++)
		crowd(f, i);
	CHECK_INT(forgotten(f), 0);
	/* A long past: else the buffers of connections, which come and go, outweigh all of it. */
	redis_ask(&f->server, "EVAL %s 0",
		  "for _, key in ipairs(redis.call('KEYS', 't_times:*')) do "
		  "redis.call('RPUSH', key, string.rep('x', 4096)) end return 1");
	redis_ask(&f->server, "CONFIG SET maxmemory %lld", used_memory(f) - 40000);
	for (int i = 0; i < CROWD * CROWDS / 4 && !g.granted; i++) {
		char account[32];

		snprintf(account, sizeof account, "honest-%d", i);
		guest_enter(&g, f->b[0], account);
		UNTIL(f, g.granted || g.failed);
		guest_leave(&g, g.granted);
	}
	CHECK(g.granted);
	CHECK(forgotten(f) > 0);
	redis_ask(&f->server, "CONFIG SET maxmemory 0");
}

/* More names than a page of the sweep has: all are visited, at every page's ends, too. */
static void test_large_index(struct fixture *f)
{
	struct lock_backend *b;

	redis_ask(&f->server, "EVAL %s 0",
		  "local now = redis.call('TIME')[1] * 1000 "
		  "for i = 1000, 2699 do redis.call('ZADD', 't_index', now, 'n' .. i) end "
		  "redis.call('ZADD', 't_index', 1, 'gone', 1, 'past')");
	redis_ask(&f->server, "PEXPIRE t_index 60000");
	for (int i = 1000; i < 2700; i++)
		redis_ask(&f->server, "SET t_lock:n%d somebody", i);
	redis_ask(&f->server, "SET t_last:past 1 PX 60000");
	f->config.queue.cleanup_interval_ms = 100;
	b = new_backend(f);
	UNTIL(f, !redis_ask(&f->server, "KEYS t_lock:*"));
	UNTIL(f, redis_ask(&f->server, "ZSCORE t_index gone") == -1);
	CHECK_INT(redis_ask(&f->server, "ZSCORE t_index past"), 1); /* not yet forgotten */
	CHECK_INT(redis_ask(&f->server, "ZCARD t_index"), 1701);
	guest_stop(&f->loop, b);
	redis_ask(&f->server, "DEL t_index");
	f->config.queue.cleanup_interval_ms = 60000;
}

static const struct redis_case cases[] = {
	{ "passwords", test_passwords },
	{ "tcp", test_tcp },
	{ "start-up cleanup", test_startup_cleanup },
	{ "start-up spares the living", test_startup_spares_the_living },
	{ "locks without lease", test_locks_without_lease },
	{ "short turn alone", test_short_turn_alone },
	{ "made-up accounts", test_made_up_accounts },
	{ "full redis", test_full_redis },
	{ "large index", test_large_index },
};

/* With an argument: only that case. */
int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 4 && !strcmp(argv[1], "--crash"))
		return crash_program(argv[2], argv[3]);
	run_redis_cases(cases, ARRAY_SIZE(cases), argc > 1 ? argv[1] : NULL);
	return check_done();
}
