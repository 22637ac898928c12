/*
 * status.c - is it alive, is it ready, what is it doing?
 *
 * Ready means: a user message sent here now has a good chance. Whether an account that a holder of
 * ours keeps from moving has waiters is known to the backend only, so then it is asked, one
 * account after another.
 */
#include <unistd.h>

#include "admin/call.h"
#include "admin/guard.h"
#include "admin/metrics.h"
#include "base/clock.h"
#include "config/accounts.h"
#include "proxy/stats.h"

enum {
	STALLED_US = 1000 * 1000, /* so late, the loop counts as stalled */
	SUSPECTS_MAX = 8,
	FINDINGS_MAX = 4 + SUSPECTS_MAX,
};

void serve_alive(struct call *c)
{
	cJSON *document = cJSON_CreateObject();

	cJSON_AddStringToObject(document, "status", "alive");
	call_reply(c, 200, document);
}

/* --- ready ------------------------------------------------------------------------------------ */

struct findings {
	struct {
		const char *code;
		char detail[LOCK_ACCOUNT_MAX];
	} list[FINDINGS_MAX];
	size_t count;
};

/* While accounts are asked about: those left, and what is known so far. In call->data. */
struct readiness {
	char suspects[SUSPECTS_MAX][LOCK_ACCOUNT_MAX];
	size_t count, asked;
	struct findings reasons, notes; /* notes don't make it unready */
};

static void add_finding_of(struct findings *f, const char *code, struct span detail)
{
	must(f->count < FINDINGS_MAX);
	f->list[f->count].code = code;
	snprintf(f->list[f->count].detail, LOCK_ACCOUNT_MAX, "%.*s", SPAN_ARG(detail));
	f->count++;
}

static void add_finding(struct findings *f, const char *code, const char *detail)
{
	add_finding_of(f, code, span_of(detail));
}

static void add_reason(struct readiness *r, const char *code, const char *detail)
{
	add_finding(&r->reasons, code, detail);
}

static void add_findings(const struct findings *f, const char *name, cJSON *document)
{
	cJSON *list = cJSON_AddArrayToObject(document, name);

	for (size_t i = 0; i < f->count; i++) {
		cJSON *finding = cJSON_CreateObject();

		cJSON_AddStringToObject(finding, "code", f->list[i].code);
		cJSON_AddStringToObject(finding, "detail", f->list[i].detail);
		cJSON_AddItemToArray(list, finding);
	}
}

static void reply_ready(struct call *c)
{
	const struct readiness *r = c->data;
	cJSON *document = cJSON_CreateObject();
	bool ready = !r->reasons.count;

	cJSON_AddStringToObject(document, "status", ready ? "ready" : "not_ready");
	add_findings(&r->reasons, "reasons", document);
	add_findings(&r->notes, "notes", document);
	call_reply(c, ready ? 200 : 503, document);
}

static void ask_about_suspects(struct call *c);

static void add_upstream_down(struct readiness *r, const struct proxy_gauges *gauges)
{
	CLEANUP(freep)
	char *text = xasprintf("for %lld s; requests wait for upstream.connect_retry_ms",
			       (long long)(clock_ms() - gauges->upstream_down_since_ms) / 1000);

	add_finding(&r->notes, "upstream_down", text);
}

/* Readiness is told to anybody; an account's name, which may be an address, isn't. */
static bool may_hear_names(struct call *c)
{
	return call_check(c, ROUTE_READ) == GUARD_FINE;
}

/* Whether user messages are served although the backend can't be asked. */
static bool can_do_without(const struct config *config)
{
	return !config_enforces(config) ||
	       config->queue.on_backend_error != ON_BACKEND_ERROR_REJECT;
}

static void add_backend_down(struct call *c, struct readiness *r)
{
	if (!can_do_without(c->admin->parts.config))
		add_reason(r, "backend_down", queue_backend_name(c->admin->parts.queue));
}

/* The whole of an error may name a user of Redis. */
static void add_backend_refuses(struct call *c, struct readiness *r,
				const struct lock_stats *backend)
{
	struct span text = span_of(backend->refusal);

	if (can_do_without(c->admin->parts.config))
		return;
	if (!may_hear_names(c))
		text.len = strcspn(text.ptr, " ");
	add_finding_of(&r->reasons, "backend_refuses", text);
}

static void add_slow_hand_overs(struct call *c, struct readiness *r,
				const struct lock_stats *backend)
{
	const char *why = backend->slow_hand_overs;

	if (why && *why)
		add_finding(&r->notes, "hand_overs_slow",
			    may_hear_names(c)
				    ? why
				    : "Redis forbids messages: each takes up to a second");
}

static void suspect_known(struct call *c, const struct lock_answer *answer)
{
	struct readiness *r = c->data;

	if (answer->error) { /* it was up a moment ago; the others needn't be asked */
		add_backend_down(c, r);
		reply_ready(c);
		return;
	}
	if (answer->views[0].waiting)
		add_reason(r, "account_stuck",
			   may_hear_names(c) ? answer->views[0].account
					     : "which one is told with the token");
	ask_about_suspects(c);
}

static void ask_about_suspects(struct call *c)
{
	struct readiness *r = c->data;

	if (r->asked == r->count) {
		reply_ready(c);
		return;
	}
	c->query.verb = LOCK_LOOK;
	c->query.account = r->suspects[r->asked++];
	call_try(c, suspect_known);
}

static void collect_suspects(struct call *c, struct readiness *r)
{
	const char *names[SUSPECTS_MAX];

	r->count =
		proxy_stalled(c->admin->parts.proxy,
			      c->admin->parts.config->listen.stall_timeout_ms, names, SUSPECTS_MAX);
	for (size_t i = 0; i < r->count; i++)
		snprintf(r->suspects[i], sizeof r->suspects[i], "%s", names[i]);
}

void serve_ready(struct call *c)
{
	const struct admin_parts *parts = &c->admin->parts;
	struct readiness *r = xcalloc(1, sizeof *r);
	struct proxy_gauges gauges;
	struct lock_stats backend;

	c->data = r;
	proxy_gauges(parts->proxy, &gauges);
	queue_stats(parts->queue, &backend);
	if (gauges.draining)
		add_reason(r, "draining", "this process is shutting down");
	if (backend.refusal && *backend.refusal)
		add_backend_refuses(c, r, &backend);
	else if (!backend.up)
		add_backend_down(c, r);
	add_slow_hand_overs(c, r, &backend);
	if (gauges.upstream_down_since_ms) /* another process would find it no better */
		add_upstream_down(r, &gauges);
	if (lag_longest_us(c->admin->lag) > STALLED_US)
		add_reason(r, "loop_stalled", "the event loop was more than 1 s late lately");
	if (disk_state(parts->disk) != DISK_IN_USE)
		add_finding(&r->notes, "config_differs", disk_words(disk_state(parts->disk)));
	if (backend.up)
		collect_suspects(c, r);
	ask_about_suspects(c);
}

/* --- status ----------------------------------------------------------------------------------- */

static void add_backend(const struct admin *a, cJSON *document)
{
	cJSON *object = cJSON_AddObjectToObject(document, "backend");
	struct lock_stats stats;

	queue_stats(a->parts.queue, &stats);
	cJSON_AddStringToObject(object, "name", queue_backend_name(a->parts.queue));
	cJSON_AddBoolToObject(object, "up", stats.up);
	if (stats.round_trip_us >= 0)
		cJSON_AddNumberToObject(object, "roundTripMs", (double)stats.round_trip_us / 1000);
	else
		cJSON_AddNullToObject(object, "roundTripMs");
	json_add(document, "activeRenewals", stats.active_renewals);
	json_add(document, "renewals", stats.renewals);
	json_add(document, "lostTurns", stats.lost);
	json_add(document, "droppedWaiters", stats.dropped_waiters);
	json_add(document, "forgottenAccounts", stats.forgotten);
}

static void add_exchanges(const struct proxy_gauges *gauges, int64_t max_clients, cJSON *document)
{
	cJSON *states = cJSON_AddObjectToObject(document, "exchanges");

	for (size_t i = 0; i < PROXY_STATES; i++)
		json_add(states, gauges->states[i].name, gauges->states[i].count);
	json_add(document, "waiting", gauges->waiting);
	json_add(document, "holding", gauges->holding);
	json_add(document, "oldestWaitMs", gauges->oldest_wait_ms);
	json_add(document, "bufferedBytes", gauges->buffered_bytes);
	json_add(document, "connections", gauges->listener.connections.acceptor.open);
	json_add(document, "maxConnections", max_clients);
	cJSON_AddBoolToObject(document, "draining", gauges->draining);
}

/* Of user messages that the upstream answered, in the last five minutes. */
static void add_first_byte(const struct admin *a, cJSON *document)
{
	cJSON *object = cJSON_AddObjectToObject(document, "firstByte");
	struct first_bytes_figures f;

	proxy_first_bytes(a->parts.proxy, &f);
	json_add(object, "count", f.count);
	json_add_known(object, "p50Ms", f.count, f.p50_ms);
	json_add_known(object, "p95Ms", f.count, f.p95_ms);
	json_add_known(object, "upstreamP50Ms", f.count, f.upstream_p50_ms);
	json_add_known(object, "upstreamP95Ms", f.count, f.upstream_p95_ms);
}

void status_add(const struct admin *a, cJSON *document)
{
	struct proxy_gauges gauges;

	proxy_gauges(a->parts.proxy, &gauges);
	cJSON_AddStringToObject(document, "version", TURNSTILE_VERSION);
	cJSON_AddStringToObject(document, "instance", a->parts.config->redis.instance);
	json_add(document, "pid", getpid());
	json_add_time(document, "startedAt", a->started_wall_ms);
	json_add(document, "uptimeMs", clock_ms() - a->started_ms);
	cJSON_AddStringToObject(document, "listening", proxy_address(a->parts.proxy));
	cJSON_AddStringToObject(document, "upstream", a->parts.config->upstream.url);
	cJSON_AddStringToObject(document, "mode", config_queue_mode_name(a->parts.config));
	if (gauges.upstream_down_since_ms)
		json_add(document, "upstreamDownMs", clock_ms() - gauges.upstream_down_since_ms);
	else
		cJSON_AddNullToObject(document, "upstreamDownMs");
	add_first_byte(a, document);
	add_backend(a, document);
	add_exchanges(&gauges, a->parts.max_clients, document);
	cJSON_AddNumberToObject(document, "loopLagMs", (double)lag_longest_us(a->lag) / 1000);
}

void serve_status(struct call *c)
{
	cJSON *document = cJSON_CreateObject();

	status_add(c->admin, document);
	call_reply(c, 200, document);
}

void serve_metrics(struct call *c)
{
	CLEANUP(buf_clear) struct buf text = { 0 };
	struct metrics_source source = {
		.proxy = c->admin->parts.proxy,
		.backend = queue_backend_name(c->admin->parts.queue),
		.lag = c->admin->lag,
		.max_clients = c->admin->parts.max_clients,
		.webhook = webhook_counters(c->admin->parts.webhook),
		.started_wall_ms = c->admin->started_wall_ms,
	};

	queue_stats(c->admin->parts.queue, &source.lock);
	proxy_gauges(c->admin->parts.proxy, &source.gauges);
	metrics_put(&source, &text);
	call_reply_text(c, 200, "text/plain; version=0.0.4; charset=utf-8", buf_span(&text));
}
