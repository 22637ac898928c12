#include "http/head.h"

#include <stdint.h>

static bool starts_scheme(struct span target, struct span scheme)
{
	return target.len >= scheme.len &&
	       span_ieq((struct span){ target.ptr, scheme.len }, scheme);
}

bool target_split(struct span target, struct span *ret_authority, struct span *ret_path)
{
	size_t at = starts_scheme(target, SPAN("http://"))    ? 7
		    : starts_scheme(target, SPAN("https://")) ? 8
							      : 0;
	size_t end = at;

	if (!at)
		return false;
	while (end < target.len && target.ptr[end] != '/' && target.ptr[end] != '?')
		end++;
	*ret_authority = (struct span){ target.ptr + at, end - at };
	*ret_path = (struct span){ target.ptr + end, target.len - end };
	return true;
}

char *target_path(const char *target)
{
	struct span authority, path;

	if (!target_split(span_of(target), &authority, &path))
		return xstrdup(target);
	return xasprintf("%s%.*s", span_starts(path, SPAN("/")) ? "" : "/", SPAN_ARG(path));
}

struct span value_trim(struct span v)
{
	while (v.len && (v.ptr[0] == ' ' || v.ptr[0] == '\t'))
		v.ptr++, v.len--;
	while (v.len && (v.ptr[v.len - 1] == ' ' || v.ptr[v.len - 1] == '\t'))
		v.len--;
	return v;
}

bool head_is_1_0(const struct request_head *h)
{
	return span_eq(h->version, SPAN("HTTP/1.0"));
}

bool head_is_head(const struct request_head *h)
{
	return span_eq(h->method, SPAN("HEAD"));
}

bool head_is_chunked(const struct request_head *h)
{
	return headers_get(&h->fields, SPAN("Transfer-Encoding")).ptr;
}

bool head_has_body(const struct request_head *h)
{
	struct span length = headers_get(&h->fields, SPAN("Content-Length"));

	return head_is_chunked(h) || (length.len && !span_eq(length, SPAN("0")));
}

int64_t head_body_bytes(const struct request_head *h)
{
	struct span length = headers_get(&h->fields, SPAN("Content-Length"));
	int64_t n = 0;

	while (length.len > 1 && length.ptr[0] == '0')
		length.ptr++, length.len--;
	if (head_is_chunked(h) || length.len > 18)
		return -1;
	for (size_t i = 0; i < length.len; i++) {
		if (length.ptr[i] < '0' || length.ptr[i] > '9')
			return -1;
		n = n * 10 + (length.ptr[i] - '0');
	}
	return n;
}

bool head_expects_continue(const struct request_head *h)
{
	return !head_is_1_0(h) &&
	       span_ieq(headers_get(&h->fields, SPAN("Expect")), SPAN("100-continue"));
}

/* Whether `next` is `apart` bytes behind `end`; they needn't be in one object. */
static bool follows(const char *end, size_t apart, const char *next)
{
	return (uintptr_t)end + apart == (uintptr_t)next;
}

static bool is_blank(const char *from, const char *to)
{
	while (from < to && (*from == ' ' || *from == '\t'))
		from++;
	return from == to;
}

bool head_has_gaps(const struct request_head *h, const char *target_at)
{
	const char *end = h->version.ptr + h->version.len;

	if (!follows(h->method.ptr + h->method.len, 1, target_at) ||
	    !follows(target_at + h->target.len, 1, h->version.ptr))
		return true;
	for (size_t i = 0; i < h->fields.count; i++) {
		const struct header *f = &h->fields.fields[i];
		const char *behind_colon = f->name.ptr + f->name.len + 1;

		if (!follows(end, 2, f->name.ptr) || f->value.ptr < behind_colon ||
		    !is_blank(behind_colon, f->value.ptr))
			return true;
		end = f->value.ptr + f->value.len;
		end += strspn(end, " \t"); /* up to the NUL */
	}
	return !follows(h->method.ptr, h->bytes, end + 4);
}
