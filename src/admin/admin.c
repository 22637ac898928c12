/*
 * admin.c - the operators' listener, and the one way each of their requests goes.
 *
 *      headers ──> on_begin ──> body ──> on_received ──job──> route? allowed? ──> handler ──> reply
 *
 * Bodies are small and kept whole. A request and its answer have a limit each, so that a client
 * that stalls costs a connection for that long and no longer. And as anybody can connect, with a
 * token or without, no number of such clients keeps an operator out: if all connections are taken,
 * one that waits for its client is closed for who comes.
 */
#include "admin/admin.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "admin/call.h"
#include "admin/guard.h"
#include "admin/routes.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/strict.h"

enum {
	HEADER_BYTES_MAX = 16 * 1024,
	HEADERS_MAX = 100,
	RESPONSE_HEAD_MAX = 16 * 1024,
	TARGET_BYTES_MAX = 4 * 1024,
	CALL_LIMIT_MS = 30 * 1000, /* from the whole request to the answer's end */
};

/* From a connection's beginning to its first head, and from a head to its body's end. */
static const int64_t request_limit_ms = 10 * 1000;

/* --- answering -------------------------------------------------------------------------------- */

void call_respond(struct call *c, const struct http_response *response)
{
	must(c->state != CALL_ANSWERED);
	c->state = CALL_ANSWERED;
	http_request_respond(c->request, response);
}

static void respond(struct call *c, int status, const char *type, struct span text,
		    struct header *more)
{
	struct header fields[] = {
		{ SPAN("content-type"), span_of(type) },
		{ SPAN("cache-control"), SPAN("no-store") },
		{ SPAN("x-content-type-options"), SPAN("nosniff") },
		{ { 0 }, { 0 } },
	};
	size_t count = ARRAY_SIZE(fields) - 1;

	if (more)
		fields[count++] = *more;
	call_respond(c, &(struct http_response){
				.status = status, .fields = fields, .count = count, .body = text });
}

void call_reply_text(struct call *c, int status, const char *type, struct span text)
{
	respond(c, status, type, text, NULL);
}

static void reply(struct call *c, int status, cJSON *document, struct header *more)
{
	CLEANUP(freep) char *text = cJSON_PrintUnformatted(document);
	CLEANUP(buf_clear) struct buf line = { 0 };

	must(text);
	buf_printf(&line, "%s\n", text);
	cJSON_Delete(document);
	respond(c, status, "application/json", buf_span(&line), more);
}

void call_reply(struct call *c, int status, cJSON *document)
{
	reply(c, status, document, NULL);
}

/* What was asked for may stand in the message, and be no UTF-8: cJSON would pass that on. */
static cJSON *error_document(const char *code, const char *message)
{
	CLEANUP(buf_clear) struct buf text = { 0 };
	cJSON *document = cJSON_CreateObject();
	cJSON *error = cJSON_AddObjectToObject(document, "error");

	buf_json(&text, span_of(message));
	cJSON_AddStringToObject(error, "code", code);
	cJSON_AddRawToObject(error, "message", buf_str(&text));
	return document;
}

void call_fail(struct call *c, int status, const char *code, const char *format, ...)
{
	va_list args;
	char *message;

	va_start(args, format);
	must(vasprintf(&message, format, args) >= 0);
	va_end(args);
	call_reply(c, status, error_document(code, message));
	free(message);
}

/* --- asking the backend ----------------------------------------------------------------------- */

static void answered(struct lock_query *q, const struct lock_answer *answer)
{
	struct call *c = container_of(q, struct call, query);

	c->leave = NULL;
	if (answer->error == -ENOTCONN)
		call_fail(c, 503, "backend_error", "Redis can't be reached");
	else if (answer->error == -EIO)
		call_fail(c, 503, "backend_error", "Redis refuses; see the log");
	else
		c->then(c, answer);
}

static void tried(struct lock_query *q, const struct lock_answer *answer)
{
	struct call *c = container_of(q, struct call, query);

	c->then(c, answer);
}

static void ask(struct call *c, void (*on_answer)(struct lock_query *, const struct lock_answer *),
		void (*then)(struct call *call, const struct lock_answer *answer))
{
	c->then = then;
	c->query.answered = on_answer;
	lock_query_send(queue_backend(c->admin->parts.queue), &c->query);
}

void call_ask(struct call *c, void (*then)(struct call *call, const struct lock_answer *answer))
{
	ask(c, answered, then);
}

void call_try(struct call *c, void (*then)(struct call *call, const struct lock_answer *answer))
{
	ask(c, tried, then);
}

/* Nobody hears of it any more, but it is done all the same, or may be. */
static void order_left(struct call *c)
{
	c->leave = NULL;
	log_warn("operator: hung up before his order was answered; it may have been carried out",
		 LOG_STR("method", c->route->method), LOG_STR("path", c->route->path),
		 LOG_STR("account", c->query.account), LOG_STR("who", c->person.name),
		 LOG_STR("client", http_request_client(c->request)));
	overview_outdated(c->admin->overview);
}

void call_order(struct call *c, void (*then)(struct call *call, const struct lock_answer *answer))
{
	c->leave = order_left;
	call_ask(c, then);
}

void call_changed(struct call *c, struct change *change)
{
	change->at_wall_ms = clock_wall_ms();
	change->who = c->person.name;
	change->client = http_request_client(c->request);
	log_warn(change->what, LOG_STR("account", change->account),
		 LOG_STR("ticket", change->ticket), LOG_STR("setting", change->setting),
		 LOG_STR("before", change->before), LOG_STR("value", change->after),
		 LOG_STR("who", change->who), LOG_STR("client", change->client));
	changes_add(&c->admin->changes, change);
	overview_outdated(c->admin->overview);
}

const char *call_account(struct call *c)
{
	const char *name = c->params.text[0];

	if (strlen(name) < LOCK_ACCOUNT_MAX && name[strspn(name, "abcdefghijklmnopqrstuvwxyz"
								 "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
								 "0123456789._-@:")] == '\0')
		return name;
	call_fail(c, 400, "bad_account", "no account can be called so");
	return NULL;
}

int64_t call_query_number(struct call *c, const char *name, int64_t preset, int64_t min,
			  int64_t max)
{
	struct span text = route_query(http_request_head(c->request)->target, span_of(name));
	int64_t n = 0;

	if (!text.ptr)
		return preset;
	for (size_t i = 0; i < text.len && n >= 0; i++) {
		bool digit = text.ptr[i] >= '0' && text.ptr[i] <= '9';

		n = digit && n <= max ? n * 10 + (text.ptr[i] - '0') : -1;
	}
	if (text.len && n >= min && n <= max)
		return n;
	call_fail(c, 400, "bad_query", "%s: allowed: %lld to %lld", name, (long long)min,
		  (long long)max);
	return -1;
}

/* --- the way of a request --------------------------------------------------------------------- */

static void fail_method(struct call *c, struct buf *allow)
{
	struct header field = { SPAN("allow"), buf_span(allow) };

	reply(c, 405,
	      error_document("method_not_allowed", "another method is served here; see Allow"),
	      &field);
}

static void fail_token(struct call *c)
{
	struct header field = { SPAN("www-authenticate"), SPAN("Bearer") };

	reply(c, 401,
	      error_document("unauthorized", "Authorization: Bearer with admin.token or one of "
					     "admin.tokens is needed"),
	      &field);
}

enum guard_verdict call_check(struct call *c, enum route_access access)
{
	const struct config *config = c->admin->parts.config;
	struct guard_tokens tokens = { config->admin.token, config->admin.tokens };

	return guard_check(http_request_headers(c->request), access, &tokens, c->has_body,
			   &c->person);
}

/* False: it has been answered. */
static bool is_allowed(struct call *c)
{
	switch (call_check(c, c->route->access)) {
	case GUARD_FINE:
		return true;
	case GUARD_NO_TOKEN:
		fail_token(c);
		break;
	case GUARD_WRONG_HOST:
		call_fail(c, 403, "wrong_host",
			  "use an address or localhost to get here, or set admin.token");
		break;
	case GUARD_OTHER_SITE:
		call_fail(c, 403, "other_site", "a page of another site may not do this");
		break;
	case GUARD_READ_ONLY:
		call_fail(c, 403, "read_only", "this token may look, but change nothing");
		break;
	case GUARD_NOT_JSON:
		call_fail(c, 415, "not_json", "the content type must be application/json");
		break;
	}
	return false;
}

static bool is_believed(struct call *c)
{
	static const struct strict_limits limits = { HEADER_BYTES_MAX, HEADERS_MAX,
						     TARGET_BYTES_MAX };
	const char *why;
	enum strict_refusal refusal = strict_request(http_request_head(c->request), &limits, &why);

	if (!refusal)
		return true;
	call_fail(c, (int)refusal, "bad_request", "%s", why);
	return false;
}

static void serve(struct job *job)
{
	struct call *c = container_of(job, struct call, serve);
	const struct request_head *head = http_request_head(c->request);
	CLEANUP(buf_clear) struct buf allow = { 0 };
	int r;

	if (!is_believed(c))
		return;
	r = route_find(routes, routes_count, head->method, head->path, &c->route, &c->params,
		       &allow);
	if (r == -EACCES)
		fail_method(c, &allow);
	else if (r < 0)
		call_fail(c, 404, "not_found", "there is no such route; GET /api lists them");
	else if (c->too_large)
		call_fail(c, 413, "too_large", "a body may have %d bytes", CALL_BODY_MAX);
	else if (is_allowed(c))
		c->route->handle(c);
}

static void on_limit(void *arg)
{
	struct call *c = arg;

	http_request_cut(c->request);
}

static void *on_begin(void *ctx, struct http_request *request)
{
	struct call *c = xcalloc(1, sizeof *c);

	c->admin = ctx;
	c->request = request;
	c->serve.run = serve;
	c->limit = timer_new(c->admin->parts.loop, on_limit, c);
	timer_start(c->limit, request_limit_ms);
	list_append(&c->admin->calls, &c->link);
	return c;
}

static size_t on_body(void *x, const char *data, size_t len)
{
	struct call *c = x;

	c->has_body = true;
	if (c->body.len + len > CALL_BODY_MAX)
		c->too_large = true;
	if (!c->too_large)
		buf_append(&c->body, data, len);
	return len;
}

static void on_received(void *x)
{
	struct call *c = x;

	c->state = CALL_ASKING;
	timer_start(c->limit, CALL_LIMIT_MS);
	loop_defer(c->admin->parts.loop, &c->serve);
}

/* Whole responses only. */
static ssize_t on_read(void *x, char *to, size_t max)
{
	(void)x, (void)to, (void)max;
	return HTTP_READ_CUT;
}

/* Nobody is there to hear an answer. */
static void forget_question(struct call *c)
{
	__auto_type leave = steal(&c->leave);

	lock_query_cancel(queue_backend(c->admin->parts.queue), &c->query);
	if (leave)
		leave(c);
	job_cancel(&c->serve);
}

static void on_gone(void *x)
{
	struct call *c = x;

	forget_question(c);
	http_request_cut(c->request);
}

static void on_done(void *x, bool sent)
{
	struct call *c = x;

	(void)sent;
	forget_question(c);
	list_remove(&c->link);
	timer_clear(&c->limit);
	buf_clear(&c->body);
	free(c->data);
	free(c);
}

/* --- life ------------------------------------------------------------------------------------- */

static void on_closed(void *ctx)
{
	struct admin *a = ctx;

	loop_defer(a->parts.loop, &a->check_idle);
}

/* Who waits for the backend isn't to blame, and will be done soon. */
static bool on_make_room(void *ctx)
{
	struct admin *a = ctx;
	struct call *c;

	list_for_each (c, &a->calls, link) {
		if (c->state != CALL_ASKING) {
			http_request_cut(c->request);
			return true;
		}
	}
	return false;
}

static void check_idle(struct job *job)
{
	struct admin *a = container_of(job, struct admin, check_idle);
	void (*stopped)(void *arg) = a->stopped;

	if (!stopped || connections_count(http_server_connections(a->server)))
		return;
	a->stopped = NULL;
	stopped(a->stopped_arg);
}

static const struct http_service admin_service = {
	.begin = on_begin,
	.body = on_body,
	.received = on_received,
	.read = on_read,
	.gone = on_gone,
	.done = on_done,
	.closed = on_closed,
	.make_room = on_make_room,
};

const char *admin_address(const struct admin *a)
{
	return a ? connections_address(http_server_connections(a->server)) : "";
}

int admin_descriptor(const struct admin *a)
{
	return a ? connections_descriptor(http_server_connections(a->server)) : -1;
}

void admin_taken_over(struct admin *a)
{
	if (a)
		http_server_quiesce(a->server, CONNECTIONS_TAKEN_OVER);
}

void admin_stop(struct admin *a, void (*done)(void *arg), void *arg)
{
	struct call *c;

	if (!a) {
		done(arg);
		return;
	}
	a->stopped = done;
	a->stopped_arg = arg;
	overview_stop(a->overview);
	http_server_quiesce(a->server, CONNECTIONS_CUT);
	list_for_each (c, &a->calls, link)
		http_request_cut(c->request);
	http_server_cut_idle(a->server);
	loop_defer(a->parts.loop, &a->check_idle);
}

static void admin_freep(struct admin **a)
{
	admin_free(*a);
}

int admin_new(const struct admin_parts *parts, struct buf *errors, struct admin **ret)
{
	static const int64_t no_limit = 0;
	CLEANUP(admin_freep) struct admin *a = NULL;
	struct http_server_options options = {
		.name = "admin.address",
		.address = parts->config->admin.address,
		.takeover = parts->takeover,
		.max_connections = parts->max_connections,
		.max_per_address = &no_limit,
		.max_header_bytes = HEADER_BYTES_MAX,
		.max_headers = HEADERS_MAX,
		.max_response_head_bytes = RESPONSE_HEAD_MAX,
		.header_timeout_ms = &request_limit_ms,
		.idle_timeout_ms = &parts->config->listen.idle_timeout_ms,
		.service = &admin_service,
	};
	int r;

	*ret = NULL;
	if (!options.address[0])
		return 0;
	a = xcalloc(1, sizeof *a);
	a->parts = *parts;
	a->started_ms = clock_ms();
	a->started_wall_ms = clock_wall_ms();
	a->check_idle.run = check_idle;
	list_init(&a->calls);
	a->lag = lag_new(parts->loop);
	a->overview = overview_new(parts);
	options.ctx = a;
	r = http_server_new(parts->loop, &options, errors, &a->server);
	if (r < 0)
		return r;
	*ret = steal(&a);
	return 0;
}

void admin_free(struct admin *a)
{
	if (!a)
		return;
	http_server_free(a->server);
	job_cancel(&a->check_idle);
	overview_free(a->overview);
	changes_clear(&a->changes);
	lag_free(a->lag);
	free(a);
}
