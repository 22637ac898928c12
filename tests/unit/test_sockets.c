/*
 * test_sockets.c - a socket's events come when they are wanted, also after a time in which they
 * weren't; and what the kernel is asked to watch for meanwhile, as proc(5) tells of epoll.
 */
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "net/sockets.h"

static struct {
	int calls, events;
	bool broken;
} heard;

static void on_socket(void *arg, int fd, int events, bool broken)
{
	char data[16];

	CHECK(arg == &heard);
	heard.calls++;
	heard.events = events;
	heard.broken = broken;
	if (events & UV_READABLE && !broken)
		CHECK(read(fd, data, sizeof data) > 0);
}

static void run_turns(struct loop *loop, int n)
{
	while (n--)
		uv_run(&loop->uv, UV_RUN_NOWAIT);
}

static void note(void *arg)
{
	*(bool *)arg = true;
}

/* Whether the loop blocks, in place of looking at the same event over and over. */
static bool is_at_rest(struct loop *loop)
{
	bool over = false;
	struct timer *t = timer_new(loop, note, &over);
	int turns = 0;

	for (timer_start(t, 30); !over; turns++)
		uv_run(&loop->uv, UV_RUN_ONCE);
	timer_clear(&t);
	return turns < 10;
}

/* What the kernel watches for on `fd` in the loop's name; -1: it doesn't watch it. */
static int watched(struct loop *loop, int fd)
{
	CLEANUP(freep) char *path = xasprintf("/proc/self/fdinfo/%d", uv_backend_fd(&loop->uv));
	unsigned events;
	int at, found = -1;
	char line[256];
	FILE *f;

	run_turns(loop, 1); /* libuv tells the kernel as it polls */
	f = fopen(path, "re");
	must(f);
	while (fgets(line, sizeof line, f)) {
		if (sscanf(line, "tfd: %d events: %x", &at, &events) == 2 && at == fd)
			found = (int)(events & (EPOLLIN | EPOLLOUT));
	}
	fclose(f);
	return found;
}

/*
 * The claim that makes a request cheap: reading stays registered while nobody wants it, so that the
 * next request changes nothing in the kernel; writing doesn't, and reading no longer when something
 * came that nobody wants.
 */
static void test_registration(struct loop *loop, struct sockets *s)
{
	char data[16];
	int ends[2];

	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends));
	sockets_opened(s, ends[0], &heard);
	CHECK_INT(watched(loop, ends[0]), -1);
	for (int request = 0; request < 2; request++) {
		sockets_want(s, ends[0], UV_READABLE | UV_WRITABLE, NULL);
		CHECK_INT(watched(loop, ends[0]), EPOLLIN | EPOLLOUT);
		sockets_want(s, ends[0], UV_READABLE, NULL);
		CHECK_INT(watched(loop, ends[0]), EPOLLIN);
		sockets_drop(s, ends[0]);
		CHECK_INT(watched(loop, ends[0]), EPOLLIN);
	}
	sockets_want(s, ends[0], UV_WRITABLE, NULL);
	CHECK_INT(watched(loop, ends[0]), EPOLLIN | EPOLLOUT);
	sockets_drop(s, ends[0]);
	CHECK_INT(watched(loop, ends[0]), EPOLLIN);

	heard.calls = 0;
	CHECK(write(ends[1], "x", 1) == 1); /* a relay that says something unasked */
	run_turns(loop, 2);
	CHECK(watched(loop, ends[0]) <= 0);
	CHECK_INT(heard.calls, 0);
	CHECK(read(ends[0], data, sizeof data) == 1);
	sockets_want(s, ends[0], UV_READABLE, NULL);
	CHECK_INT(watched(loop, ends[0]), EPOLLIN);
	sockets_closed(s, ends[0]);
	CHECK_INT(watched(loop, ends[0]), -1);
	close(ends[0]);
	close(ends[1]);
}

static void test_connection(struct loop *loop, struct sockets *s)
{
	int ends[2];

	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends));
	sockets_opened(s, ends[0], &heard);
	sockets_want(s, ends[0], UV_WRITABLE, NULL);
	CHECK(RUN_UNTIL(loop, heard.calls == 1, 2000));
	CHECK_INT(heard.events, UV_WRITABLE);
	sockets_want(s, ends[0], UV_READABLE, NULL);
	heard.calls = 0;
	run_turns(loop, 3);
	CHECK_INT(heard.calls, 0); /* not writable any more */

	for (int i = 0; i < 3; i++) { /* a response, and a rest */
		CHECK(write(ends[1], "x", 1) == 1);
		CHECK(RUN_UNTIL(loop, heard.calls == 1, 2000));
		CHECK_INT(heard.events, UV_READABLE);
		sockets_drop(s, ends[0]);
		heard.calls = 0;
		sockets_want(s, ends[0], UV_READABLE, NULL);
	}

	sockets_drop(s, ends[0]);
	CHECK(write(ends[1], "x", 1) == 1);
	CHECK(is_at_rest(loop)); /* nobody wants it, */
	CHECK_INT(heard.calls, 0);
	sockets_want(s, ends[0], UV_READABLE, NULL);
	CHECK(RUN_UNTIL(loop, heard.calls == 1, 2000)); /* until somebody does */

	sockets_closed(s, ends[0]);
	CHECK(write(ends[1], "x", 1) == 1);
	heard.calls = 0;
	run_turns(loop, 3);
	CHECK_INT(heard.calls, 0);
	close(ends[0]);
	close(ends[1]);
}

/* A resolver's, or one that never connected: the number may be another socket's at once. */
static void test_forgotten(struct loop *loop, struct sockets *s)
{
	int ends[2];

	for (int announced = 0; announced < 2; announced++) {
		must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends));
		if (announced)
			sockets_opened(s, ends[0], &heard);
		sockets_want(s, ends[0], announced ? UV_WRITABLE : UV_READABLE, &heard);
		sockets_drop(s, ends[0]);
		close(ends[0]);
		close(ends[1]);
		heard.calls = 0;
		must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends));
		sockets_want(s, ends[0], UV_READABLE, &heard);
		CHECK(write(ends[1], "x", 1) == 1);
		CHECK(RUN_UNTIL(loop, heard.calls == 1, 2000));
		sockets_drop(s, ends[0]);
		close(ends[0]);
		close(ends[1]);
	}
}

static void test_broken(struct loop *loop, struct sockets *s)
{
	int ends[2];

	must(!pipe(ends));
	sockets_opened(s, ends[1], &heard);
	sockets_want(s, ends[1], UV_READABLE, NULL);
	close(ends[0]); /* an error, and nothing to read */
	heard.calls = 0;
	CHECK(RUN_UNTIL(loop, heard.calls, 2000));
	CHECK(heard.broken);
	heard.calls = 0;
	sockets_want(s, ends[1], UV_READABLE, NULL);
	CHECK(RUN_UNTIL(loop, heard.calls, 2000)); /* it still is */
	CHECK_INT(heard.events, UV_READABLE);
	sockets_closed(s, ends[1]);
	close(ends[1]);
}

static int slow_calls;

/* Each takes all of a turn's time. */
static void on_slow(void *arg, int fd, int events, bool broken)
{
	int64_t until_us = clock_us() + LOOP_TURN_US;
	char byte;

	(void)arg, (void)events, (void)broken;
	slow_calls++;
	CHECK_INT(read(fd, &byte, 1), 1);
	while (clock_us() < until_us)
		continue;
}

/* Where there is more than a turn has time for, each turn does a piece, and nobody is left out. */
static void test_late(struct loop *loop)
{
	enum { SOCKETS = 4 };
	struct sockets *s = sockets_new(loop, on_slow);
	int ends[SOCKETS][2];

	for (int i = 0; i < SOCKETS; i++) {
		must(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends[i]));
		must(write(ends[i][1], "x", 1) == 1);
		sockets_opened(s, ends[i][0], NULL);
		sockets_want(s, ends[i][0], UV_READABLE, NULL);
	}
	for (int i = 1; i <= SOCKETS; i++) {
		int before = slow_calls;

		for (int turn = 0; turn < 3 && slow_calls == before; turn++)
			run_turns(loop, 1); /* the first one tells the kernel */
		CHECK_INT(slow_calls, i);
	}
	for (int i = 0; i < SOCKETS; i++) {
		sockets_closed(s, ends[i][0]);
		close(ends[i][0]);
		close(ends[i][1]);
	}
	run_turns(loop, 1);
	sockets_free(s);
}

int main(void)
{
	struct loop loop;
	struct sockets *s;

	loop_open(&loop);
	s = sockets_new(&loop, on_socket);
	test_connection(&loop, s);
	test_registration(&loop, s);
	test_forgotten(&loop, s);
	test_broken(&loop, s);
	sockets_free(s);
	sockets_free(NULL);
	test_late(&loop);
	loop_close(&loop);
	return check_done();
}
