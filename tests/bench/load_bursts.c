/*
 * load_bursts.c - bursts of user messages of one account, and what their upstream saw of them.
 *
 * A hand-off is the time from the last byte of one response, as the upstream sent it, to the first
 * byte of the next request, as it came there: it has the proxy's whole way in it, both directions.
 * The ideal is one service after another with nothing between. An inversion is a request that came
 * to the upstream before one that had been sent earlier. Where the account has several turns at
 * once, each request but the first ones follows the oldest response that none has followed yet.
 *
 * Options: --connections requests of a burst, --gap_us between them, --service_us, --bursts (or
 * fewer, with --until_eof 1), --shares whose they are by turns, --turns of the account,
 * --upstream the upstream's port.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "net.h"

enum { BURST_LIMIT_S = 120 };

struct record {
	int64_t id, came_ns, done_ns;
};

static bool all_answered(const struct load *l)
{
	for (int64_t i = 0; i < l->count; i++)
		if (!l->visitors[i].answered_ns && l->visitors[i].fd >= 0)
			return false;
	return true;
}

static void send_burst(struct load *l)
{
	int64_t gap_ns = load_option(l, "gap_us", 2000) * 1000, start = net_now_ns();
	int64_t limit = start + (int64_t)BURST_LIMIT_S * 1000000000;

	for (int64_t i = 0; i < l->count; i++) {
		char target[128];

		while (net_now_ns() < start + i * gap_ns)
			load_run(l, start + i * gap_ns);
		snprintf(target, sizeof target, "/v1/messages?id=%" PRId64 "&service_us=%" PRId64,
			 i, load_option(l, "service_us", 20000));
		visitor_post(&l->visitors[i], i % load_option(l, "shares", 1), target, true, 300);
	}
	while (!all_answered(l) && net_now_ns() < limit)
		load_run(l, limit);
	if (!all_answered(l))
		net_fail("a burst didn't end");
}

/* --- what the upstream saw -------------------------------------------------------------------- */

static void keep_body(void *arg, const char *data, size_t len)
{
	buf_append(((struct visitor *)arg)->load->x, data, len);
}

/* The records since the last time, in order of arrival; how many. */
static size_t fetch_records(const struct load *of, struct record *to, size_t max)
{
	CLEANUP(buf_clear) struct buf text = { 0 };
	struct load l = { .body = keep_body, .x = &text };
	char *args[] = { "", "--port", xasprintf("%" PRId64, load_option(of, "upstream", 0)) };
	int64_t limit = net_now_ns() + 5000000000;
	size_t n = 0;

	load_open(&l, (int)ARRAY_SIZE(args), args, 1);
	load_connect(&l);
	visitor_get(l.visitors, "/records");
	while (!l.visitors->answered_ns && net_now_ns() < limit)
		load_run(&l, limit);
	load_close(&l);
	free(args[2]);
	for (const char *at = buf_str(&text); n < max && *at; at = strchr(at, '\n') + 1, n++)
		if (sscanf(at, "%" SCNd64 " %" SCNd64 " %" SCNd64, &to[n].id, &to[n].came_ns,
			   &to[n].done_ns) != 3)
			net_fail("a record that isn't one");
	return n;
}

static int64_t count_inversions(const struct record *r, size_t n)
{
	int64_t count = 0, latest = -1;

	for (size_t i = 0; i < n; i++) {
		if (r[i].id < latest)
			count++;
		latest = MAX(latest, r[i].id);
	}
	return count;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void print_gaps(const struct record *r, size_t n, size_t turns)
{
	CLEANUP(freep) int64_t *came = xcalloc(n + 1, sizeof *came);
	CLEANUP(freep) int64_t *done = xcalloc(n + 1, sizeof *done);

	for (size_t i = 0; i < n; i++) {
		came[i] = r[i].came_ns;
		done[i] = r[i].done_ns;
	}
	qsort(came, n, sizeof *came, compare);
	qsort(done, n, sizeof *done, compare);
	for (size_t i = turns; i < n; i++)
		printf("%s%.1f", i > turns ? "," : "", (double)(came[i] - done[i - turns]) / 1e3);
}

static void print_burst(struct load *l, bool first)
{
	size_t max = (size_t)l->count, n;
	size_t turns = (size_t)load_option(l, "turns", 1);
	CLEANUP(freep) struct record *r = xcalloc(max, sizeof *r);
	int64_t ideal = load_option(l, "service_us", 20000) * 1000 * l->count / (int64_t)turns;
	int64_t last = 0;

	n = fetch_records(l, r, max);
	for (int64_t i = 0; i < l->count; i++)
		last = MAX(last, l->visitors[i].answered_ns);
	printf("%s{\"seen\":%zu,\"wall_over_ideal\":%.5f,\"inversions\":%" PRId64 ",\"gaps_us\":[",
	       first ? "" : ",", n, (double)(last - l->visitors[0].asked_ns) / (double)ideal,
	       count_inversions(r, n));
	print_gaps(r, n, turns);
	printf("]}");
}

void load_bursts(struct load *l)
{
	int64_t bursts = load_option(l, "bursts", 1);
	struct record dropped[256];

	(void)!fetch_records(l, dropped, ARRAY_SIZE(dropped));
	load_begin();
	printf("{\"bursts\":[");
	for (int64_t i = 0; i < bursts && !load_is_over(l); i++) {
		send_burst(l);
		print_burst(l, !i);
	}
	printf("],\"refused\":%" PRId64 "}\n", l->refused);
}
