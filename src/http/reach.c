#include "http/reach.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum { PROBE_MIN_MS = 100, PROBE_MAX_MS = 500 };

struct reach {
	struct loop *loop;
	struct http_client *client;
	void (*back)(void *arg);
	void *arg;
	struct job tell; /* that it is up again */
	struct timer *next;
	struct http_call probe;
	int64_t down_since_ms, probe_in_ms;
};

static void wait_for_next(struct reach *r)
{
	timer_start(r->next, r->probe_in_ms);
	r->probe_in_ms = MIN(2 * r->probe_in_ms, PROBE_MAX_MS);
}

static void on_probed(struct http_call *call, CURLcode code)
{
	struct reach *r = container_of(call, struct reach, probe);

	http_call_close(call);
	if (code == CURLE_OK)
		reach_succeeded(r);
	else
		wait_for_next(r);
}

static void probe(void *arg)
{
	struct reach *r = arg;

	if (r->probe.easy)
		return; /* of an outage that somebody else has ended; it says what it finds */
	http_call_open(&r->probe, r->client);
	must(curl_easy_setopt(r->probe.easy->curl, CURLOPT_CONNECT_ONLY, 1L) == CURLE_OK);
	must(curl_easy_setopt(r->probe.easy->curl, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK);
	http_call_start(&r->probe);
}

static void tell(struct job *job)
{
	struct reach *r = container_of(job, struct reach, tell);

	if (r->down_since_ms)
		return;
	http_call_close(&r->probe);
	r->back(r->arg);
}

void reach_failed(struct reach *r, const char *cause)
{
	if (r->down_since_ms)
		return;
	r->down_since_ms = clock_ms();
	log_warn("the upstream can't be reached", LOG_STR("cause", cause));
	r->probe_in_ms = PROBE_MIN_MS;
	wait_for_next(r);
}

void reach_succeeded(struct reach *r)
{
	if (!r->down_since_ms)
		return;
	log_info("the upstream can be reached again",
		 LOG_INT("after_ms", clock_ms() - r->down_since_ms));
	r->down_since_ms = 0;
	timer_stop(r->next);
	loop_defer(r->loop, &r->tell);
}

int64_t reach_down_since_ms(const struct reach *r)
{
	return r->down_since_ms;
}

struct reach *reach_new(struct loop *loop, struct http_client *client, void (*back)(void *arg),
			void *arg)
{
	struct reach *r = xcalloc(1, sizeof *r);

	r->loop = loop;
	r->client = client;
	r->back = back;
	r->arg = arg;
	r->tell.run = tell;
	r->next = timer_new(loop, probe, r);
	r->probe.ended = on_probed;
	return r;
}

void reach_free(struct reach *r)
{
	if (!r)
		return;
	http_call_close(&r->probe);
	job_cancel(&r->tell);
	timer_clear(&r->next);
	free(r);
}
