/*
 * reply.c - the response goes out: what the client is told, and when.
 *
 * Usually the upstream's response, or an error of ours. A client that asked for a stream and waits
 * for longer than queue.heartbeat_after_ms is told 200 before its turn, and pings, so that neither
 * it nor a proxy in between takes the silence for an end. From then on errors, ours and the
 * upstream's, are one event of this stream.
 *
 *      download ──> the pings; then the upstream's body, byte for byte ──> client
 *      event    ──> in place of that body: `event: error`               ──> client
 *
 * A ping never comes behind the first byte of the upstream's response.
 */
#include "proxy/reply.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "proxy/own_reply.h"
#include "proxy/watchdog.h"
#include "request/error_object.h"

enum { EVENT_DATA_MAX = 64 * 1024 }; /* a larger error is told by its status */

#define TO(told) (1u << (told))

static const unsigned next_told[TOLD_COUNT] = {
	[TOLD_NOTHING] = TO(TOLD_PINGS) | TO(TOLD_HEAD) | TO(TOLD_ERROR) | TO(TOLD_CUT),
	[TOLD_PINGS] = TO(TOLD_HEAD) | TO(TOLD_ALL) | TO(TOLD_ERROR) | TO(TOLD_CUT),
	[TOLD_HEAD] = TO(TOLD_ALL) | TO(TOLD_CUT),
	[TOLD_ALL] = TO(TOLD_CUT),
};

static void tell(struct exchange *x, enum told what)
{
	must(next_told[x->told] & TO(what));
	x->told = what;
}

static void wake(struct exchange *x)
{
	if (x->request)
		http_request_wake(x->request);
}

/* --- the body --------------------------------------------------------------------------------- */

/* Whether the upstream's response can follow pings as it is. */
static bool is_event_stream(const struct exchange *x)
{
	static const struct span wanted = SPAN("text/event-stream");
	const struct headers *h = transfer_fields(x->transfer);
	struct span type = headers_get(h, SPAN("content-type"));
	struct span coding = headers_get(h, SPAN("content-encoding"));

	if (transfer_status(x->transfer) != 200 || type.len < wanted.len ||
	    (coding.ptr && !span_ieq(coding, SPAN("identity"))))
		return false;
	return span_ieq((struct span){ type.ptr, wanted.len }, wanted) &&
	       (type.len == wanted.len || strchr("; \t", type.ptr[wanted.len]));
}

/* What is to be told as an event; of one that is too large it doesn't matter how it goes on. */
static void keep_for_event(struct exchange *x, const char *data, size_t len)
{
	buf_append(&x->event, data, MIN(len, EVENT_DATA_MAX + 1 - x->event.len));
}

bool reply_give(struct exchange *x, const char *data, size_t len)
{
	if (x->state == X_ABANDONED)
		return true;
	if (x->told == TOLD_PINGS && !is_event_stream(x)) {
		keep_for_event(x, data, len);
		return true;
	}
	if (pipe_room(&x->download) < len)
		return false;
	must(pipe_write(&x->download, data, len) == len);
	if (x->told == TOLD_PINGS)
		tell(x, TOLD_HEAD); /* from now on an event of ours might split one of these */
	if (x->told == TOLD_HEAD)
		wake(x);
	return true;
}

/* Before, the same buffer has only what is to be told. */
static bool is_all_there(const struct exchange *x)
{
	return x->told == TOLD_ALL || x->told == TOLD_ERROR;
}

static size_t read_event(struct exchange *x, char *to, size_t max)
{
	size_t n = is_all_there(x) ? MIN(max, x->event.len - x->event_sent) : 0;

	if (n)
		memcpy(to, buf_span(&x->event).ptr + x->event_sent, n);
	x->event_sent += n;
	return n;
}

ssize_t reply_read(void *arg, char *to, size_t max)
{
	struct exchange *x = arg;
	size_t room = pipe_room(&x->download);
	size_t n = pipe_read(&x->download, to, max);

	if (!n)
		n = read_event(x, to, max);
	if (n) {
		x->bytes_out += (int64_t)n;
		if (x->told != TOLD_PINGS) /* a ping is no progress of the upstream's */
			watchdog_moved(x);
		if (room < UPSTREAM_GIVE_MAX && pipe_room(&x->download) >= UPSTREAM_GIVE_MAX)
			transfer_resume(x->transfer);
		return (ssize_t)n;
	}
	if (x->told == TOLD_CUT)
		return HTTP_READ_CUT; /* what came is delivered; it isn't all */
	return is_all_there(x) ? HTTP_READ_END : 0;
}

/* --- the upstream's response ------------------------------------------------------------------ */

/* How long it waited for its turn (W3C Server Timing); nothing for what was never in line. */
static void add_timing(struct exchange *x, struct buf *text, struct field_list *fields)
{
	int64_t waited = x->wait_ms;

	if (!x->place.joined_ms)
		return;
	if (waited < 0)
		waited = clock_ms() - x->place.joined_ms;
	buf_printf(text, "queue;dur=%lld", (long long)waited);
	field_list_add(fields, SPAN("server-timing"), buf_span(text));
}

/* What every response has that is our own. */
static void add_own_fields(const struct exchange *x, struct field_list *fields)
{
	field_list_add(fields, SPAN("request-id"), span_of(x->id));
	if (!headers_get(http_request_headers(x->request), SPAN("origin")).ptr)
		return;
	field_list_add(fields, SPAN("access-control-allow-origin"), SPAN("*"));
	field_list_add(fields, SPAN("access-control-expose-headers"), SPAN(EXPOSED_FIELDS));
}

/* The body of a response that is all here already: it can go out with its head in one piece. */
static struct buf whole_response(struct exchange *x, int64_t length)
{
	struct buf body = { 0 };

	if (length > 0 && (size_t)length == x->download.len &&
	    transfer_state(x->transfer) == TRANSFER_ENDED &&
	    transfer_error(x->transfer) == UPSTREAM_OK) {
		body.len =
			pipe_read(&x->download, buf_reserve(&body, (size_t)length), (size_t)length);
		x->bytes_out += length;
	}
	return body;
}

enum { RELAY_QUEUES_EVERY_MS = 60 * 1000 };

/* The relay refused it by a queue of its own, which stands behind ours: that is hardly meant. */
static void warn_of_relay_queue(struct exchange *x, const struct headers *from)
{
	struct span error = headers_get(from, SPAN("x-user-message-queue-error"));
	struct proxy *p = x->proxy;

	if (!error.ptr || clock_ms() < p->relay_queue_quiet_until_ms)
		return;
	p->relay_queue_quiet_until_ms = clock_ms() + RELAY_QUEUES_EVERY_MS;
	log_warn(
		"the relay queues user messages by itself and refused one: switch its queue off, so "
		"that nobody waits twice",
		LOG_SPAN("error", error), LOG_INT("status", x->upstream_status),
		LOG_STR("account", x->verdict.account), LOG_STR("request_id", x->id));
}

static void respond_with_response(struct exchange *x)
{
	const struct headers *from = transfer_fields(x->transfer);
	int64_t length = headers_content_length(from);
	CLEANUP(field_list_clear) struct field_list fields = { 0 };
	CLEANUP(buf_clear) struct buf timing = { 0 };
	CLEANUP(buf_clear) struct buf body = whole_response(x, length);

	x->status = x->upstream_status;
	tell(x, TOLD_HEAD);
	forward_response_fields(from, &fields);
	add_timing(x, &timing, &fields);
	http_request_respond(x->request, &(struct http_response){
						 .status = x->status,
						 .fields = fields.fields,
						 .count = fields.count,
						 .body = buf_span(&body),
						 .streamed = !body.len,
						 .length = length,
					 });
}

int reply_with_response(struct exchange *x)
{
	warn_of_relay_queue(x, transfer_fields(x->transfer));
	if (x->told == TOLD_NOTHING)
		respond_with_response(x);
	else if (x->told == TOLD_PINGS && is_event_stream(x))
		tell(x, TOLD_HEAD);
	else if (x->told == TOLD_PINGS && x->upstream_status < 400)
		return -EBADMSG; /* neither events nor an error */
	return 0;
}

/* --- events ----------------------------------------------------------------------------------- */

static void begin_events(struct exchange *x)
{
	static const struct header fields[] = {
		{ SPAN("content-type"), SPAN("text/event-stream; charset=utf-8") },
		{ SPAN("cache-control"), SPAN("no-cache") },
		{ SPAN("x-accel-buffering"), SPAN("no") }, /* nginx would keep the pings */
	};
	CLEANUP(field_list_clear) struct field_list list = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		field_list_add(&list, fields[i].name, fields[i].value);
	add_own_fields(x, &list);
	x->status = 200;
	tell(x, TOLD_PINGS);
	x->proxy->counters.heartbeat_responses++;
	http_request_respond(x->request, &(struct http_response){
						 .status = 200,
						 .fields = list.fields,
						 .count = list.count,
						 .streamed = true,
						 .length = -1,
					 });
}

/* False: there will be none any more. */
static bool ping(struct exchange *x)
{
	static const char text[] = "event: ping\ndata: {\"type\": \"ping\"}\n\n";
	bool waits = x->state == X_WAITING || x->state == X_PACING;

	if (!x->request || x->client == CLIENT_GONE)
		return false;
	if (x->told == TOLD_NOTHING && waits)
		begin_events(x);
	if (x->told != TOLD_PINGS || (x->transfer && transfer_status(x->transfer)))
		return false;
	if (x->download.len)
		return true; /* it hasn't even taken the last one */
	must(pipe_write(&x->download, text, sizeof text - 1) == sizeof text - 1);
	x->proxy->counters.heartbeats++;
	wake(x);
	return true;
}

static void on_heartbeat(void *arg)
{
	struct exchange *x = arg;

	if (ping(x))
		timer_start(x->heartbeat, x->proxy->config->queue.heartbeat_ms);
}

void reply_forget(struct exchange *x)
{
	must(x->told <= TOLD_PINGS);
	if (x->told == TOLD_PINGS) {
		buf_clear(&x->event); /* a ping may be in `download` */
		timer_start(x->heartbeat, x->proxy->config->queue.heartbeat_ms);
	} else {
		pipe_clear(&x->download);
	}
}

void reply_expect(struct exchange *x)
{
	int64_t after_ms = x->proxy->config->queue.heartbeat_after_ms;

	if (!after_ms || !x->verdict.stream)
		return;
	x->heartbeat = timer_new(x->proxy->loop, on_heartbeat, x);
	timer_start(x->heartbeat, after_ms);
}

/* The last event: this JSON, byte for byte, but for the ends of its lines. */
static void tell_event(struct exchange *x, enum told what, int status, struct span json)
{
	struct buf event = { 0 };

	buf_puts(&event, "event: error\ndata: ");
	for (size_t i = 0; i < json.len; i++) {
		if (json.ptr[i] == '\n' || json.ptr[i] == '\r')
			buf_puts(&event, "\ndata: ");
		else
			buf_append(&event, json.ptr + i, 1);
	}
	buf_puts(&event, "\n\n");
	buf_clear(&x->event);
	x->event = event;
	x->event_status = status;
	tell(x, what);
	wake(x);
}

/* The Claude API's error types, by its documentation ("Errors"). */
static const char *error_type(int status)
{
	static const struct {
		int status;
		const char *type;
	} types[] = {
		{ 400, "invalid_request_error" }, { 401, "authentication_error" },
		{ 402, "billing_error" },         { 403, "permission_error" },
		{ 404, "not_found_error" },       { 413, "request_too_large" },
		{ 429, "rate_limit_error" },      { 504, "timeout_error" },
		{ 529, "overloaded_error" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (types[i].status == status)
			return types[i].type;
	}
	return "api_error";
}

/* The upstream's error: its own object, or one that says as much as its status does. */
static void tell_upstream_error(struct exchange *x)
{
	CLEANUP(buf_clear) struct buf own = { 0 };
	struct span body = buf_span(&x->event);

	if (body.len > EVENT_DATA_MAX || !error_object_is(body)) {
		buf_printf(&own,
			   "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"the "
			   "upstream answered %d\"},\"request_id\":\"%s\"}",
			   error_type(x->upstream_status), x->upstream_status, x->id);
		body = buf_span(&own);
	}
	tell_event(x, TOLD_ALL, x->upstream_status, body);
}

void reply_end(struct exchange *x)
{
	if (x->told == TOLD_PINGS) {
		tell_upstream_error(x);
		return;
	}
	tell(x, TOLD_ALL);
	wake(x); /* it may be parked with nothing but the end to send */
}

/* --- our own ---------------------------------------------------------------------------------- */

static void respond_error(struct exchange *x, struct own_reply *r)
{
	CLEANUP(buf_clear) struct buf timing = { 0 };

	add_own_fields(x, &r->fields);
	add_timing(x, &timing, &r->fields);
	x->status = r->status;
	tell(x, TOLD_ERROR);
	x->bytes_out += (int64_t)r->body.len;
	http_request_respond(x->request,
			     &(struct http_response){
				     .status = r->status,
				     .fields = r->fields.fields,
				     .count = r->fields.count,
				     .body = buf_span(&r->body),
				     .refuses = outcome_info[x->outcome].flags & OUTCOME_CLOSE,
			     });
}

/* The same, behind pings. */
static void tell_error(struct exchange *x, struct own_reply *r)
{
	CLEANUP(buf_clear) struct buf own = { 0 };
	bool can_be_told = !r->is_upstreams || error_object_is(buf_span(&r->body));

	if (!can_be_told)
		outcome_body(x->outcome, "", x->id, &own);
	tell_event(x, TOLD_ERROR, r->status, buf_span(can_be_told ? &r->body : &own));
}

void reply_cut(struct exchange *x)
{
	if (!x->request)
		return;
	if (x->told != TOLD_ERROR && x->told != TOLD_CUT)
		tell(x, TOLD_CUT);
	http_request_cut(x->request);
}

void reply_abandon(struct exchange *x)
{
	if (x->told == TOLD_NOTHING)
		x->status = outcome_info[OUTCOME_CLIENT_GONE].status;
	reply_cut(x);
	pipe_clear(&x->download);
	buf_clear(&x->event);
	transfer_resume(x->transfer);
}

void reply_finish(struct exchange *x)
{
	if (x->told == TOLD_NOTHING)
		x->status = outcome_info[x->outcome].status;
	if (!x->request)
		return; /* it has got everything, or is gone */
	if (x->client == CLIENT_GONE || !own_reply_is_there(x)) {
		reply_cut(x);
	} else if (x->told == TOLD_NOTHING || x->told == TOLD_PINGS) {
		CLEANUP(own_reply_clear) struct own_reply r = { 0 };

		own_reply_make(x, &r);
		x->answered_ms = clock_ms();
		if (x->told == TOLD_NOTHING)
			respond_error(x, &r);
		else
			tell_error(x, &r);
	} else {
		tell(x, TOLD_CUT);
		wake(x); /* takes what is there first */
	}
}
