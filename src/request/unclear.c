#include "request/unclear.h"

void unclear_add(struct unclear_first *first, const char *data, size_t len)
{
	size_t n = MIN(len, sizeof first->bytes - first->len);

	memcpy(first->bytes + first->len, data, n);
	first->len += n;
}

static bool is_wide(const struct unclear_first *f)
{
	struct span s = { f->bytes, f->len };

	return span_starts(s, SPAN("\xfe\xff")) || span_starts(s, SPAN("\xff\xfe")) ||
	       (f->len > 1 && (!f->bytes[0] || !f->bytes[1]));
}

/* Whether a parser that knows nothing of the coding may find JSON there, in any encoding. */
static bool may_be_json(const struct unclear_first *f)
{
	return f->len && memchr(" \t\r\n{\xef\xfe\xff", f->bytes[0], 9);
}

static bool is_known_charset(struct span s)
{
	static const struct span known[] = {
		SPAN("utf-8"),      SPAN("utf8"),   SPAN("us-ascii"),     SPAN("ascii"),
		SPAN("iso-8859-1"), SPAN("latin1"), SPAN("windows-1252"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (span_ieq(s, known[i]))
			return true;
	}
	return false;
}

static bool ends(struct span s, struct span with)
{
	return s.len >= with.len &&
	       span_ieq((struct span){ s.ptr + s.len - with.len, with.len }, with);
}

/* JSON, or a type that says nothing: by those nobody reads bytes in another way. */
static bool is_plain_type(struct span type)
{
	return !type.len || ends(type, SPAN("/json")) || ends(type, SPAN("+json")) ||
	       span_ieq(type, SPAN("text/plain")) ||
	       span_ieq(type, SPAN("application/octet-stream"));
}

static struct span unquoted(struct span s)
{
	while (s.len && strchr("\"' \t", s.ptr[0]))
		s.ptr++, s.len--;
	while (s.len && strchr("\"' \t", s.ptr[s.len - 1]))
		s.len--;
	return s;
}

/* A parameter of Content-Type; all but charsets are fine. */
static bool is_plain_parameter(struct span s)
{
	const struct span charset = SPAN("charset");
	const char *equals = s.len ? memchr(s.ptr, '=', s.len) : NULL;

	if (s.len < charset.len || !span_ieq((struct span){ s.ptr, charset.len }, charset))
		return true;
	return equals &&
	       span_ieq(span_trim((struct span){ s.ptr, (size_t)(equals - s.ptr) }), charset) &&
	       is_known_charset(
		       unquoted((struct span){ equals + 1, s.len - (size_t)(equals + 1 - s.ptr) }));
}

static bool is_plain_content_type(struct span field)
{
	struct span rest = field, part;

	if (!span_next(&rest, ';', &part) || !is_plain_type(part))
		return false;
	while (span_next(&rest, ';', &part)) {
		if (!is_plain_parameter(part))
			return false;
	}
	return true;
}

/* Several fields may count, or any of them. */
static bool has_plain_content_type(const struct headers *headers)
{
	for (size_t i = 0; i < headers->count; i++) {
		if (span_ieq(headers->fields[i].name, SPAN("content-type")) &&
		    headers->fields[i].value.len &&
		    !is_plain_content_type(headers->fields[i].value))
			return false;
	}
	return true;
}

static enum request_reason broken_json(const struct unclear_evidence *e)
{
	if (!e->facts->is_object)
		return REASON_NOT_JSON;
	return e->facts->status == TAIL_NOT_A_NUMBER ? REASON_NOT_A_NUMBER : REASON_ODD_JSON;
}

enum request_reason unclear_or(enum request_reason reason, const struct unclear_evidence *e)
{
	if (!e->raw.len)
		return reason;
	if (e->decoded == DECODE_UNKNOWN)
		return REASON_CONTENT_CODING;
	if (e->decoded == DECODE_TOO_LARGE)
		return REASON_CODING_TOO_LARGE;
	if (e->decoded == DECODE_BROKEN)
		return REASON_CODING_BROKEN;
	if (request_kind_is_gated(request_reason_info(reason)->kind))
		return reason;
	if (e->coded && may_be_json(&e->raw))
		return REASON_CODING_BROKEN;
	if (is_wide(&e->content))
		return REASON_WIDE_TEXT;
	if (!has_plain_content_type(e->headers))
		return REASON_CONTENT_TYPE;
	if (reason == REASON_NOT_JSON)
		return broken_json(e);
	return e->facts->odd_keys ? REASON_ODD_KEYS : reason;
}
