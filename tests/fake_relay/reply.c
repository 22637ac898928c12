/*
 * reply.c - answers as the API gives them (https://docs.anthropic.com/en/api/messages-streaming).
 *
 *      piece 0     1                    2     3 ... 2+n            3+n                 4+n 5+n
 *      message_    content_block_start  ping  content_block_delta  content_block_stop message_delta
 * message_ start stop
 */
#include "reply.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

enum { PIECE_BYTES = 64 << 10, BEFORE_DELTAS = 3, AFTER_DELTAS = 3 };

static const struct {
	int status;
	const char *phrase, *type;
} statuses[] = {
	{ 200, "OK", NULL },
	{ 400, "Bad Request", "invalid_request_error" },
	{ 401, "Unauthorized", "authentication_error" },
	{ 402, "Payment Required", "billing_error" },
	{ 403, "Forbidden", "permission_error" },
	{ 404, "Not Found", "not_found_error" },
	{ 408, "Request Timeout", "timeout_error" },
	{ 413, "Payload Too Large", "request_too_large" },
	{ 429, "Too Many Requests", "rate_limit_error" },
	{ 500, "Internal Server Error", "api_error" },
	{ 504, "Gateway Timeout", "timeout_error" },
	{ 529, "Overloaded", "overloaded_error" },
};

static const char *phrase_of(int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		if (statuses[i].status == status)
			return statuses[i].phrase;
	}
	return "Something";
}

static const char *error_type_of(int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		if (statuses[i].status == status && statuses[i].type)
			return statuses[i].type;
	}
	return status < 500 ? "invalid_request_error" : "api_error";
}

void reply_json(struct reply *r, struct buf *text)
{
	buf_clear(&r->text);
	r->kind = REPLY_TEXT;
	r->status = 200;
	r->type = "application/json";
	r->text = *text;
	r->pieces = r->text.len > 0;
	*text = (struct buf){ 0 };
}

void reply_error(struct reply *r, int status, struct span message)
{
	struct buf text = { 0 };

	buf_printf(&text, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":",
		   error_type_of(status));
	buf_json(&text, message);
	buf_printf(&text, "},\"request_id\":\"req_relay_%06" PRIu64 "\"}", r->number);
	reply_json(r, &text);
	r->status = status;
}

static void echo_head(const struct incoming *in, struct buf *out)
{
	const char *p = in->line.ptr + in->line.len + 2, *end = in->head.data + in->head.len - 2;
	const char *comma = "";

	buf_puts(out, "{\"request_line\":");
	buf_json(out, in->line);
	buf_puts(out, ",\"headers\":[");
	while (p < end) {
		const char *cr = memchr(p, '\r', (size_t)(end - p));

		buf_puts(out, comma);
		buf_json(out, (struct span){ p, (size_t)(cr - p) });
		comma = ",";
		p = cr + 2;
	}
	buf_puts(out, "],\"head_hex\":\"");
	for (size_t i = 0; i < in->head.len; i++)
		buf_printf(out, "%02x", (unsigned char)in->head.data[i]);
}

static void echo(struct reply *r, const struct incoming *in, uint64_t connection)
{
	struct buf text = { 0 };

	echo_head(in, &text);
	buf_printf(&text,
		   "\",\"chunked\":%s,\"body_bytes\":%" PRIu64 ",\"body_sha256\":\"%s\""
		   ",\"connection\":%" PRIu64 "}\n",
		   in->chunked ? "true" : "false", in->body_bytes, in->sha256, connection);
	reply_json(r, &text);
}

static void append_words(struct buf *out, uint64_t number, int64_t bytes)
{
	static const char filler[] = " and so on";
	size_t begin = out->len;

	buf_printf(out, "%" PRIu64, number);
	while ((int64_t)(out->len - begin) < bytes)
		buf_append(out, filler, MIN(sizeof filler - 1, (size_t)bytes - (out->len - begin)));
}

static void tool_block(const struct reply *r, const struct script *s, struct span input,
		       struct buf *out)
{
	buf_printf(out,
		   "{\"type\":\"tool_use\",\"id\":\"toolu_relay_%06" PRIu64
		   "\",\"name\":\"%.*s\",\"input\":%.*s}",
		   r->number, SPAN_ARG(s->tool), SPAN_ARG(input));
}

static const char *stop_reason(const struct reply *r)
{
	return r->calls_tool ? "tool_use" : "end_turn";
}

static void message(struct reply *r, const struct script *s)
{
	struct buf text = { 0 };

	buf_printf(&text,
		   "{\"id\":\"msg_relay_%06" PRIu64
		   "\",\"type\":\"message\",\"role\":\"assistant\","
		   "\"model\":\"claude-fake-1\",\"content\":[",
		   r->number);
	if (r->calls_tool) {
		tool_block(r, s, s->input, &text);
	} else {
		buf_puts(&text, "{\"type\":\"text\",\"text\":\"");
		for (int64_t i = 0; i < s->events; i++)
			append_words(&text, (uint64_t)i + 1, s->event_bytes);
		buf_puts(&text, "\"}");
	}
	buf_printf(&text,
		   "],\"stop_reason\":\"%s\",\"stop_sequence\":null,"
		   "\"usage\":{\"input_tokens\":10,\"output_tokens\":%" PRId64 "}}",
		   stop_reason(r), s->events);
	reply_json(r, &text);
}

static void text_json(struct reply *r, const char *json)
{
	struct buf text = { 0 };

	buf_puts(&text, json);
	reply_json(r, &text);
}

static bool ends(const struct incoming *in, const char *method, const char *path)
{
	return span_eq(in->method, span_of(method)) && span_ends(in->path, span_of(path));
}

static bool is_under_echo(struct span path)
{
	const char *at = memmem(path.ptr, path.len, "/echo", 5);

	return at && (at + 5 == path.ptr + path.len || at[5] == '/');
}

/* A tool is called in one. */
static uint64_t deltas_of(const struct reply *r, const struct script *s)
{
	return r->calls_tool ? 1 : (uint64_t)s->events;
}

static void events(struct reply *r, const struct script *s)
{
	r->kind = REPLY_EVENTS;
	r->type = "text/event-stream; charset=utf-8";
	r->pieces = deltas_of(r, s) + BEFORE_DELTAS + AFTER_DELTAS;
}

static void bytes(struct reply *r, const struct script *s)
{
	r->kind = REPLY_BYTES;
	r->type = "application/octet-stream";
	r->pieces = ((uint64_t)s->bytes + PIECE_BYTES - 1) / PIECE_BYTES;
}

void reply_route(struct reply *r, const struct incoming *in, const struct script *s,
		 uint64_t connection)
{
	r->status = (int)s->status;
	r->calls_tool = s->tool.ptr && !in->has_tool_result;
	if (s->bytes >= 0)
		bytes(r, s);
	else if (s->status >= 300)
		reply_error(r, (int)s->status, SPAN("as the request asked for"));
	else if (is_under_echo(in->path))
		echo(r, in, connection);
	else if (ends(in, "POST", "/v1/messages") && in->wants_stream)
		events(r, s);
	else if (ends(in, "POST", "/v1/messages"))
		message(r, s);
	else if (ends(in, "POST", "/v1/messages/count_tokens"))
		text_json(r, "{\"input_tokens\":10}");
	else if (ends(in, "GET", "/v1/models"))
		text_json(
			r,
			"{\"data\":[{\"type\":\"model\",\"id\":\"claude-fake-1\",\"display_name\":"
			"\"Fake\",\"created_at\":\"2026-01-01T00:00:00Z\"}],\"has_more\":false,"
			"\"first_id\":\"claude-fake-1\",\"last_id\":\"claude-fake-1\"}");
	else if (span_ends(in->path, SPAN("/")) || span_ends(in->path, SPAN("/api/hello")))
		text_json(r, "{\"message\":\"hello\"}");
	else
		reply_error(r, 404, SPAN("the relay has nothing under this path"));
	if (r->status < 300)
		r->status = (int)s->status;
}

static void delta(const struct reply *r, const struct script *s, uint64_t number, struct buf *out)
{
	buf_puts(out, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\","
		      "\"index\":0,\"delta\":{\"type\":\"");
	if (r->calls_tool) {
		buf_puts(out, "input_json_delta\",\"partial_json\":");
		buf_json(out, s->input);
		buf_puts(out, "}}");
	} else {
		buf_puts(out, "text_delta\",\"text\":\"");
		append_words(out, number, s->event_bytes);
		buf_puts(out, "\"}}");
	}
}

static void event(const struct reply *r, const struct script *s, uint64_t i, struct buf *out)
{
	uint64_t deltas = deltas_of(r, s);

	if (i == 0) {
		buf_printf(
			out,
			"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":"
			"\"msg_relay_%06" PRIu64 "\",\"type\":\"message\",\"role\":\"assistant\","
			"\"model\":\"claude-fake-1\",\"content\":[],\"stop_reason\":null,"
			"\"stop_sequence\":null,\"usage\":{\"input_tokens\":10,\"output_tokens\":1}}}",
			r->number);
	} else if (i == 1) {
		buf_puts(out, "event: content_block_start\ndata: {\"type\":\"content_block_start\","
			      "\"index\":0,\"content_block\":");
		if (r->calls_tool)
			tool_block(r, s, SPAN("{}"), out);
		else
			buf_puts(out, "{\"type\":\"text\",\"text\":\"\"}");
		buf_puts(out, "}");
	} else if (i == 2) {
		buf_puts(out, "event: ping\ndata: {\"type\": \"ping\"}");
	} else if (i < BEFORE_DELTAS + deltas) {
		delta(r, s, i - BEFORE_DELTAS + 1, out);
	} else if (i == BEFORE_DELTAS + deltas) {
		buf_puts(out, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\","
			      "\"index\":0}");
	} else if (i == BEFORE_DELTAS + deltas + 1) {
		buf_printf(out,
			   "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":"
			   "{\"stop_reason\":\"%s\",\"stop_sequence\":null},"
			   "\"usage\":{\"output_tokens\":%" PRIu64 "}}",
			   stop_reason(r), deltas);
	} else {
		buf_puts(out, "event: message_stop\ndata: {\"type\":\"message_stop\"}");
	}
	buf_puts(out, "\n\n");
}

static void filler(uint64_t from, uint64_t to, struct buf *out)
{
	static const char line[] = "123456789\n";
	size_t n = (size_t)(to - from);
	char *p = buf_reserve(out, n);

	for (size_t i = 0; i < n; i++)
		p[i] = line[(from + i) % 10];
	out->len += n;
}

static void content(const struct reply *r, const struct script *s, uint64_t i, struct buf *out)
{
	uint64_t from = i * PIECE_BYTES;

	if (r->kind == REPLY_EVENTS)
		event(r, s, i, out);
	else if (r->kind == REPLY_BYTES)
		filler(from, MIN(from + PIECE_BYTES, (uint64_t)s->bytes), out);
	else
		buf_append(out, r->text.data, r->text.len);
}

void reply_piece(const struct reply *r, const struct script *s, uint64_t i, struct buf *out)
{
	CLEANUP(buf_clear) struct buf piece = { 0 };

	if (!r->chunked) {
		content(r, s, i, out);
		return;
	}
	content(r, s, i, &piece);
	buf_printf(out, "%zx\r\n", piece.len);
	buf_append(out, piece.data, piece.len);
	buf_puts(out, "\r\n");
}

bool reply_paced(const struct reply *r, const struct script *s, uint64_t i)
{
	return s->interval_ms && r->kind == REPLY_EVENTS && i >= BEFORE_DELTAS &&
	       i < BEFORE_DELTAS + deltas_of(r, s);
}

void reply_end(const struct reply *r, struct buf *out)
{
	if (r->chunked && !r->no_body)
		buf_puts(out, "0\r\n\r\n");
}

static uint64_t length_of(const struct reply *r, const struct script *s)
{
	CLEANUP(buf_clear) struct buf piece = { 0 };
	uint64_t n = 0;

	if (r->kind == REPLY_BYTES)
		return (uint64_t)s->bytes;
	for (uint64_t i = 0; i < r->pieces; i++) {
		content(r, s, i, &piece);
		n += piece.len;
		piece.len = 0;
	}
	return n;
}

static void extra_headers(const struct headers *headers, const struct script *s, struct buf *out)
{
	for (size_t i = 0; i < headers->count && !s->is_over; i++) {
		if (span_ieq(headers->fields[i].name, SPAN("X-Relay-Header")))
			buf_printf(out, "%.*s\r\n", SPAN_ARG(headers->fields[i].value));
	}
}

static void framing(struct reply *r, const struct incoming *in, const struct script *s,
		    struct buf *out)
{
	int wanted = s->framing != FRAMING_USUAL ? s->framing
		     : r->kind == REPLY_EVENTS   ? FRAMING_CHUNKED
						 : FRAMING_LENGTH;

	if (wanted == FRAMING_CHUNKED && in->old)
		wanted = FRAMING_CLOSE;
	r->no_body = r->status == 204 || r->status == 304 || span_eq(in->method, SPAN("HEAD"));
	r->chunked = wanted == FRAMING_CHUNKED;
	r->close = r->close || in->close || wanted == FRAMING_CLOSE;
	if (r->status == 204 || r->status == 304)
		r->chunked = false;
	else if (r->chunked)
		buf_puts(out, "transfer-encoding: chunked\r\n");
	else if (wanted == FRAMING_LENGTH)
		buf_printf(out, "content-length: %" PRIu64 "\r\n", length_of(r, s));
	if (r->close)
		buf_puts(out, "connection: close\r\n");
	if (r->no_body)
		r->pieces = 0;
}

static void date(struct buf *out)
{
	time_t now = time(NULL);
	struct tm tm;
	char text[64];

	gmtime_r(&now, &tm);
	strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	buf_printf(out, "date: %s\r\n", text);
}

void reply_head(struct reply *r, const struct incoming *in, const struct script *s, struct buf *out)
{
	buf_printf(out, "HTTP/1.1 %d %s\r\n", r->status, phrase_of(r->status));
	date(out);
	buf_printf(out, "content-type: %s\r\n", r->type);
	if (r->kind == REPLY_EVENTS)
		buf_puts(out, "cache-control: no-cache\r\n");
	buf_printf(out,
		   "request-id: req_relay_%06" PRIu64 "\r\n"
		   "anthropic-ratelimit-requests-limit: 1000\r\n"
		   "anthropic-ratelimit-requests-remaining: 999\r\n"
		   "anthropic-ratelimit-requests-reset: 2030-01-01T00:00:00Z\r\n",
		   r->number);
	extra_headers(&in->headers, s, out);
	framing(r, in, s, out);
	buf_puts(out, "\r\n");
}

void reply_clear(struct reply *r)
{
	buf_clear(&r->text);
	*r = (struct reply){ 0 };
}
