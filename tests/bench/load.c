/*
 * load.c - the load generator: what wrk doesn't do.
 *
 *      load bursts   bursts of user messages of one account; what their upstream saw of the order
 *      load turns    connections that ask again and again, as fast as their turns come
 *      load streams  streams of events that carry their time; how late they come
 *      load held     idle streams or waiting requests, held until standard input ends
 *      load posts    large bodies, one after another; how long each takes
 *      load arrivals connections that come all at once, each with a message; when they are answered
 *      load rate     GETs at an even rate, as something to measure beside
 *
 * usage: bench_load MODE --port N [--OPTION N]...
 */
#include "load.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"

enum { EVENTS_MAX = 512, READ_BYTES = 256 * 1024, BATCH = 256, CONNECT_LIMIT_MS = 5000 };

/* --- connections ------------------------------------------------------------------------------ */

static void disconnect(struct visitor *v)
{
	if (v->fd >= 0)
		close(v->fd);
	v->fd = -1;
}

static void give_up(struct visitor *v)
{
	v->load->refused++;
	disconnect(v);
}

void visitor_send(struct visitor *v)
{
	ssize_t n;

	if (v->fd < 0)
		return;
	n = net_send(v->fd, v->out.data + v->sent, v->out.len - v->sent);
	if (n < 0) {
		give_up(v);
		return;
	}
	v->sent += (size_t)n;
	net_rewatch(v->load->epoll, v->fd, v->sent < v->out.len ? EPOLLIN | EPOLLOUT : EPOLLIN, v);
}

/* The first bytes go at once; a connection that isn't there yet asks for its turn to write. */
static void ask(struct visitor *v)
{
	v->sent = 0;
	v->asked_ns = net_now_ns();
	v->answered_ns = 0;
	message_reset(&v->in);
	visitor_send(v);
}

void visitor_get(struct visitor *v, const char *target)
{
	v->out.len = 0;
	buf_printf(&v->out, "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n", target);
	ask(v);
}

/* A conversation whose last message is the user's, or a tool's result of about that size. */
static void write_body(struct buf *b, bool gated, size_t bytes)
{
	/* what a coding agent's tool results are made of: source text, with line numbers */
	static const char text[] =
		"    17  static void on_bytes(struct visitor *v)\\n    18  {\\n"
		"    19  \\tssize_t n = recv(v->fd, data, sizeof data, 0);\\n    20\\n"
		"    21  \\tif (n > 0 && !v->done)\\n"
		"    22  \\t\\tprintf(\\\"%zd bytes more\\\\n\\\", n);\\n";
	size_t end = b->len + bytes;

	buf_puts(b, "{\"model\":\"m\",\"max_tokens\":64,\"stream\":true,\"messages\":["
		    "{\"role\":\"user\",\"content\":\"go on\"},{\"role\":\"assistant\",\"content\":"
		    "[{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"Read\",\"input\":{}}]},"
		    "{\"role\":\"user\",\"content\":[{\"type\":");
	buf_puts(b, gated ? "\"text\",\"text\":\""
			  : "\"tool_result\",\"tool_use_id\":\"t1\",\"content\":\"");
	while (b->len + sizeof text + 5 < end)
		buf_append(b, text, sizeof text - 1);
	buf_puts(b, "\"}]}]}");
}

void visitor_post(struct visitor *v, int64_t account, const char *target, bool gated, size_t bytes)
{
	CLEANUP(buf_clear) struct buf body = { 0 };

	v->out.len = 0;
	write_body(&body, gated, bytes);
	buf_printf(&v->out,
		   "POST %s HTTP/1.1\r\nHost: bench\r\nx-api-key: sk-bench-%" PRId64 "\r\n"
		   "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
		   target, account, body.len);
	buf_append(&v->out, body.data, body.len);
	ask(v);
}

static void on_answered(struct visitor *v)
{
	v->answered_ns = net_now_ns();
	if (v->in.status != 200)
		v->load->refused++;
	if (v->load->answered)
		v->load->answered(v);
}

static void on_bytes(struct visitor *v)
{
	static char data[READ_BYTES];
	ssize_t n = recv(v->fd, data, sizeof data, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || message_feed(&v->in, data, (size_t)n, v->load->body, v) < (size_t)n ||
	    v->in.state == MESSAGE_BAD)
		give_up(v);
	else if (v->in.state == MESSAGE_DONE)
		on_answered(v);
}

static void on_event(struct visitor *v, uint32_t events)
{
	if (events & EPOLLOUT)
		visitor_send(v);
	if (v->fd >= 0 && events & ~(uint32_t)EPOLLOUT)
		on_bytes(v);
}

void load_run(struct load *l, int64_t until_ns)
{
	struct epoll_event events[EVENTS_MAX];
	int n = net_wait(l->epoll, events, EVENTS_MAX, until_ns);

	for (int i = 0; i < n; i++)
		on_event(events[i].data.ptr, events[i].events);
}

/* --- a run ------------------------------------------------------------------------------------ */

int64_t load_option(const struct load *l, const char *name, int64_t otherwise)
{
	return net_option(l->argc, l->argv, name, otherwise);
}

void load_begin(void)
{
	printf("begin\n");
	fflush(stdout);
}

/* More connections at once than a listener's backlog has room for would wait a second each. */
static void wait_until_connected(int fd)
{
	struct pollfd wait = { .fd = fd, .events = POLLOUT };

	(void)!poll(&wait, 1, CONNECT_LIMIT_MS);
}

void load_open(struct load *l, int argc, char **argv, int64_t count)
{
	l->argc = argc;
	l->argv = argv;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->port = (int)load_option(l, "port", 0);
	l->count = count;
	l->visitors = xcalloc((size_t)count, sizeof *l->visitors);
	for (int64_t i = 0; i < count; i++)
		l->visitors[i] = (struct visitor){ .load = l, .index = i, .fd = -1 };
}

void visitor_connect(struct visitor *v)
{
	v->fd = net_connect(v->load->port);
	net_watch(v->load->epoll, v->fd, EPOLLIN, v);
}

void load_connect(struct load *l)
{
	for (int64_t i = 0; i < l->count; i++) {
		visitor_connect(&l->visitors[i]);
		if (i % BATCH == BATCH - 1)
			wait_until_connected(l->visitors[i].fd);
	}
}

bool load_is_over(const struct load *l)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

	return load_option(l, "until_eof", 0) && poll(&input, 1, 0) > 0;
}

void load_close(struct load *l)
{
	for (int64_t i = 0; i < l->count; i++) {
		disconnect(&l->visitors[i]);
		buf_clear(&l->visitors[i].out);
	}
	free(l->visitors);
	close(l->epoll);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(struct load *l);
		int64_t connections;
		bool come_later; /* they aren't connected before it begins */
	} modes[] = {
		{ "bursts", load_bursts, 20 },
		{ "turns", load_turns, 1 },
		{ "streams", load_streams, 200 },
		{ "held", load_held, 1 },
		{ "posts", load_posts, 1 },
		{ "rate", load_rate, 16 },
		{ "arrivals", load_arrivals, 1, true },
	};

	net_raise_limits();
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(modes); i++) {
		struct load l = { 0 };

		if (strcmp(argv[1], modes[i].name) != 0)
			continue;
		load_open(&l, argc, argv,
			  net_option(argc, argv, "connections", modes[i].connections));
		if (!modes[i].come_later)
			load_connect(&l);
		modes[i].run(&l);
		load_close(&l);
		return 0;
	}
	fprintf(stderr, "usage: bench_load bursts|turns|streams|held|posts|arrivals|rate --port N "
			"[--OPTION N]...\n");
	return 2;
}
