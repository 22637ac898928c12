/*
 * intake.c - the request comes in.
 *
 * A body takes one of two ways, decided when the headers are in:
 *
 *      whole      requests that may be gated: the body decides, and waits with its request;
 *                 and short bodies: sent in one piece, and again if the connection was stale
 *      streamed   all others, of any length: through a pipe, as they come
 *
 * The functions of intake_service are called from within MHD. They move bytes and record facts;
 * what follows from them happens in exchange_advance().
 */
#include "proxy/intake.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "http/strict.h"
#include "proxy/forwarding.h"
#include "proxy/line.h"
#include "proxy/reply.h"
#include "proxy/watchdog.h"

/* Up to here an ungated body is sent whole. About what a conversation's count_tokens has. */
enum { WHOLE_BODY_MAX = 256 * 1024 };

/*
 * Of a body whose length is known: room at its beginning, and for each byte that has come. A first
 * piece has up to 20 KB, so a body of up to 320 KB is never moved.
 */
enum { FIRST_ROOM = 64 * 1024, ROOM_PER_BYTE = 16 };

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
	x->line = line_asked(x);
	if (x->proxy->draining) {
		exchange_finish(x, OUTCOME_SHUTTING_DOWN);
	} else if (x->line) {
		return;
	} else if (request_is_looked_at(c, http_request_method(x->request),
					http_request_target(x->request))) {
		if (length <= c->listen.max_body_bytes)
			x->look = look_new(h);
		else if (!config_enforces(c))
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

	bodies_open(x->proxy->bodies, x->client_address, http_request_headers(request), &x->kept);
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
static void cant_keep(struct exchange *x, enum outcome outcome, const char *why)
{
	if (x->look && config_enforces(x->proxy->config)) {
		x->error = why ? xstrdup(why) : NULL;
		exchange_finish(x, outcome);
		return;
	}
	look_free(steal(&x->look));
	exchange_stream_up(x);
}

/*
 * Of those who bring their body too slowly, the one of whom most is kept makes room for who brings his.
 * False: there is none.
 */
static bool make_someone_go(struct exchange *x, enum bodies_room room)
{
	struct exchange *other, *most = NULL;

	list_for_each (other, &x->proxy->in_state[X_READING], link) {
		if (other != x &&
		    bodies_would_help(x->proxy->bodies, &x->kept, &other->kept, room) &&
		    watchdog_finds_dawdling(other) &&
		    (!most || other->kept.bytes > most->kept.bytes))
			most = other;
	}
	if (!most)
		return false;
	x->proxy->counters.displaced++;
	most->error = xstrdup("its memory was needed, and it came too slowly");
	exchange_finish(most, OUTCOME_CLIENT_SLOW);
	return true;
}

static enum bodies_room charge(struct exchange *x, int64_t bytes)
{
	enum bodies_room room;

	do {
		room = bodies_charge(x->proxy->bodies, &x->kept, bytes);
	} while (room != BODIES_ROOM && make_someone_go(x, room));
	return room;
}

/* Keeps a piece of a whole body, if the limits allow. */
static void keep(struct exchange *x, const char *data, size_t len)
{
	const struct config *c = x->proxy->config;
	enum bodies_room room;

	if (x->look && (int64_t)(x->body.len + len) > c->listen.max_body_bytes) {
		cant_keep(x, OUTCOME_BODY_TOO_LARGE, NULL);
		return;
	}
	room = charge(x, (int64_t)len);
	if (room != BODIES_ROOM) {
		cant_keep(x, OUTCOME_BUFFERS_FULL,
			  room == BODIES_OF_OWNER ? "its address or key has its share" : NULL);
		return;
	}
	make_room(x, len);
	buf_append(&x->body, data, len);
	if (x->look)
		look_feed(x->look, data, len);
}

static size_t on_body(void *arg, const char *data, size_t len)
{
	struct exchange *x = arg;

	if (x->state == X_READING)
		keep(x, data, len);
	if (forwarding_wants_body(x)) {
		len = pipe_write(&x->upload, data, len);
		transfer_resume(x->transfer);
	} /* else it is kept, or nobody wants it any more */
	x->bytes_in += (int64_t)len;
	if (len)
		watchdog_moved(x);
	return len;
}

static void on_received(void *arg)
{
	struct exchange *x = arg;

	x->client = CLIENT_WAITING;
	x->received_ms = clock_ms();
	if (x->body_streamed)
		transfer_resume(x->transfer);
	exchange_poke(x);
}

static void on_gone(void *arg)
{
	struct exchange *x = arg;

	x->client = CLIENT_GONE;
	if (x->state == X_DYING)
		reply_cut(x);
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

const struct http_service intake_service = {
	.begin = on_begin,
	.body = on_body,
	.received = on_received,
	.read = reply_read,
	.gone = on_gone,
	.done = on_done,
	.closed = on_closed,
};
