/* net/lounge.c: who overstays is shut out, also by a limit that was lowered meanwhile. */
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "net/lounge.h"

struct pair {
	struct seat seat;
	int peer;
};

static void open_pair(struct pair *p)
{
	int fds[2];

	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	*p = (struct pair){ { .fd = fds[0] }, fds[1] };
}

static bool is_shut(const struct pair *p)
{
	char byte;

	return recv(p->peer, &byte, 1, MSG_DONTWAIT) == 0;
}

static void close_pair(struct pair *p)
{
	lounge_leave(&p->seat);
	close(p->seat.fd);
	close(p->peer);
}

static void test_limits(void)
{
	struct loop loop;
	struct pair a, b, c;
	int64_t limit_ms = 60000, start_ms;
	struct lounge *l;

	loop_open(&loop);
	l = lounge_new(&loop, &limit_ms);
	open_pair(&a), open_pair(&b), open_pair(&c);
	lounge_enter(l, &a.seat);
	RUN_FOR(&loop, 50);
	CHECK(!is_shut(&a));
	limit_ms = 100; /* lower: heard of when the next one comes */
	start_ms = clock_ms();
	lounge_enter(l, &b.seat);
	CHECK(RUN_UNTIL(&loop, is_shut(&b), 2000));
	CHECK(clock_ms() - start_ms >= 100);
	CHECK(is_shut(&a));
	limit_ms = 60000;
	lounge_enter(l, &c.seat);
	CHECK(lounge_oldest(l) == &c.seat);
	RUN_FOR(&loop, 200);
	CHECK(!is_shut(&c));
	CHECK_INT(lounge_timeouts(l), 2);
	lounge_clear(l);
	CHECK(is_shut(&c));
	close_pair(&a), close_pair(&b), close_pair(&c);
	lounge_free(l);
	loop_close(&loop);
}

int main(void)
{
	test_limits();
	return check_done();
}
