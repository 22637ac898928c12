/*
 * upstream.c - the upstream of the bench: answers what the target's query asks for.
 *
 *      service_us=N          answers after N µs (0), with bytes=N of body (100)
 *      every_us=N            an endless stream of 200 B events, one every N µs, each with its time
 *      every_us=0            a stream that says one event and then nothing
 *      hold=1                is never answered
 *      id=N                  is recorded: when its first byte came, when its last one was sent
 *      GET /records          the records since the last time: "id came_ns done_ns" a line
 *
 * One thread, one epoll, one heap of what is due next. Each message goes out in one send(); on
 * loopback the socket's buffer has room for it, and a reader so slow that it hasn't is cut off.
 *
 * usage: bench_upstream --port N
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "message.h"
#include "net.h"

enum {
	EVENTS_MAX = 512,
	READ_BYTES = 256 * 1024,
	EVENT_BYTES = 200,
	BODY_MAX = 64 * 1024,
	DEFAULT_BODY_BYTES = 100,
};

struct client {
	int fd;
	struct message in;
	int64_t came_ns, due_ns, every_ns;
	size_t heap_at; /* 1 + its place in the heap; 0: not in it */
	bool streaming;
};

static struct {
	int epoll, listener;
	struct client **heap;
	size_t count, cap;
	struct buf records;
} server;

/* --- what is due next ------------------------------------------------------------------------- */

static void heap_put(size_t at, struct client *c)
{
	server.heap[at] = c;
	c->heap_at = at + 1;
}

static void heap_up(size_t at, struct client *c)
{
	for (; at && server.heap[(at - 1) / 2]->due_ns > c->due_ns; at = (at - 1) / 2)
		heap_put(at, server.heap[(at - 1) / 2]);
	heap_put(at, c);
}

static void heap_down(size_t at, struct client *c)
{
	for (size_t child; (child = 2 * at + 1) < server.count; at = child) {
		if (child + 1 < server.count &&
		    server.heap[child + 1]->due_ns < server.heap[child]->due_ns)
			child++;
		if (server.heap[child]->due_ns >= c->due_ns)
			break;
		heap_put(at, server.heap[child]);
	}
	heap_put(at, c);
}

static void heap_remove(struct client *c)
{
	size_t at = c->heap_at - 1;
	struct client *last;

	if (!c->heap_at)
		return;
	c->heap_at = 0;
	last = server.heap[--server.count];
	if (last == c)
		return;
	heap_down(at, last);
	heap_up(last->heap_at - 1, last);
}

static void heap_add(struct client *c, int64_t due_ns)
{
	c->due_ns = due_ns;
	if (server.count == server.cap) {
		server.cap = MAX(server.cap * 2, 64);
		server.heap = xrealloc(server.heap, server.cap * sizeof *server.heap);
	}
	heap_up(server.count++, c);
}

/* --- answering -------------------------------------------------------------------------------- */

static void client_close(struct client *c)
{
	heap_remove(c);
	close(c->fd);
	free(c);
}

/* False: it is closed. */
static bool say(struct client *c, const char *data, size_t len)
{
	if (net_send(c->fd, data, len) == (ssize_t)len)
		return true;
	client_close(c);
	return false;
}

static void answer(struct client *c, const char *body, size_t len)
{
	static char message[BODY_MAX + 256];
	int64_t id = message_query(&c->in, "id", -1), came = c->came_ns;
	int head = snprintf(message, 256,
			    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
			    "Content-Length: %zu\r\n\r\n",
			    len);

	memcpy(message + head, body, len);
	message_reset(&c->in);
	if (say(c, message, (size_t)head + len) && id >= 0)
		buf_printf(&server.records, "%jd %jd %jd\n", (intmax_t)id, (intmax_t)came,
			   (intmax_t)net_now_ns());
}

static void answer_plain(struct client *c)
{
	static char body[BODY_MAX];
	int64_t len = message_query(&c->in, "bytes", DEFAULT_BODY_BYTES);

	if (!*body)
		memset(body, 'x', sizeof body);
	answer(c, body, (size_t)MIN(MAX(len, 0), BODY_MAX));
}

static void answer_records(struct client *c)
{
	struct buf b = server.records;

	server.records = (struct buf){ 0 };
	answer(c, b.data ? b.data : "", MIN(b.len, (size_t)BODY_MAX));
	buf_clear(&b);
}

/* As a chunk: the time, and padding up to 200 bytes. */
static bool say_event(struct client *c)
{
	char chunk[4 + EVENT_BYTES + 2 + 1];
	int head = snprintf(chunk, sizeof chunk, "%x\r\ndata: {\"t\":%020jd,\"pad\":\"",
			    EVENT_BYTES, (intmax_t)net_now_ns());
	memset(chunk + head, 'x', (size_t)(EVENT_BYTES - head));
	memcpy(chunk + EVENT_BYTES, "\"}\n\n\r\n", 6);
	return say(c, chunk, 4 + EVENT_BYTES + 2);
}

static void start_stream(struct client *c, int64_t every_us)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n";

	c->streaming = true;
	c->every_ns = every_us * 1000;
	if (say(c, head, sizeof head - 1) && say_event(c) && every_us)
		heap_add(c, c->came_ns + c->every_ns);
}

static void on_request(struct client *c)
{
	int64_t service_us = message_query(&c->in, "service_us", 0);
	int64_t every_us = message_query(&c->in, "every_us", -1);

	if (every_us >= 0)
		start_stream(c, every_us);
	else if (message_query(&c->in, "hold", 0))
		return;
	else if (!strncmp(c->in.head, "GET /records", 12))
		answer_records(c);
	else if (service_us)
		heap_add(c, c->came_ns + service_us * 1000);
	else
		answer_plain(c);
}

static void on_due(struct client *c)
{
	heap_remove(c);
	if (!c->streaming)
		answer_plain(c);
	else if (say_event(c))
		heap_add(c, c->due_ns + c->every_ns);
}

/* --- the loop --------------------------------------------------------------------------------- */

static void on_bytes(struct client *c)
{
	static char data[READ_BYTES];
	ssize_t n = recv(c->fd, data, sizeof data, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		client_close(c);
		return;
	}
	if (!c->in.head_len)
		c->came_ns = net_now_ns();
	if (message_feed(&c->in, data, (size_t)n, NULL, NULL) < (size_t)n ||
	    c->in.state == MESSAGE_BAD)
		client_close(c); /* pipelined, or nonsense: nobody here sends that */
	else if (c->in.state == MESSAGE_DONE)
		on_request(c);
}

static void on_connection(void)
{
	int fd;

	while ((fd = net_accept(server.listener)) >= 0) {
		struct client *c = xcalloc(1, sizeof *c);

		c->fd = fd;
		net_watch(server.epoll, fd, EPOLLIN, c);
	}
}

int main(int argc, char **argv)
{
	net_raise_limits();
	server.epoll = epoll_create1(EPOLL_CLOEXEC);
	server.listener = net_listen((int)net_option(argc, argv, "port", 0));
	net_watch(server.epoll, server.listener, EPOLLIN, NULL);
	for (;;) {
		struct epoll_event events[EVENTS_MAX];
		int n = net_wait(server.epoll, events, EVENTS_MAX,
				 server.count ? server.heap[0]->due_ns : INT64_MAX);

		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				on_bytes(events[i].data.ptr);
			else
				on_connection();
		}
		for (int64_t now = net_now_ns(); server.count && server.heap[0]->due_ns <= now;)
			on_due(server.heap[0]);
	}
}
