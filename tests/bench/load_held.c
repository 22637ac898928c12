/*
 * load_held.c - connections that are there and wait, until standard input ends.
 *
 * Options: --connections, --streams 1: each has an idle stream; else each sends a user message
 * with --bytes of body that the upstream never answers, so that of each of --accounts one is
 * there and the others wait.
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "load.h"
#include "net.h"

enum { SENDING_LIMIT_S = 60, BATCH = 256 };

struct held {
	bool streams;
	int64_t begun; /* streams that have said something */
};

static void on_body(void *arg, const char *data, size_t len)
{
	struct visitor *v = arg;

	(void)data;
	(void)len;
	((struct held *)v->load->x)->begun += !v->served;
	v->served = true;
}

static bool is_in(const struct load *l, int64_t count)
{
	const struct held *h = l->x;

	if (h->streams)
		return h->begun + l->refused >= count;
	for (int64_t i = 0; i < count; i++)
		if (l->visitors[i].sent < l->visitors[i].out.len && l->visitors[i].fd >= 0)
			return false;
	return true;
}

/* In batches, as that many at once would overflow the backlog of a listener. */
static void send_all(struct load *l)
{
	int64_t limit = net_now_ns() + (int64_t)SENDING_LIMIT_S * 1000000000;
	const struct held *h = l->x;

	for (int64_t i = 0; i < l->count; i++) {
		if (h->streams)
			visitor_get(&l->visitors[i], "/stream?every_us=0");
		else
			visitor_post(&l->visitors[i], i % load_option(l, "accounts", 1),
				     "/v1/messages?hold=1", true,
				     (size_t)load_option(l, "bytes", 300));
		while (i % BATCH == BATCH - 1 && !is_in(l, i + 1) && net_now_ns() < limit)
			load_run(l, limit);
	}
	while (!is_in(l, l->count) && net_now_ns() < limit)
		load_run(l, limit);
	if (!is_in(l, l->count))
		net_fail("not all have come in");
}

void load_held(struct load *l)
{
	struct held h = { .streams = load_option(l, "streams", 0) };
	char end;

	l->x = &h;
	l->body = on_body;
	send_all(l);
	load_begin();
	while (read(STDIN_FILENO, &end, 1) > 0)
		;
	while (l->refused < l->count) {
		int64_t before = l->refused, now = net_now_ns();

		load_run(l, now);
		if (l->refused == before)
			break;
	}
	printf("{\"held\":%" PRId64 ",\"refused\":%" PRId64 "}\n", l->count - l->refused,
	       l->refused);
}
