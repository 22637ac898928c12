/*
 * load_rate.c - GETs at an even rate, whatever is answered meanwhile: something to measure beside.
 *
 * Options: --connections, --per_second, --run_ms; or less, with --until_eof 1.
 */
#include <inttypes.h>
#include <stdio.h>

#include "load.h"
#include "net.h"

struct rate {
	int64_t answered, late; /* late: all connections were busy when it was due */
};

static void on_answered(struct visitor *v)
{
	((struct rate *)v->load->x)->answered++;
}

static bool is_free(const struct visitor *v)
{
	return v->fd >= 0 && (!v->asked_ns || v->answered_ns);
}

static void get(struct load *l, int64_t i)
{
	struct visitor *v = &l->visitors[i % l->count];

	if (is_free(v))
		visitor_get(v, "/v1/models");
	else
		((struct rate *)l->x)->late++;
}

void load_rate(struct load *l)
{
	int64_t every_ns = 1000000000 / load_option(l, "per_second", 5000);
	struct rate r = { 0 };
	int64_t begin, end;

	l->x = &r;
	l->answered = on_answered;
	load_begin();
	begin = net_now_ns();
	end = begin + load_option(l, "run_ms", 1000) * 1000000;
	for (int64_t i = 0; net_now_ns() < end && !load_is_over(l); i++) {
		int64_t due_ns = begin + i * every_ns;

		while (net_now_ns() < due_ns)
			load_run(l, due_ns);
		get(l, i);
	}
	printf("{\"answered\":%" PRId64 ",\"seconds\":%.6f,\"late\":%" PRId64
	       ",\"refused\":%" PRId64 "}\n",
	       r.answered, (double)(net_now_ns() - begin) / 1e9, r.late, l->refused);
}
