/*
 * load_streams.c - streams of 200-byte events; each event carries the time at which it was sent.
 *
 * Options: --connections, --every_us between the events of a stream, --warm_ms, --run_ms; or less,
 * with --until_eof 1.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "load.h"
#include "net.h"

enum { EVENT_BYTES = 200, TIME_AT = sizeof "data: {\"t\":" - 1, LOOK_NS = 10000000 };

struct streams {
	int64_t *late_ns;
	size_t count, max;
	bool measuring;
};

static void on_event(struct streams *s, const char *event)
{
	if (s->measuring && s->count < s->max)
		s->late_ns[s->count++] = net_now_ns() - strtoll(event + TIME_AT, NULL, 10);
}

/* Proxies may cut the bytes where they like: an event is what adds up to its length. */
static void on_body(void *arg, const char *data, size_t len)
{
	struct visitor *v = arg;

	while (len) {
		size_t n = MIN(len, EVENT_BYTES - v->event_len);

		memcpy(v->event + v->event_len, data, n);
		v->event_len += n;
		data += n;
		len -= n;
		if (v->event_len == EVENT_BYTES) {
			on_event(v->load->x, v->event);
			v->event_len = 0;
		}
	}
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static double percentile_us(const struct streams *s, double of_100)
{
	return s->count ? (double)s->late_ns[(size_t)((double)(s->count - 1) * of_100 / 100)] / 1e3
			: 0;
}

static void run_until(struct load *l, int64_t until_ns)
{
	while (net_now_ns() < until_ns)
		load_run(l, until_ns);
}

/* Started evenly over one interval, so that the events of all streams don't come at once. */
static void start_streams(struct load *l, int64_t every_us)
{
	int64_t start = net_now_ns();
	char target[128];

	snprintf(target, sizeof target, "/stream?every_us=%" PRId64, every_us);
	for (int64_t i = 0; i < l->count; i++) {
		run_until(l, start + i * every_us * 1000 / l->count);
		visitor_get(&l->visitors[i], target);
	}
}

void load_streams(struct load *l)
{
	int64_t every_us = load_option(l, "every_us", 10000);
	int64_t run_ms = load_option(l, "run_ms", 2000);
	struct streams s = { .max = (size_t)(2 * l->count * (run_ms * 1000 / every_us + 1)) };

	s.late_ns = xcalloc(s.max, sizeof *s.late_ns);
	l->x = &s;
	l->body = on_body;
	start_streams(l, every_us);
	run_until(l, net_now_ns() + load_option(l, "warm_ms", 300) * 1000000);
	load_begin();
	s.measuring = true;
	for (int64_t end = net_now_ns() + run_ms * 1000000, now; !load_is_over(l);) {
		now = net_now_ns();
		if (now >= end)
			break;
		run_until(l, MIN(end, now + LOOK_NS));
	}
	qsort(s.late_ns, s.count, sizeof *s.late_ns, compare);
	printf("{\"events\":%zu,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f,\"refused\":%" PRId64
	       "}\n",
	       s.count, percentile_us(&s, 50), percentile_us(&s, 99), percentile_us(&s, 100),
	       l->refused);
	free(s.late_ns);
}
