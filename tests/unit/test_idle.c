/* net/idle.c: what is idle for too long is shut down, also by a limit that was lowered. */
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "net/idle.h"

struct pair {
	struct idle_entry idle;
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
	idle_entry_remove(&p->idle);
	close(p->idle.fd);
	close(p->peer);
}

static void test_limits(void)
{
	struct loop loop;
	struct pair a, b, c;
	int64_t limit_ms = 60000, start_ms;
	struct idle_list *l;

	loop_open(&loop);
	l = idle_list_new(&loop, &limit_ms);
	open_pair(&a), open_pair(&b), open_pair(&c);
	idle_list_add(l, &a.idle);
	RUN_FOR(&loop, 50);
	CHECK(!is_shut(&a));
	limit_ms = 100; /* lower: heard of when the next one comes */
	start_ms = clock_ms();
	idle_list_add(l, &b.idle);
	CHECK(RUN_UNTIL(&loop, is_shut(&b), 2000));
	CHECK(clock_ms() - start_ms >= 100);
	CHECK(is_shut(&a));
	limit_ms = 60000;
	idle_list_add(l, &c.idle);
	CHECK(idle_list_oldest(l) == &c.idle);
	RUN_FOR(&loop, 200);
	CHECK(!is_shut(&c));
	CHECK_INT(idle_list_timeouts(l), 2);
	idle_list_shutdown(l);
	CHECK(is_shut(&c));
	close_pair(&a), close_pair(&b), close_pair(&c);
	idle_list_free(l);
	loop_close(&loop);
}

int main(void)
{
	test_limits();
	return check_done();
}
