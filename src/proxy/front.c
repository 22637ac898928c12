/*
 * front.c - between the listener and an exchange.
 *
 * A body takes one of two ways, decided when the headers are in:
 *
 *      whole      requests that may be gated: the body decides, and waits with its request;
 *                 and short bodies: sent in one piece, and again if the connection was stale
 *      streamed   all others, of any length: through a pipe, as they come
 *
 * The functions of front_service are called from within MHD. They move bytes and record facts; what
 * follows from them happens in exchange_advance().
 */
#include "proxy/front.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "http/response_head.h"
#include "http/strict.h"

/* Up to here an ungated body is sent whole. About what a conversation's count_tokens has. */
enum { WHOLE_BODY_MAX = 256 * 1024 };

/*
 * Of a body whose length is known: room at its beginning, and for each byte that has come. A first
 * piece has up to 20 KB, so a body of up to 320 KB is never moved.
 */
enum { FIRST_ROOM = 64 * 1024, ROOM_PER_BYTE = 16 };

/* Our own fields come on top of the upstream's. */
_Static_assert(RESPONSE_HEAD_MAX + 1024 <= HTTP_RESPONSE_HEAD_MAX, "every head must fit");

/* --- the request ------------------------------------------------------------------------------ */

static enum outcome outcome_of(enum strict_refusal refusal)
{
	switch (refusal) {
	case STRICT_TARGET_TOO_LONG:
		return OUTCOME_TARGET_TOO_LONG;
	case STRICT_HEADERS_TOO_LARGE:
		return OUTCOME_HEADERS_TOO_LARGE;
	case STRICT_NOT_IMPLEMENTED:
		return OUTCOME_NOT_IMPLEMENTED;
	default:
		return OUTCOME_BAD_REQUEST;
	}
}

/* Ends what isn't to be believed, before anything of it goes anywhere. */
static bool is_believed(struct exchange *x)
{
	const struct config *c = x->proxy->config;
	const struct strict_limits limits = {
		.max_header_bytes = c->listen.max_header_bytes,
		.max_headers = c->listen.max_headers,
		.max_target_bytes = c->listen.max_target_bytes,
	};
	const char *why;
	enum strict_refusal refusal = strict_request(http_request_head(x->request), &limits, &why);

	if (!refusal)
		return true;
	x->error = xstrdup(why);
	exchange_finish(x, outcome_of(refusal));
	return false;
}

static void decide_way(struct exchange *x)
{
	const struct headers *h = http_request_headers(x->request);
	const struct config *c = x->proxy->config;
	int64_t length = headers_content_length(h);

	if (!is_believed(x))
		return;
	if (x->proxy->draining) {
		exchange_finish(x, OUTCOME_SHUTTING_DOWN);
	} else if (request_is_looked_at(c, http_request_method(x->request),
					http_request_target(x->request))) {
		if (length <= c->listen.max_body_bytes)
			x->look = look_new(h);
		else if (config_queue_mode(c) == QUEUE_MODE_OBSERVE)
			exchange_stream_up(x); /* who only observes is in nobody's way */
		else
			exchange_finish(x, OUTCOME_BODY_TOO_LARGE);
	} else if (head_has_body(http_request_head(x->request)) &&
		   (length < 0 || length > WHOLE_BODY_MAX)) {
		exchange_stream_up(x);
	}
}

static void *on_begin(void *ctx, struct http_request *request)
{
	struct exchange *x = exchange_new(ctx, request);

	decide_way(x);
	return x;
}

/*
 * Makes room for `n` more bytes of a body: for all of it, if its length is known and not far from
 * what has come, so that a large one isn't copied over and over, and a claim alone costs nothing.
 */
static void make_room(struct exchange *x, size_t n)
{
	int64_t length = headers_content_length(http_request_headers(x->request));
	int64_t likely = MAX(FIRST_ROOM, ROOM_PER_BYTE * (int64_t)(x->body.len + n));

	if (x->body.len + n > x->body.cap && length >= (int64_t)(x->body.len + n))
		buf_reserve_exact(&x->body, (size_t)MIN(length, likely) - x->body.len);
}

/* A body that can't be kept. Who only observes, or needn't look, is in nobody's way. */
static void cant_keep(struct exchange *x, enum outcome outcome)
{
	if (x->look && config_queue_mode(x->proxy->config) != QUEUE_MODE_OBSERVE) {
		exchange_finish(x, outcome);
		return;
	}
	look_free(steal(&x->look));
	exchange_stream_up(x);
}

/* Keeps a piece of a whole body, if the limits allow. */
static void keep(struct exchange *x, const char *data, size_t len)
{
	const struct config *c = x->proxy->config;
	int64_t n = (int64_t)len;

	if (x->look && (int64_t)x->body.len + n > c->listen.max_body_bytes) {
		cant_keep(x, OUTCOME_BODY_TOO_LARGE);
	} else if (x->proxy->buffered_bytes + n > c->listen.max_buffered_bytes) {
		cant_keep(x, OUTCOME_BUFFERS_FULL);
	} else {
		make_room(x, len);
		buf_append(&x->body, data, len);
		x->proxy->buffered_bytes += n;
		if (x->look)
			look_feed(x->look, data, len);
	}
}

static size_t on_body(void *arg, const char *data, size_t len)
{
	struct exchange *x = arg;

	if (x->state == X_READING)
		keep(x, data, len);
	if (x->body_streamed && x->transfer && transfer_state(x->transfer) != TRANSFER_ENDED) {
		len = pipe_write(&x->upload, data, len);
		transfer_resume(x->transfer);
	} /* else it is kept, or nobody wants it any more */
	x->bytes_in += (int64_t)len;
	if (len)
		exchange_moved(x);
	return len;
}

static void on_received(void *arg)
{
	struct exchange *x = arg;

	x->client = CLIENT_WAITING;
	if (x->body_streamed)
		transfer_resume(x->transfer);
	exchange_poke(x);
}

static void on_gone(void *arg)
{
	struct exchange *x = arg;

	x->client = CLIENT_GONE;
	if (x->state == X_DYING)
		http_request_cut(x->request);
	exchange_poke(x);
}

static void on_done(void *arg, bool sent)
{
	struct exchange *x = arg;

	x->client = sent ? CLIENT_SERVED : CLIENT_CLOSED;
	x->request = NULL;
	exchange_poke(x);
}

static void on_closed(void *ctx)
{
	struct proxy *p = ctx;

	loop_defer(p->loop, &p->check_idle);
}

/* --- the response ----------------------------------------------------------------------------- */

static ssize_t on_read(void *arg, char *to, size_t max)
{
	struct exchange *x = arg;
	size_t room = pipe_room(&x->download);
	size_t n = pipe_read(&x->download, to, max);

	if (n) {
		x->bytes_out += (int64_t)n;
		exchange_moved(x);
		if (room < UPSTREAM_GIVE_MAX && pipe_room(&x->download) >= UPSTREAM_GIVE_MAX)
			transfer_resume(x->transfer);
		return (ssize_t)n;
	}
	if (x->state == X_DYING)
		return HTTP_READ_CUT; /* what came is delivered; it isn't all */
	return x->state == X_DRAINING ? HTTP_READ_END : 0;
}

const struct http_service front_service = {
	.begin = on_begin,
	.body = on_body,
	.received = on_received,
	.read = on_read,
	.gone = on_gone,
	.done = on_done,
	.closed = on_closed,
};

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

void front_respond(struct exchange *x)
{
	const struct headers *from = transfer_fields(x->transfer);
	int64_t length = headers_content_length(from);
	CLEANUP(field_list_clear) struct field_list fields = { 0 };
	CLEANUP(buf_clear) struct buf timing = { 0 };
	CLEANUP(buf_clear) struct buf body = whole_response(x, length);

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

void front_respond_error(struct exchange *x)
{
	const struct outcome_info *o = &outcome_info[x->outcome];
	CLEANUP(field_list_clear) struct field_list fields = { 0 };
	CLEANUP(buf_clear) struct buf timing = { 0 }, retry = { 0 }, body = { 0 };

	outcome_body(x->outcome, x->id, &body);
	field_list_add(&fields, SPAN("content-type"), SPAN("application/json"));
	field_list_add(&fields, SPAN("request-id"), span_of(x->id));
	add_timing(x, &timing, &fields);
	if (o->flags & OUTCOME_QUEUE)
		field_list_add(&fields, SPAN("x-user-message-queue-error"), span_of(o->type));
	if (o->flags & OUTCOME_RETRY) {
		buf_printf(&retry, "%d", queue_retry_after_s(x->proxy->queue, &x->place));
		field_list_add(&fields, SPAN("retry-after"), buf_span(&retry));
		field_list_add(&fields, SPAN("x-should-retry"), SPAN("true"));
	}
	x->bytes_out += (int64_t)body.len;
	http_request_respond(x->request, &(struct http_response){
						 .status = o->status,
						 .fields = fields.fields,
						 .count = fields.count,
						 .body = buf_span(&body),
						 .refuses = o->flags & OUTCOME_CLOSE,
					 });
}
