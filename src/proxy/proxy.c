/*
 * proxy.c - the proxy as a whole: puts its parts together, and takes them apart at shutdown.
 */
#include "proxy/proxy.h"

#include <stdlib.h>

#include "proxy/exchange.h"
#include "proxy/front.h"

int64_t proxy_exchanges(const struct proxy *p)
{
	int64_t n = 0;

	for (int state = 0; state < X_STATE_COUNT; state++)
		n += p->count_in_state[state];
	return n;
}

static void check_idle(struct job *job)
{
	struct proxy *p = container_of(job, struct proxy, check_idle);
	void (*idle)(void *arg) = p->idle;

	if (!idle || proxy_exchanges(p) || http_server_connections(p->server))
		return;
	p->idle = NULL;
	idle(p->idle_arg);
}

static void finish_all(struct proxy *p, enum exchange_state from, enum exchange_state to)
{
	struct exchange *x, *next;

	for (enum exchange_state state = from; state <= to; state++) {
		list_for_each_safe (x, next, &p->in_state[state], link)
			exchange_finish(x, OUTCOME_SHUTTING_DOWN);
	}
}

void proxy_drain(struct proxy *p, void (*idle)(void *arg), void *arg)
{
	p->draining = true;
	p->idle = idle;
	p->idle_arg = arg;
	http_server_quiesce(p->server);
	finish_all(p, X_READING, X_PACING);
	loop_defer(p->loop, &p->check_idle);
}

void proxy_cut(struct proxy *p)
{
	struct exchange *x;

	finish_all(p, X_READING, X_DRAINING);
	list_for_each (x, &p->in_state[X_DYING], link) {
		if (x->request)
			http_request_cut(x->request);
	}
	http_server_cut_idle(p->server);
	loop_defer(p->loop, &p->check_idle);
}

const char *proxy_address(const struct proxy *p)
{
	return http_server_address(p->server);
}

static void proxy_freep(struct proxy **p)
{
	proxy_free(*p);
}

int proxy_new(struct loop *loop, const struct config *config, struct queue *queue,
	      struct buf *errors, struct proxy **ret)
{
	CLEANUP(proxy_freep) struct proxy *p = xcalloc(1, sizeof *p);
	struct http_server_options options = {
		.address = config->listen.address,
		.max_connections = config->listen.max_connections,
		.idle_timeout_ms = &config->listen.idle_timeout_ms,
		.service = &front_service,
		.ctx = p,
	};
	int r;

	p->loop = loop;
	p->config = config;
	p->queue = queue;
	p->check_idle.run = check_idle;
	for (int state = 0; state < X_STATE_COUNT; state++)
		list_init(&p->in_state[state]);
	p->upstream = upstream_new(loop, config);
	r = http_server_new(loop, &options, errors, &p->server);
	if (r < 0)
		return r;
	*ret = steal(&p);
	return 0;
}

void proxy_free(struct proxy *p)
{
	if (!p)
		return;
	http_server_free(p->server);
	upstream_free(p->upstream);
	job_cancel(&p->check_idle);
	free(p);
}
