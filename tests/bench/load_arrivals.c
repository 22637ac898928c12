/*
 * load_arrivals.c - connections that come all at once, each with a user message of an account of
 * its own, and stay; when their answers come.
 *
 * A listener's queue has room for some (net.core.somaxconn, or what its program asked for);
 * whoever finds it full tries again after a second, then after two and four. So not more than
 * --at_once are without an answer.
 *
 * Options: --connections, --at_once, --service_us, --bytes of a body.
 */
#include <inttypes.h>
#include <stdio.h>

#include "load.h"
#include "net.h"

enum { ARRIVALS_LIMIT_S = 60, FIRST_ACCOUNT = 1000000 };

struct arrivals {
	int64_t answered, last_ns, longest_ns;
};

static void on_answered(struct visitor *v)
{
	struct arrivals *a = v->load->x;
	int64_t gap_ns = v->answered_ns - a->last_ns;

	a->longest_ns = MAX(a->longest_ns, gap_ns);
	a->last_ns = v->answered_ns;
	a->answered++;
}

/* What is answered meanwhile is read, so that the answers' times are true. */
static void come(struct load *l, const char *target, int64_t limit_ns)
{
	const struct arrivals *a = l->x;
	int64_t at_once = load_option(l, "at_once", 900);

	for (int64_t i = 0; i < l->count; i++) {
		while (i - a->answered - l->refused >= at_once && net_now_ns() < limit_ns)
			load_run(l, limit_ns);
		visitor_connect(&l->visitors[i]);
		visitor_post(&l->visitors[i], FIRST_ACCOUNT + i, target, true,
			     (size_t)load_option(l, "bytes", 300));
		load_run(l, 0);
	}
}

void load_arrivals(struct load *l)
{
	struct arrivals a = { 0 };
	char target[128];
	int64_t start, come_ns, limit_ns;

	snprintf(target, sizeof target, "/v1/messages?service_us=%" PRId64,
		 load_option(l, "service_us", 0));
	l->x = &a;
	l->answered = on_answered;
	load_begin();
	start = a.last_ns = net_now_ns();
	limit_ns = start + (int64_t)ARRIVALS_LIMIT_S * 1000000000;
	come(l, target, limit_ns);
	come_ns = net_now_ns() - start;
	while (a.answered + l->refused < l->count && net_now_ns() < limit_ns)
		load_run(l, limit_ns);
	printf("{\"answered\":%" PRId64 ",\"come_ms\":%.1f,\"seconds\":%.6f,"
	       "\"longest_gap_us\":%.1f,\"refused\":%" PRId64 "}\n",
	       a.answered, (double)come_ns / 1e6, (double)(a.last_ns - start) / 1e9,
	       (double)a.longest_ns / 1e3, l->refused);
}
