/*
 * reply.c - the response goes out: what the client is told, and when.
 */
#include "proxy/reply.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "proxy/limited.h"

#define TO(told) (1u << (told))

static const unsigned next_told[TOLD_COUNT] = {
	[TOLD_NOTHING] = TO(TOLD_HEAD) | TO(TOLD_ERROR) | TO(TOLD_CUT),
	[TOLD_HEAD] = TO(TOLD_ALL) | TO(TOLD_CUT),
	[TOLD_ALL] = TO(TOLD_CUT),
};

static void tell(struct exchange *x, enum told what)
{
	must(next_told[x->told] & TO(what));
	x->told = what;
}

/* --- the body --------------------------------------------------------------------------------- */

bool reply_give(struct exchange *x, const char *data, size_t len)
{
	if (pipe_room(&x->download) < len)
		return false;
	must(pipe_write(&x->download, data, len) == len);
	if (x->told == TOLD_HEAD && x->request)
		http_request_wake(x->request);
	return true;
}

ssize_t reply_read(void *arg, char *to, size_t max)
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
	if (x->told == TOLD_CUT)
		return HTTP_READ_CUT; /* what came is delivered; it isn't all */
	return x->told == TOLD_ALL ? HTTP_READ_END : 0;
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

enum {
	RELAY_QUEUES_EVERY_MS = 60 * 1000,
	RETRIED_MAX_S = 60, /* Claude Code and the SDKs wait no longer before they try again */
};

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
		LOG_SPAN("error", error), LOG_INT("status", x->status),
		LOG_STR("account", x->verdict.account), LOG_STR("request_id", x->id));
}

void reply_with_response(struct exchange *x)
{
	const struct headers *from = transfer_fields(x->transfer);
	int64_t length = headers_content_length(from);
	CLEANUP(field_list_clear) struct field_list fields = { 0 };
	CLEANUP(buf_clear) struct buf timing = { 0 };
	CLEANUP(buf_clear) struct buf body = whole_response(x, length);

	x->status = x->upstream_status;
	tell(x, TOLD_HEAD);
	warn_of_relay_queue(x, from);
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

void reply_end(struct exchange *x)
{
	tell(x, TOLD_ALL);
	if (x->request) /* it may be parked with nothing but the end to send */
		http_request_wake(x->request);
}

/* --- our own ---------------------------------------------------------------------------------- */

static void add_retry(const struct exchange *x, struct buf *text, struct field_list *fields)
{
	bool held = x->outcome == OUTCOME_ACCOUNT_LIMITED;
	int64_t held_s = (x->held_until_ms - clock_ms() + 999) / 1000;
	int64_t s = held ? MAX(held_s, 1) : queue_retry_after_s(x->proxy->queue, &x->place);

	buf_printf(text, "%lld", (long long)s);
	field_list_add(fields, SPAN("retry-after"), buf_span(text));
	/* Some clients don't obey so long a time, and would come again and again. */
	field_list_add(fields, SPAN("x-should-retry"),
		       s > RETRIED_MAX_S ? SPAN("false") : SPAN("true"));
}

static void respond(struct exchange *x, int status, struct field_list *fields, struct span body)
{
	CLEANUP(buf_clear) struct buf timing = { 0 }, retry = { 0 };

	field_list_add(fields, SPAN("request-id"), span_of(x->id));
	add_timing(x, &timing, fields);
	if (outcome_info[x->outcome].flags & OUTCOME_RETRY)
		add_retry(x, &retry, fields);
	x->status = status;
	tell(x, TOLD_ERROR);
	x->bytes_out += (int64_t)body.len;
	http_request_respond(x->request,
			     &(struct http_response){
				     .status = status,
				     .fields = fields->fields,
				     .count = fields->count,
				     .body = body,
				     .refuses = outcome_info[x->outcome].flags & OUTCOME_CLOSE,
			     });
}

/* What the upstream said to the one whose turn it was: its words, with a time of now. */
static bool reply_with_refusal(struct exchange *x)
{
	CLEANUP(field_list_clear) struct field_list fields = { 0 };
	struct limited_refusal refusal;

	if (!x->held_refusal || !limited_read(span_of(x->held_refusal), &refusal))
		return false;
	for (size_t i = 0; i < refusal.count; i++)
		field_list_add(&fields, refusal.fields[i].name, refusal.fields[i].value);
	field_list_add(&fields, SPAN("x-turnstile-held"), SPAN("quota"));
	respond(x, refusal.status, &fields, refusal.body);
	return true;
}

static void respond_error(struct exchange *x)
{
	const struct outcome_info *o = &outcome_info[x->outcome];
	CLEANUP(field_list_clear) struct field_list fields = { 0 };
	CLEANUP(buf_clear) struct buf body = { 0 };

	if (x->outcome == OUTCOME_ACCOUNT_LIMITED && reply_with_refusal(x))
		return;
	outcome_body(x->outcome, x->id, &body);
	field_list_add(&fields, SPAN("content-type"), SPAN("application/json"));
	if (o->flags & OUTCOME_QUEUE)
		field_list_add(&fields, SPAN("x-user-message-queue-error"), span_of(o->type));
	respond(x, o->status, &fields, buf_span(&body));
}

void reply_cut(struct exchange *x)
{
	if (!x->request)
		return;
	if (x->told != TOLD_ERROR && x->told != TOLD_CUT)
		tell(x, TOLD_CUT);
	http_request_cut(x->request);
}

void reply_finish(struct exchange *x)
{
	if (x->told == TOLD_NOTHING)
		x->status = outcome_info[x->outcome].status;
	if (!x->request)
		return; /* it has got everything, or is gone */
	if (x->client == CLIENT_GONE || !outcome_info[x->outcome].type) {
		reply_cut(x);
	} else if (x->told == TOLD_NOTHING) {
		respond_error(x);
	} else {
		tell(x, TOLD_CUT);
		http_request_wake(x->request); /* takes what is there first */
	}
}
