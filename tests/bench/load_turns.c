/*
 * load_turns.c - connections that ask again as soon as they are answered; requests in a time.
 *
 * Options: --connections, --accounts (the connections are dealt out to them), --service_us,
 * --bytes of a body, --gated 0|1, --run_ms of measured time. That begins when --warm_ms have passed
 * and every connection has had an answer, so that in it nobody is still arriving; after six
 * seconds at the latest, when all have come at least.
 */
#include <inttypes.h>
#include <stdio.h>

#include "load.h"
#include "net.h"

enum { WARM_LIMIT_S = 6 };

struct turns {
	char target[128];
	int64_t accounts, bytes, answered;
	int64_t answered_first; /* connections that have had an answer */
	bool gated;
};

static void ask_again(struct visitor *v)
{
	struct turns *t = v->load->x;

	if (v->in.status) {
		t->answered++;
		t->answered_first += !v->served;
		v->served = true;
	}
	visitor_post(v, v->index % t->accounts, t->target, t->gated, (size_t)t->bytes);
}

static void run_until(struct load *l, int64_t until_ns)
{
	while (net_now_ns() < until_ns)
		load_run(l, until_ns);
}

static void warm_up(struct load *l)
{
	int64_t start = net_now_ns();
	int64_t limit = start + (int64_t)WARM_LIMIT_S * 1000000000;
	struct turns *t = l->x;

	run_until(l, start + load_option(l, "warm_ms", 300) * 1000000);
	while (t->answered_first < l->count && net_now_ns() < limit)
		load_run(l, limit);
}

void load_turns(struct load *l)
{
	struct turns t = {
		.accounts = load_option(l, "accounts", 1),
		.bytes = load_option(l, "bytes", 300),
		.gated = load_option(l, "gated", 1),
	};
	int64_t begin;

	snprintf(t.target, sizeof t.target, "/v1/messages?service_us=%" PRId64,
		 load_option(l, "service_us", 0));
	l->x = &t;
	l->answered = ask_again;
	for (int64_t i = 0; i < l->count; i++)
		ask_again(&l->visitors[i]);
	warm_up(l);
	load_begin();
	t.answered = 0;
	begin = net_now_ns();
	run_until(l, begin + load_option(l, "run_ms", 1000) * 1000000);
	printf("{\"answered\":%" PRId64 ",\"seconds\":%.6f,\"refused\":%" PRId64 "}\n", t.answered,
	       (double)(net_now_ns() - begin) / 1e9, l->refused);
}
