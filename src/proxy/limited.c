#include "proxy/limited.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "request/limits.h"

/* --- a refusal as text ------------------------------------------------------------------------ */

static bool tells_of_limits(struct span name)
{
	static const struct span rates = SPAN("anthropic-ratelimit-");

	return span_ieq(name, SPAN("content-type")) ||
	       (name.len > rates.len && span_ieq((struct span){ name.ptr, rates.len }, rates));
}

void limited_write(int status, const struct headers *fields, struct span body, struct buf *to)
{
	buf_printf(to, "%d\n", status);
	for (size_t i = 0; i < fields->count; i++) {
		const struct header *f = &fields->fields[i];

		if (tells_of_limits(f->name))
			buf_printf(to, "%.*s: %.*s\n", SPAN_ARG(f->name), SPAN_ARG(f->value));
	}
	buf_puts(to, "\n");
	buf_append(to, body.ptr, body.len);
}

static bool next_line(struct span *text, struct span *ret)
{
	const char *end = text->len ? memchr(text->ptr, '\n', text->len) : NULL;

	if (!end)
		return false;
	*ret = (struct span){ text->ptr, (size_t)(end - text->ptr) };
	*text = (struct span){ end + 1, text->len - ret->len - 1 };
	return true;
}

static bool read_field(struct span line, struct limited_refusal *ret)
{
	const char *colon = memchr(line.ptr, ':', line.len);
	struct header *f;

	if (!colon || colon == line.ptr || ret->count == ARRAY_SIZE(ret->fields))
		return false;
	f = &ret->fields[ret->count++];
	f->name = (struct span){ line.ptr, (size_t)(colon - line.ptr) };
	f->value = span_trim((struct span){ colon + 1, line.len - f->name.len - 1 });
	return tells_of_limits(f->name);
}

/* Another version of turnstile may have written it, or another program: it is looked at again. */
bool limited_read(struct span text, struct limited_refusal *ret)
{
	struct span line;

	*ret = (struct limited_refusal){ 0 };
	if (!next_line(&text, &line) || line.len != 3)
		return false;
	for (size_t i = 0; i < 3; i++) {
		if (line.ptr[i] < '0' || line.ptr[i] > '9')
			return false;
		ret->status = ret->status * 10 + line.ptr[i] - '0';
	}
	while (next_line(&text, &line)) {
		if (!line.len) {
			ret->body = text;
			return ret->status >= 400;
		}
		if (!read_field(line, ret))
			return false;
	}
	return false;
}

/* --- judging ---------------------------------------------------------------------------------- */

/* The exchange hears of it a moment later. */
static int status_of(const struct exchange *x)
{
	return x->transfer ? transfer_status(x->transfer) : 0;
}

static bool is_refusal(const struct exchange *x)
{
	return status_of(x) == 429 || status_of(x) >= 500;
}

void limited_headers(struct exchange *x)
{
	if (status_of(x) < 400)
		queue_release(&x->place);
}

void limited_body(struct exchange *x, const char *data, size_t len)
{
	if (!is_refusal(x) || x->limit_body.len >= LIMIT_BODY)
		return;
	buf_append(&x->limit_body, data, MIN(len, LIMIT_BODY - x->limit_body.len));
}

static enum hold_kind kind_to_hold(const struct exchange *x, const struct limit_verdict *v)
{
	if (v->kind == LIMIT_THROTTLE && x->terms.on_limit & ON_LIMIT_THROTTLE)
		return HOLD_THROTTLE;
	if (v->kind == LIMIT_QUOTA && v->scope == LIMIT_OF_ACCOUNT &&
	    x->terms.on_limit & ON_LIMIT_QUOTA)
		return HOLD_QUOTA;
	return HOLD_NONE;
}

static void hold(struct exchange *x, enum hold_kind kind, const struct limit_verdict *v,
		 const struct headers *fields)
{
	CLEANUP(buf_clear) struct buf refusal = { 0 };
	int64_t for_ms = v->until_ms ? MAX(v->until_ms - clock_wall_ms(), 1) : 0;

	limited_write(status_of(x), fields, buf_span(&x->limit_body), &refusal);
	queue_hold(&x->place, &(struct lock_limit){ kind, for_ms, buf_str(&refusal) });
}

static struct span readable_body(const struct exchange *x, const struct headers *fields)
{
	struct span coding = headers_get(fields, SPAN("content-encoding"));

	if (coding.ptr && !span_ieq(coding, SPAN("identity")))
		return (struct span){ 0 };
	return buf_span(&x->limit_body);
}

void limited_end(struct exchange *x)
{
	const struct headers *fields = x->transfer ? transfer_fields(x->transfer) : NULL;
	struct limit_verdict v;
	enum hold_kind kind;

	if (!x->place.turn_ms || !fields || !is_refusal(x))
		return;
	limits_judge(&(struct limit_answer){ .status = status_of(x),
					     .fields = *fields,
					     .body = readable_body(x, fields),
					     .now_ms = clock_wall_ms() },
		     &v);
	x->proxy->counters.limits[v.kind]++;
	if (v.kind == LIMIT_NONE)
		return;
	kind = kind_to_hold(x, &v);
	log_warn(kind ? "the upstream limits the account: nobody of it is sent for a while"
		      : "the upstream refused for a limit",
		 LOG_STR("account", x->verdict.account), LOG_STR("kind", limit_kind_names[v.kind]),
		 LOG_STR("why", v.why), LOG_INT("status", status_of(x)),
		 LOG_INT("for_ms", v.until_ms ? v.until_ms - clock_wall_ms() : 0),
		 LOG_BOOL("held", kind != HOLD_NONE), LOG_STR("request_id", x->id));
	if (kind)
		hold(x, kind, &v, fields);
}
