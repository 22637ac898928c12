/*
 * poller.c - a proxy that serialises the way relays commonly do it: whoever finds the lock of its
 * account taken sleeps and tries again.
 *
 * The pause is 50 ms at first, 1.5 times as long each time, 500 ms at most, each ±15 % at random.
 * The lock is a flag in this process, so a try costs nothing: what is measured is the algorithm.
 *
 *      client ──> whole request ──> try the lock <──> sleep
 *                                        │
 *             <── response as it comes ──┴── upstream; at its end the lock is free
 *
 * A connection of a client has one of its own to the upstream; both are kept. All requests count
 * as user messages. The accounts are few, so they are a list.
 *
 * usage: bench_poller --port N --upstream N
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/list.h"
#include "message.h"
#include "net.h"

enum {
	READ_BYTES = 64 * 1024,
	FIRST_PAUSE_MS = 50,
	LONGEST_PAUSE_MS = 500,
	SPREAD_PERCENT = 15,
};

struct account {
	struct list link;
	char *name;
	bool taken;
};

/* One end of a pair: epoll's data. */
struct side {
	struct pair *pair;
	int fd;
	struct message in;
};

struct pair {
	struct list link;
	struct side client, upstream;
	struct buf request;
	struct account *holds;
	int64_t try_ns; /* when to try the lock again; INT64_MAX: isn't waiting */
	double pause_ms;
};

static struct {
	int epoll, listener, upstream_port;
	struct list pairs, accounts;
} server;

static void pair_close(struct pair *p)
{
	if (p->holds)
		p->holds->taken = false;
	close(p->client.fd);
	close(p->upstream.fd);
	buf_clear(&p->request);
	list_remove(&p->link);
	free(p);
}

static struct account *account_of(const struct message *m)
{
	const char *key = message_field(m, "x-api-key:");
	size_t len = key ? strcspn(key, "\r") : 0;
	struct account *a;

	list_for_each (a, &server.accounts, link)
		if (strlen(a->name) == len && !strncmp(a->name, key ? key : "", len))
			return a;
	a = xcalloc(1, sizeof *a);
	a->name = xstrndup(key ? key : "", len);
	list_append(&server.accounts, &a->link);
	return a;
}

/* --- the algorithm ---------------------------------------------------------------------------- */

static void pause_and_try_again(struct pair *p)
{
	double spread = (double)(random() % (2 * SPREAD_PERCENT * 100 + 1)) / 10000 -
			(double)SPREAD_PERCENT / 100;

	p->try_ns = net_now_ns() + (int64_t)(p->pause_ms * (1 + spread) * 1e6);
	p->pause_ms = MIN(p->pause_ms * 1.5, LONGEST_PAUSE_MS);
}

/* False: the pair is closed. */
static bool try_the_lock(struct pair *p)
{
	struct account *a = account_of(&p->client.in);

	if (a->taken) {
		pause_and_try_again(p);
		return true;
	}
	a->taken = true;
	p->holds = a;
	p->try_ns = INT64_MAX;
	message_reset(&p->upstream.in);
	if (net_send(p->upstream.fd, p->request.data, p->request.len) == (ssize_t)p->request.len)
		return true;
	pair_close(p);
	return false;
}

static void on_request(struct pair *p)
{
	p->pause_ms = FIRST_PAUSE_MS;
	(void)try_the_lock(p);
}

/* --- bytes ------------------------------------------------------------------------------------ */

static void on_client_bytes(struct pair *p, const char *data, size_t len)
{
	if (p->holds || p->try_ns != INT64_MAX ||
	    message_feed(&p->client.in, data, len, NULL, NULL) < len) {
		pair_close(p); /* pipelined */
		return;
	}
	buf_append(&p->request, data, len);
	if (p->client.in.state == MESSAGE_DONE)
		on_request(p);
}

static void on_upstream_bytes(struct pair *p, const char *data, size_t len)
{
	if (net_send(p->client.fd, data, len) != (ssize_t)len ||
	    message_feed(&p->upstream.in, data, len, NULL, NULL) < len) {
		pair_close(p);
		return;
	}
	if (p->upstream.in.state != MESSAGE_DONE)
		return;
	p->holds->taken = false;
	p->holds = NULL;
	p->request.len = 0;
	message_reset(&p->client.in);
}

static void on_bytes(struct side *s)
{
	static char data[READ_BYTES];
	ssize_t n = recv(s->fd, data, sizeof data, 0);
	struct pair *p = s->pair;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || (s == &p->upstream && !p->holds))
		pair_close(p);
	else if (s == &p->client)
		on_client_bytes(p, data, (size_t)n);
	else
		on_upstream_bytes(p, data, (size_t)n);
}

static void on_connection(void)
{
	int fd;

	while ((fd = net_accept(server.listener)) >= 0) {
		struct pair *p = xcalloc(1, sizeof *p);

		p->client = (struct side){ .pair = p, .fd = fd };
		p->upstream = (struct side){ .pair = p, .fd = net_connect(server.upstream_port) };
		p->try_ns = INT64_MAX;
		list_append(&server.pairs, &p->link);
		net_watch(server.epoll, p->client.fd, EPOLLIN, &p->client);
		net_watch(server.epoll, p->upstream.fd, EPOLLIN, &p->upstream);
	}
}

/* --- the loop --------------------------------------------------------------------------------- */

static int64_t next_try_ns(void)
{
	int64_t next = INT64_MAX;
	struct pair *p;

	list_for_each (p, &server.pairs, link)
		next = MIN(next, p->try_ns);
	return next;
}

static void try_those_due(void)
{
	int64_t now = net_now_ns();
	struct pair *p, *tmp;

	list_for_each_safe (p, tmp, &server.pairs, link)
		if (p->try_ns <= now)
			(void)try_the_lock(p);
}

/* An event of a pair that an earlier event of the same round has closed must not be looked at:
 * so one event a round. Nobody measures this proxy's throughput. */
int main(int argc, char **argv)
{
	net_raise_limits();
	srandom((unsigned)net_now_ns());
	list_init(&server.pairs);
	list_init(&server.accounts);
	server.upstream_port = (int)net_option(argc, argv, "upstream", 0);
	server.epoll = epoll_create1(EPOLL_CLOEXEC);
	server.listener = net_listen((int)net_option(argc, argv, "port", 0));
	net_watch(server.epoll, server.listener, EPOLLIN, NULL);
	for (;;) {
		struct epoll_event event;

		if (net_wait(server.epoll, &event, 1, next_try_ns())) {
			if (event.data.ptr)
				on_bytes(event.data.ptr);
			else
				on_connection();
		}
		try_those_due();
	}
}
