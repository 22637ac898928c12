/*
 * load_posts.c - large bodies, one after another on one connection; how long each takes.
 *
 * Options: --bytes, --gated 0|1, --looked_at 0: a path at which nothing looks, --run_ms.
 */
#include <inttypes.h>
#include <stdio.h>

#include "load.h"
#include "net.h"

enum { POST_LIMIT_S = 30 };

static double post(struct load *l)
{
	const char *target = load_option(l, "looked_at", 1) ? "/v1/messages" : "/v1/other";
	int64_t limit = net_now_ns() + (int64_t)POST_LIMIT_S * 1000000000;
	struct visitor *v = l->visitors;

	visitor_post(v, 0, target, load_option(l, "gated", 0),
		     (size_t)load_option(l, "bytes", 20 << 20));
	while (!v->answered_ns && v->fd >= 0 && net_now_ns() < limit)
		load_run(l, limit);
	if (!v->answered_ns)
		net_fail("a post wasn't answered");
	return (double)(v->answered_ns - v->asked_ns) / 1e6;
}

void load_posts(struct load *l)
{
	int64_t end;

	(void)post(l); /* connects, and warms up */
	load_begin();
	end = net_now_ns() + load_option(l, "run_ms", 1000) * 1000000;
	printf("{\"ms\":[%.3f", post(l));
	while (net_now_ns() < end)
		printf(",%.3f", post(l));
	printf("],\"refused\":%" PRId64 "}\n", l->refused);
}
