/*
 * Accepting rests while connections can't be served; also for successors (takeover_server.c). How
 * many connections wait for it.
 */
#include "net/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "net/listener.h"
#include "net/takeover_server.h"

enum { CLIENTS = 5, TURNS = 20 };

static char path[] = "/tmp/test_acceptor.XXXXXX/socket";

static int connect_client(int type)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type, 0);

	strcpy(a.sun_path, path);
	must(fd >= 0 && !connect(fd, (struct sockaddr *)&a, sizeof a));
	return fd;
}

static bool serve_nobody(void *arg, int fd, const struct sockaddr *from, socklen_t len)
{
	(void)arg, (void)from, (void)len;
	close(fd);
	errno = EMFILE;
	return false;
}

struct bench {
	struct loop loop;
	struct acceptor *acceptor;
	struct acceptor_stats stats;
};

/* Of `options`, those are set that are the same for all. */
static void open_bench(struct bench *b, struct acceptor_options *options)
{
	CLEANUP(buf_clear) struct buf errors = { 0 };
	CLEANUP(freep) char *address = xasprintf("unix:%s", path);
	static const int64_t no_limit = 0;

	options->name = "listen.address";
	options->address = address;
	options->max_per_address = &no_limit;
	loop_open(&b->loop);
	must(!acceptor_open(&b->loop, options, &errors, &b->acceptor));
}

static void close_bench(struct bench *b)
{
	acceptor_free(b->acceptor);
	loop_close(&b->loop);
}

/* What happens by itself; not what a timer has to do. */
static void settle(struct bench *b)
{
	for (int i = 0; i < TURNS; i++)
		uv_run(&b->loop.uv, UV_RUN_NOWAIT);
	acceptor_stats(b->acceptor, &b->stats);
}

static void rest_until(struct bench *b, int64_t rests)
{
	while (b->stats.out_of_resources < rests) {
		uv_run(&b->loop.uv, UV_RUN_ONCE);
		acceptor_stats(b->acceptor, &b->stats);
	}
}

static void test_not_served(void)
{
	struct acceptor_options options = { .max_connections = CLIENTS, .accepted = serve_nobody };
	struct bench b = { 0 };
	int clients[CLIENTS];

	open_bench(&b, &options);
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_client(SOCK_STREAM);
	settle(&b);
	CHECK_INT(b.stats.out_of_resources, 1); /* the others wait */
	CHECK_INT(b.stats.accepted, 1);
	CHECK_INT(b.stats.open, 0);
	rest_until(&b, 2);
	CHECK_INT(b.stats.accepted, 2);
	for (int i = 0; i < CLIENTS; i++)
		close(clients[i]);
	close_bench(&b);
}

static int lack(void *arg)
{
	(void)arg;
	return -EMFILE;
}

/* A connection that couldn't be served stays in the kernel's queue, and isn't closed. */
static void test_not_prepared(void)
{
	struct acceptor_options options = { .max_connections = CLIENTS,
					    .prepare = lack,
					    .accepted = serve_nobody };
	struct bench b = { 0 };
	int client;
	char byte;

	open_bench(&b, &options);
	client = connect_client(SOCK_STREAM);
	rest_until(&b, 2);
	CHECK_INT(b.stats.accepted, 0);
	CHECK_INT(recv(client, &byte, 1, MSG_DONTWAIT), -1); /* not closed */
	close(client);
	close_bench(&b);
}

struct process {
	int fds[CLIENTS]; /* in order of arrival */
	int accepted, asked, closed;
};

static bool serve(void *arg, int fd, const struct sockaddr *from, socklen_t len)
{
	struct process *s = arg;

	(void)from, (void)len;
	s->fds[s->accepted++] = fd;
	return true;
}

static bool serve_at_once(void *arg, int fd, const struct sockaddr *from, socklen_t len)
{
	(void)from, (void)len;
	++*(int *)arg;
	close(fd);
	return true;
}

/* Many who come at once are let in by pieces: those who are in are served in between. */
static void test_many(void)
{
	enum { MANY = 60, PIECE = 16 };
	int clients[MANY], accepted = 0;
	struct acceptor_options options = { .max_connections = MANY,
					    .accepted = serve_at_once,
					    .arg = &accepted };
	struct bench b = { 0 };

	open_bench(&b, &options);
	for (int i = 0; i < MANY; i++)
		clients[i] = connect_client(SOCK_STREAM);
	for (int turn = 0; turn < 1000 && accepted < MANY; turn++) {
		int before = accepted;

		uv_run(&b.loop.uv, UV_RUN_NOWAIT);
		CHECK(accepted <= before + PIECE);
	}
	CHECK_INT(accepted, MANY);
	for (int i = 0; i < MANY; i++) {
		close(clients[i]);
		acceptor_closed(b.acceptor, "");
	}
	close_bench(&b);
}

/* The first time none can be asked. */
static bool ask_first(void *arg)
{
	struct process *s = arg;

	if (!s->asked++)
		return false;
	close(s->fds[s->closed++]);
	return true;
}

/* None is asked to close for nobody, and where none can be asked at once, it is tried again. */
static void test_full(void)
{
	struct process server = { 0 };
	struct acceptor_options options = {
		.max_connections = 2, .accepted = serve, .make_room = ask_first, .arg = &server
	};
	struct bench b = { 0 };
	int clients[3];

	open_bench(&b, &options);
	for (int i = 0; i < 2; i++)
		clients[i] = connect_client(SOCK_STREAM);
	settle(&b);
	CHECK_INT(server.accepted, 2);
	CHECK_INT(server.asked, 0);
	clients[2] = connect_client(SOCK_STREAM);
	CHECK(RUN_UNTIL(&b.loop, server.closed, 5000));
	CHECK_INT(server.asked, 2);
	acceptor_closed(b.acceptor, "");
	CHECK(RUN_UNTIL(&b.loop, server.accepted == 3, 5000));
	CHECK_INT(server.asked, 2);
	for (int i = 0; i < 3; i++)
		close(clients[i]);
	for (; server.closed < server.accepted; server.closed++) {
		close(server.fds[server.closed]);
		acceptor_closed(b.acceptor, "");
	}
	close_bench(&b);
}

static void on_check(uv_check_t *check)
{
	++*(int *)check->data;
}

static void on_enough(void *arg)
{
	uv_stop(arg);
}

/* How often the loop turns in one and a half rests while nobody can be accepted. */
static void test_no_successor(void)
{
	CLEANUP(buf_clear) struct buf errors = { 0 };
	struct takeover_server_options options = { .path = path,
						   .sockets = { { "x", "y", 0 } },
						   .count = 1 };
	struct rlimit limit, none;
	struct takeover_server *h;
	struct loop loop;
	struct timer *enough;
	uv_check_t check;
	int client, turns = 0;

	loop_open(&loop);
	must(!takeover_server_new(&loop, &options, &errors, &h));
	client = connect_client(SOCK_SEQPACKET);
	enough = timer_new(&loop, on_enough, &loop.uv);
	timer_start(enough, 150);
	uv_check_init(&loop.uv, &check);
	check.data = &turns;
	uv_check_start(&check, on_check);
	must(!getrlimit(RLIMIT_NOFILE, &limit));
	none = (struct rlimit){ 0, limit.rlim_max };
	must(!setrlimit(RLIMIT_NOFILE, &none));
	uv_run(&loop.uv, UV_RUN_DEFAULT);
	must(!setrlimit(RLIMIT_NOFILE, &limit));
	CHECK(turns < TURNS);
	uv_close((uv_handle_t *)&check, NULL);
	timer_clear(&enough);
	close(client);
	takeover_server_free(h);
	loop_close(&loop);
}

/* The other side of a takeover, in a process of its own. */
static void give(int door, int given, const char *sockets)
{
	char text[64];
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof given)] = { 0 };
	struct iovec data = { (char *)sockets, strlen(sockets) };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof control };
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);
	int link = accept(door, NULL, NULL);

	must(recv(link, text, sizeof text, 0) > 0);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof given);
	memcpy(CMSG_DATA(c), &given, sizeof given);
	must(sendmsg(link, &message, 0) > 0);
	_exit(0);
}

static void test_unnamed_descriptor(void)
{
	CLEANUP(buf_clear) struct buf errors = { 0 };
	struct takeover_client *i = NULL;
	int ends[2], status, door = listener_open_packets(path);
	char byte;
	pid_t child;

	must(door >= 0 && !fcntl(door, F_SETFL, 0) && !pipe2(ends, O_NONBLOCK));
	child = fork();
	must(child >= 0);
	if (!child)
		give(door, ends[1], TAKEOVER_SOCKETS); /* it comes without a name */
	close(ends[1]);
	CHECK_INT(takeover_client_ask(path, &errors, &i), -EPROTO);
	must(waitpid(child, &status, 0) == child);
	CHECK_INT(status, 0);
	CHECK_INT(read(ends[0], &byte, 1), 0); /* nobody has the other end any more */
	close(ends[0]);
	close(door);
	must(!unlink(path));
}

/* How many connections may wait: of a socket that listens, tcp_info counts them (tcp_diag.c). */
static unsigned queue_of(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof info;

	must(!getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len));
	return info.tcpi_sacked;
}

/* The longest that this kernel gives. */
static unsigned longest_queue(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	unsigned queue;

	must(fd >= 0 && !listen(fd, INT_MAX));
	queue = queue_of(fd);
	close(fd);
	return queue;
}

static void test_queue(void)
{
	CLEANUP(buf_clear) struct buf errors = { 0 };
	CLEANUP(freep) char *address = NULL;
	int fd = listener_open("listen.address", "127.0.0.1:0", &errors, &address);

	must(fd >= 0);
	CHECK_INT(queue_of(fd), longest_queue());
	close(fd);
}

/* The process that opened it may have been one that knew no better. */
static void test_queue_of_taken(void)
{
	CLEANUP(buf_clear) struct buf errors = { 0 };
	CLEANUP(takeover_client_freep) struct takeover_client *client = NULL;
	struct acceptor_options options = { .name = "listen.address", .address = "127.0.0.1:0" };
	int status, door = listener_open_packets(path), given = socket(AF_INET, SOCK_STREAM, 0);
	struct loop loop;
	struct acceptor *a;
	pid_t child;

	must(door >= 0 && !fcntl(door, F_SETFL, 0) && given >= 0 && !listen(given, CLIENTS));
	CHECK_INT(queue_of(given), CLIENTS);
	child = fork();
	must(child >= 0);
	if (!child)
		give(door, given, TAKEOVER_SOCKETS "listen.address 127.0.0.1:0\n");
	must(!takeover_client_ask(path, &errors, &client) && client);
	must(waitpid(child, &status, 0) == child && !status);
	options.takeover = client;
	loop_open(&loop);
	must(!acceptor_open(&loop, &options, &errors, &a));
	CHECK_INT(queue_of(acceptor_descriptor(a)), longest_queue());
	acceptor_free(a);
	loop_close(&loop);
	close(given);
	close(door);
	must(!unlink(path));
}

int main(void)
{
	char *end = strrchr(path, '/');

	*end = '\0';
	must(mkdtemp(path));
	*end = '/';
	test_not_served();
	test_not_prepared();
	test_many();
	test_full();
	test_no_successor();
	test_unnamed_descriptor();
	test_queue();
	test_queue_of_taken();
	*end = '\0';
	must(!rmdir(path));
	return check_done();
}
