/*
 * test_lock_cleanup.c - connecting, and what crashes leave behind: a process that is killed with a
 * turn and a place, and those that start after it.
 */
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include "redis_fixture.h"

static void test_passwords(struct fixture *f)
{
	struct lock_backend *b;
	char url[200];

	redis_ask(&f->server, "CONFIG SET requirepass s%%cret");
	b = new_backend(f);
	pass(f, 200);
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
 * A port that nobody listens at, and that nobody else gets while *ret_fd is open: bound, so that it is
 * no connection's own, but with SO_REUSEADDR, so that the server, which has that too, can listen.
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
	pass(f, 300);
	CHECK(!is_up(b));
	redis_ask(&f->server, "CONFIG SET port %d", port);
	start = clock_ms();
	UNTIL(f, is_up(b));
	CHECK(clock_ms() - start < 1000 + LATE_MS);
	a.t.terms = (struct lock_terms){ 0, 1000, 60000, 10 };
	guest_enter(&a, b, "a");
	UNTIL(f, a.granted);
	pass(f, 1500); /* the keeper is there, too */
	CHECK_INT(a.lost, 0);
	guest_leave(&a, true);
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
	f.config.redis.command_timeout_ms = TIMEOUT_MS;
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
	pass(f, 1100);
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
	pass(f, 1100);
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
	pass(f, 1200);
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
	f->config.queue.enabled = false;
	b = new_backend(f);
	UNTIL(f, is_up(b));
	pass(f, 100); /* for the cleaning at start-up to be over */
	redis_ask(&f->server, "SET t_lock:a somebody");
	pass(f, 500);
	CHECK_INT(redis_ask(&f->server, "EXISTS t_lock:a"), 1);
	f->config.queue.enabled = true;
	UNTIL(f, !redis_ask(&f->server, "EXISTS t_lock:a"));
	/* An account that nobody has used for long leaves the index; one that is in use stays. */
	redis_ask(&f->server, "ZADD t_index 1 a");
	UNTIL(f, redis_ask(&f->server, "ZSCORE t_index a") == -1);
	redis_ask(&f->server, "SET t_lock:b somebody PX 5000");
	redis_ask(&f->server, "ZADD t_index 1 b");
	pass(f, 300);
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
	CHECK_INT((turn(f, "a", 0) + 999) / 1000, 60);
	CHECK_INT((turn(f, "a", 0) + 999) / 1000, 300); /* somebody who comes back */
	CHECK_INT((turn(f, "b", 1050) + 999) / 1000, 300);
}

static const struct redis_case cases[] = {
	{ "passwords", test_passwords },
	{ "tcp", test_tcp },
	{ "start-up cleanup", test_startup_cleanup },
	{ "start-up spares the living", test_startup_spares_the_living },
	{ "locks without lease", test_locks_without_lease },
	{ "short turn alone", test_short_turn_alone },
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
