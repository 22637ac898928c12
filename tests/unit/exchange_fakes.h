/*
 * exchange_fakes.h - what stands around an exchange, faked: an HTTP server, an upstream and a queue.
 * They check that the proxy keeps to what their headers ask for.
 *
 * It defines what it fakes, so that the library's are left out: include it once, in one test.
 */
#pragma once

#include <errno.h>

#include "base/log.h"
#include "check.h"
#include "config/config.h"
#include "http/http_server.h"
#include "http/upstream.h"
#include "proxy/exchange.h"
#include "proxy/proxy.h"
#include "queue/outlook.h"
#include "queue/queue.h"
#include "queue/shadow.h"

enum { FIELDS_MAX = 16 };

/* One client, and the request that it has sent. */
struct http_request {
	struct request_head head;
	struct header fields[FIELDS_MAX];
	char *text; /* that the fields point into */
	void *x;
	bool over; /* done() was called */
	bool cut;  /* http_request_cut() was */
	bool reads, broken;
	struct job pump;
	int wakes;

	/* what it heard */
	int status, responses;
	bool streamed, refuses, in_begin, ended, truncated, sent;
	struct buf names, got; /* of fields: "name: value\n"; and the body */
};

struct transfer {
	const struct transfer_events *events;
	void *x;
	enum transfer_state state;
	enum upstream_error error;
	const char *error_text;
	int status, resumes;
	struct header fields[FIELDS_MAX];
	struct headers headers;
	char *text;
	struct buf names, whole; /* as sent: "name: value\n" */
	int64_t length;
	bool is_stream;
	bool unsent;       /* it couldn't connect */
	bool body_is_sent; /* all of a whole one */
};

struct upstream {
	int64_t resent, down_since_ms;
	void (*back)(void *arg);
	void *arg;
};

struct queue {
	int joined, left, used, kept, holds, releases;
	enum hold_kind hold_kind; /* of the last one */
	bool lease_is_over;
};

struct http_server {
	struct http_server_options options;
};

struct shadow {
	int unused;
};

static struct {
	struct loop loop;
	struct config *config;
	struct queue queue;
	struct upstream upstream;
	struct http_server server;
	struct shadow shadow;
	struct proxy *proxy;
	struct http_request request;
	struct transfer *transfer; /* the latest one; NULL: none, or it was freed */
	int transfers, transfers_freed, shadows, shadows_released;
	struct queue_place *place;     /* the latest that joined */
	struct outlook_query *outlook; /* that is open */
	int64_t running_ms;            /* of the account's turn */
	bool shadow_used;
} world;

/* --- the HTTP server -------------------------------------------------------------------------- */

static const struct http_service *service(void)
{
	return world.server.options.service;
}

static void done(struct http_request *r, bool sent)
{
	must(!r->over);
	r->over = true;
	r->sent = sent;
	service()->done(r->x, sent);
}

/* What MHD does at the end of the loop's turn: sends what there is. */
static void pump(struct job *job)
{
	struct http_request *r = container_of(job, struct http_request, pump);
	char piece[1000];
	ssize_t n;

	if (r->over)
		return;
	if (r->cut) {
		done(r, false);
		return;
	}
	if (!r->responses || !r->reads)
		return;
	while (r->streamed && (n = service()->read(r->x, piece, sizeof piece))) {
		if (n > 0)
			buf_append(&r->got, piece, (size_t)n);
		r->ended = n == HTTP_READ_END;
		r->truncated = n == HTTP_READ_CUT;
		if (n < 0)
			break;
	}
	if (r->ended || r->truncated || !r->streamed)
		done(r, !r->truncated);
}

int http_server_new(struct loop *loop, const struct http_server_options *options,
		    struct buf *errors, struct http_server **ret)
{
	(void)loop, (void)errors;
	world.server.options = *options;
	*ret = &world.server;
	return 0;
}

void http_server_free(struct http_server *s)
{
	CHECK(s == &world.server);
}

struct connections *http_server_connections(const struct http_server *s)
{
	(void)s;
	return NULL;
}

void http_server_quiesce(struct http_server *s, enum connections_end how)
{
	(void)s, (void)how;
}

void http_server_cut_idle(struct http_server *s)
{
	(void)s;
}

void http_server_stats(const struct http_server *s, struct http_server_stats *ret)
{
	(void)s;
	*ret = (struct http_server_stats){ 0 };
}

const char *connections_address(const struct connections *c)
{
	(void)c;
	return "127.0.0.1:1";
}

int connections_descriptor(const struct connections *c)
{
	(void)c;
	return -1;
}

int64_t connections_count(const struct connections *c)
{
	(void)c;
	return !world.request.over;
}

void connections_use(struct connections *c, struct tls_identity *identity)
{
	(void)c, (void)identity;
	must(!"there is no TLS");
}

const struct request_head *http_request_head(const struct http_request *r)
{
	must(!r->over);
	return &r->head;
}

const char *http_request_client(const struct http_request *r)
{
	must(!r->over);
	return "192.0.2.1";
}

void http_request_wake(struct http_request *r)
{
	must(!r->over);
	r->wakes++;
	loop_defer_last(&world.loop, &r->pump);
}

void http_request_cut(struct http_request *r)
{
	must(!r->over);
	r->cut = true;
	loop_defer_last(&world.loop, &r->pump);
}

void http_request_respond(struct http_request *r, const struct http_response *response)
{
	must(!r->over);
	if (r->cut)
		return;
	CHECK_INT(++r->responses, 1);
	r->status = response->status;
	r->streamed = response->streamed;
	r->refuses = response->refuses;
	r->in_begin = !r->x;
	for (size_t i = 0; i < response->count; i++)
		buf_printf(&r->names, "%.*s: %.*s\n", SPAN_ARG(response->fields[i].name),
			   SPAN_ARG(response->fields[i].value));
	buf_append(&r->got, response->body.ptr, response->body.len);
	http_request_wake(r);
}

/* --- the upstream ----------------------------------------------------------------------------- */

struct upstream *upstream_new(struct loop *loop, const struct config *config,
			      void (*back)(void *arg), void *arg)
{
	(void)loop, (void)config;
	world.upstream.back = back;
	world.upstream.arg = arg;
	return &world.upstream;
}

int64_t upstream_down_since_ms(const struct upstream *u)
{
	return u->down_since_ms;
}

void upstream_free(struct upstream *u)
{
	CHECK(u == &world.upstream || !u);
}

int64_t upstream_resent(const struct upstream *u)
{
	return u->resent;
}

static void keep_fields(struct buf *to, const struct header *fields, size_t count)
{
	for (size_t i = 0; i < count; i++)
		buf_printf(to, "%.*s: %.*s\n", SPAN_ARG(fields[i].name), SPAN_ARG(fields[i].value));
}

struct transfer *transfer_new(struct upstream *u, const struct upstream_request *request,
			      const struct transfer_events *events, void *x)
{
	struct transfer *t = xcalloc(1, sizeof *t);

	CHECK(u == &world.upstream);
	CHECK(!world.transfer);
	t->events = events;
	t->x = x;
	t->error_text = "";
	t->is_stream = request->body == UPSTREAM_BODY_STREAM;
	t->length = request->length;
	keep_fields(&t->names, request->fields, request->count);
	buf_append(&t->whole, request->whole.ptr, request->whole.len);
	world.transfers++;
	return world.transfer = t;
}

void transfer_free(struct transfer **transfer)
{
	struct transfer *t = steal(transfer);

	if (!t)
		return;
	CHECK(t == world.transfer);
	buf_clear(&t->names);
	buf_clear(&t->whole);
	free(t->text);
	free(t);
	world.transfer = NULL;
	world.transfers_freed++;
}

void transfer_resume(struct transfer *t)
{
	if (t)
		t->resumes++;
}

enum transfer_state transfer_state(const struct transfer *t)
{
	return t->state;
}

enum upstream_error transfer_error(const struct transfer *t)
{
	return t->error;
}

bool transfer_was_sent(const struct transfer *t)
{
	return !t->unsent;
}

bool transfer_forget_body(struct transfer *t)
{
	return t->body_is_sent;
}

const char *transfer_error_text(const struct transfer *t)
{
	return t->error_text;
}

int transfer_status(const struct transfer *t)
{
	return t->status;
}

const struct headers *transfer_fields(const struct transfer *t)
{
	return &t->headers;
}

/* --- the queue -------------------------------------------------------------------------------- */

void queue_join(struct queue *q, struct queue_place *p, const char *account,
		const struct account_terms *terms)
{
	CHECK(q == &world.queue && account[0]);
	CHECK_INT(p->state, PLACE_NONE);
	q->joined++;
	p->queue = q;
	p->terms = *terms;
	p->state = PLACE_WAITING;
	p->joined_ms = clock_ms();
	world.place = p;
}

void queue_leave(struct queue_place *p, enum lock_end end)
{
	if (p->state != PLACE_NONE) {
		p->queue->left++;
		p->queue->used += end == LOCK_USED;
		p->queue->kept += end == LOCK_KEEP;
	}
	p->state = PLACE_NONE;
}

void queue_hold(struct queue_place *p, const struct lock_limit *limit)
{
	CHECK_INT(p->state, PLACE_TURN);
	CHECK(limit->kind != HOLD_NONE);
	p->queue->holds++;
	p->queue->hold_kind = limit->kind;
}

bool queue_holds(const struct queue_place *p)
{
	CHECK_INT(p->state, PLACE_TURN);
	return !p->queue->lease_is_over;
}

void queue_release(struct queue_place *p)
{
	if (p->queue)
		p->queue->releases++;
}

int64_t queue_estimate_ms(const struct queue_place *p)
{
	CHECK(p->before > 0);
	return 61000;
}

int64_t queue_running_ms(const struct queue_place *p)
{
	return p->queue ? world.running_ms : -1;
}

int queue_retry_after_s(const struct queue *q, const struct queue_place *p)
{
	CHECK(q == &world.queue && p);
	return 7;
}

struct outlooks *outlooks_new(struct loop *loop, const struct config *config, struct queue *queue)
{
	CHECK(loop == &world.loop && config && queue == &world.queue);
	return (struct outlooks *)&world.queue;
}

void outlooks_free(struct outlooks *o)
{
	(void)o;
	CHECK(!world.outlook);
}

void outlooks_ask(struct outlooks *o, struct outlook_query *q)
{
	(void)o;
	must(!world.outlook);
	world.outlook = q;
}

void outlooks_cancel(struct outlook_query *q)
{
	if (q == world.outlook)
		world.outlook = NULL;
}

struct shadows *shadows_new(struct loop *loop, struct queue *queue, shadow_ended_fn ended,
			    void *arg)
{
	(void)ended, (void)arg;
	CHECK(loop == &world.loop && queue == &world.queue);
	return (struct shadows *)&world.shadow;
}

void shadows_free(struct shadows *s)
{
	(void)s;
}

void shadows_clear(struct shadows *s)
{
	(void)s;
}

const struct shadow_counters *shadows_counters(const struct shadows *s)
{
	static const struct shadow_counters none;

	(void)s;
	return &none;
}

int64_t shadows_present(const struct shadows *s)
{
	(void)s;
	return world.shadows - world.shadows_released;
}

struct shadow *shadow_join(struct shadows *s, const char *account,
			   const struct account_terms *terms, const struct lock_standing *standing,
			   const char *request_id)
{
	(void)s, (void)terms, (void)standing;
	CHECK(account[0] && request_id[0]);
	world.shadows++;
	return &world.shadow;
}

int64_t shadow_position(const struct shadow *shadow)
{
	CHECK(shadow == &world.shadow);
	return 3;
}

int64_t shadow_wait_ms(const struct shadow *shadow)
{
	(void)shadow;
	return 40;
}

void shadow_release(struct shadow **shadow, bool used)
{
	if (!steal(shadow))
		return;
	world.shadows_released++;
	world.shadow_used = used;
}
