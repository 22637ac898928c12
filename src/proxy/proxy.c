/*
 * proxy.c - the proxy as a whole: puts its parts together, and takes them apart at shutdown.
 */
#include "proxy/proxy.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "proxy/access_log.h"
#include "proxy/exchange.h"
#include "proxy/forwarding.h"
#include "proxy/intake.h"
#include "proxy/own_reply.h"
#include "proxy/reply.h"

enum { OWN_HEAD_BYTES = 2 * 1024 }; /* what may come on top of the upstream's fields */

/*
 * Where clients wait outside, one that has asked for nothing for so long isn't worth its connection. Less, and
 * one that is about to ask again would have to connect anew.
 */
enum { MAKE_ROOM_AFTER_MS = 1000 };

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

	if (!idle || proxy_exchanges(p) || connections_count(http_server_connections(p->server)))
		return;
	p->idle = NULL;
	shadows_clear(p->shadows);
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

static void end(struct proxy *p, enum connections_end how, void (*idle)(void *arg), void *arg)
{
	p->ending = true;
	p->idle = idle;
	p->idle_arg = arg;
	http_server_quiesce(p->server, how);
	loop_defer(p->loop, &p->check_idle);
}

void proxy_retire(struct proxy *p, enum connections_end how, void (*idle)(void *arg), void *arg)
{
	end(p, how, idle, arg);
}

void proxy_drain(struct proxy *p, void (*idle)(void *arg), void *arg)
{
	p->draining = true;
	end(p, CONNECTIONS_CUT, idle, arg);
	finish_all(p, X_READING, X_PACING);
}

void proxy_cut(struct proxy *p)
{
	struct exchange *x;

	finish_all(p, X_READING, X_DRAINING);
	list_for_each (x, &p->in_state[X_DYING], link)
		reply_cut(x);
	http_server_cut_idle(p->server);
	loop_defer(p->loop, &p->check_idle);
}

const struct shadow_counters *proxy_observed(const struct proxy *p)
{
	return shadows_counters(p->shadows);
}

int64_t proxy_shadows(const struct proxy *p)
{
	return shadows_present(p->shadows);
}

const struct proxy_counters *proxy_counters(const struct proxy *p)
{
	return &p->counters;
}

const struct refusals *proxy_refusals(const struct proxy *p)
{
	return &p->refusals;
}

void proxy_first_bytes(const struct proxy *p, struct first_bytes_figures *ret)
{
	first_bytes_look(&p->first_bytes, clock_ms(), ret);
}

const struct history *proxy_history(const struct proxy *p)
{
	return p->history;
}

const struct quotas *proxy_quotas(const struct proxy *p)
{
	return p->quotas;
}

const struct tally *proxy_tally(const struct proxy *p)
{
	return p->tally;
}

const struct tally *proxy_people(const struct proxy *p)
{
	return p->people;
}

/* Waiters move here in the order in which they join, so the first has waited longest. */
static int64_t oldest_wait_ms(const struct proxy *p)
{
	const struct exchange *x = list_first(&p->in_state[X_WAITING], struct exchange, link);

	return x ? clock_ms() - x->place.joined_ms : 0;
}

static bool has_turn(const struct exchange *x)
{
	return x->place.state == PLACE_PACING || x->place.state == PLACE_TURN;
}

static int64_t count_holding(const struct proxy *p)
{
	int64_t n = 0;
	struct exchange *x;

	for (enum exchange_state state = X_WAITING; state <= X_ABANDONED; state++) {
		list_for_each (x, &p->in_state[state], link)
			n += has_turn(x);
	}
	return n;
}

_Static_assert((int)PROXY_STATES == (int)X_STATE_COUNT, "every state is shown");

void proxy_gauges(const struct proxy *p, struct proxy_gauges *ret)
{
	*ret = (struct proxy_gauges){
		.exchanges = proxy_exchanges(p),
		.waiting = p->count_in_state[X_WAITING],
		.holding = count_holding(p),
		.oldest_wait_ms = oldest_wait_ms(p),
		.buffered_bytes = bodies_bytes(p->bodies),
		.upstream_resent = upstream_resent(p->upstream),
		.upstream_down_since_ms = upstream_down_since_ms(p->upstream),
		.draining = p->ending,
	};
	for (int state = 0; state < X_STATE_COUNT; state++) {
		ret->states[state].name = exchange_state_name(state);
		ret->states[state].count = p->count_in_state[state];
	}
	http_server_stats(p->server, &ret->listener);
}

size_t proxy_stalled(const struct proxy *p, int64_t limit_ms, const char **ret, size_t max)
{
	int64_t since = clock_ms() - limit_ms;
	struct exchange *x;
	size_t n = 0;

	for (enum exchange_state state = X_FORWARDING; state <= X_ABANDONED; state++) {
		list_for_each (x, &p->in_state[state], link) {
			if (n < max && has_turn(x) && x->moved_ms < since)
				ret[n++] = x->verdict.account;
		}
	}
	return n;
}

void proxy_each_request(const struct proxy *p, const char *account,
			void (*fn)(void *arg, const struct proxy_request *r), void *arg)
{
	struct exchange *x;

	for (enum exchange_state state = X_WAITING; state <= X_ABANDONED; state++) {
		list_for_each (x, &p->in_state[state], link) {
			if (!x->place.joined_ms || strcmp(x->verdict.account, account) != 0)
				continue;
			fn(arg, &(struct proxy_request){ .ticket = x->place.ticket.id,
							 .id = x->id,
							 .path = x->path,
							 .model = x->verdict.model,
							 .session = x->verdict.session,
							 .upstream_id = x->upstream_id,
							 .state = exchange_state_name(state),
							 .age_ms = clock_ms() - x->started_ms,
							 .body_bytes = x->bytes_in,
							 .stream = x->verdict.stream });
		}
	}
}

const char *proxy_address(const struct proxy *p)
{
	return connections_address(http_server_connections(p->server));
}

int proxy_descriptor(const struct proxy *p)
{
	return connections_descriptor(http_server_connections(p->server));
}

int proxy_identity(const struct config *config, struct buf *errors, struct tls_identity **ret)
{
	*ret = NULL;
	if (!config->listen.tls_cert[0] || !config->listen.tls_key[0])
		return 0;
	return tls_identity_new("listen.tls", config->listen.tls_cert, config->listen.tls_key,
				errors, ret);
}

void proxy_use(struct proxy *p, struct tls_identity *identity)
{
	if (identity)
		connections_use(http_server_connections(p->server), identity);
}

/* For connections of which nothing was read, Origin neither: the listener writes it as it is. */
static void write_too_many(struct buf *to)
{
	const struct outcome_info *o = &outcome_info[OUTCOME_TOO_MANY_CONNECTIONS];
	CLEANUP(buf_clear) struct buf body = { 0 };

	outcome_body(OUTCOME_TOO_MANY_CONNECTIONS, "", "", &body);
	buf_printf(to,
		   "HTTP/1.1 %d Service Unavailable\r\nContent-Type: application/json\r\n"
		   "Content-Length: %zu\r\nRetry-After: 1\r\nX-Should-Retry: true\r\n"
		   "Access-Control-Allow-Origin: *\r\n"
		   "Access-Control-Expose-Headers: " EXPOSED_FIELDS "\r\n"
		   "Connection: close\r\n\r\n",
		   o->status, body.len);
	buf_append(to, body.data, body.len);
}

static void proxy_freep(struct proxy **p)
{
	proxy_free(*p);
}

int proxy_new(struct loop *loop, const struct config *config, int64_t max_connections,
	      struct queue *queue, struct takeover_client *takeover, struct buf *errors,
	      struct proxy **ret)
{
	CLEANUP(proxy_freep) struct proxy *p = xcalloc(1, sizeof *p);
	struct http_server_options options = {
		.name = "listen.address",
		.address = config->listen.address,
		.takeover = takeover,
		.max_connections = max_connections,
		.make_room_after_ms = MAKE_ROOM_AFTER_MS,
		.max_per_address = &config->listen.max_connections_per_address,
		.max_header_bytes = config->listen.max_header_bytes,
		.max_headers = config->listen.max_headers,
		.max_response_head_bytes = config->upstream.max_header_bytes + OWN_HEAD_BYTES,
		.header_timeout_ms = &config->listen.header_timeout_ms,
		.idle_timeout_ms = &config->listen.idle_timeout_ms,
		.stall_timeout_ms = &config->listen.stall_timeout_ms,
		.service = &intake_service,
		.ctx = p,
	};
	int r;

	p->loop = loop;
	p->config = config;
	p->queue = queue;
	p->check_idle.run = check_idle;
	p->counters.wait.scale = p->counters.hold.scale = &histogram_waits;
	p->counters.ttfb.scale = p->counters.upstream_ttfb.scale = &histogram_waits;
	p->tally = tally_new(config->admin.metrics_accounts);
	p->people = tally_new(PROXY_PEOPLE_MAX);
	p->quotas = quotas_new();
	p->history = history_new();
	must(getrandom(&p->id_of_boot, sizeof p->id_of_boot, 0) == sizeof p->id_of_boot);
	p->id_of_boot >>= 16; /* 12 hex digits */
	for (int state = 0; state < X_STATE_COUNT; state++)
		list_init(&p->in_state[state]);
	p->discard = discard_new(loop);
	p->shadows = shadows_new(loop, queue, access_log_shadow, p);
	p->upstream = upstream_new(loop, config, forwarding_upstream_is_back, p);
	p->bodies = bodies_new(config);
	p->outlooks = outlooks_new(loop, config, queue);
	write_too_many(&p->too_many);
	options.refusal = buf_span(&p->too_many);
	r = proxy_identity(config, errors, &options.identity);
	if (!r)
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
	shadows_free(p->shadows);
	job_cancel(&p->check_idle);
	discard_free(p->discard);
	bodies_free(p->bodies);
	outlooks_free(p->outlooks);
	tally_free(p->tally);
	tally_free(p->people);
	quotas_free(p->quotas);
	history_free(p->history);
	buf_clear(&p->too_many);
	free(p);
}
