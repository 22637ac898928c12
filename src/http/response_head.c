#include "http/response_head.h"

#include <stdlib.h>

#include "http/strict.h"

/* "HTTP/1.1 200 …": a new block of fields begins (RFC 9112, section 4). */
static const char *begin(struct response_head *h, struct span line)
{
	int status = 0;

	h->lines.len = 0;
	if (line.len < 13 || !span_starts(line, SPAN("HTTP/1.")) || line.ptr[8] != ' ' ||
	    !char_is_in(line.ptr[12], " \r\n"))
		return "bad status line";
	for (int i = 9; i < 12; i++) {
		if (line.ptr[i] < '0' || line.ptr[i] > '9')
			return "bad status line";
		status = 10 * status + line.ptr[i] - '0';
	}
	h->is_1_0 = line.ptr[7] == '0';
	h->status = status;
	h->begun = true;
	return status < 100 ? "bad status" : NULL;
}

/*
 * White space behind the name is taken off (RFC 9112, section 5.1), nothing else put right; a line
 * without a colon becomes a field without a name, which nobody believes.
 */
static struct header parse_field(struct span line)
{
	const char *colon = line.len ? memchr(line.ptr, ':', line.len) : NULL;
	size_t n = colon ? (size_t)(colon - line.ptr) : line.len;
	struct header f = { { line.ptr, colon ? n : 0 }, { line.ptr + line.len, 0 } };

	while (f.name.len && char_is_in(f.name.ptr[f.name.len - 1], " \t"))
		f.name.len--;
	if (colon)
		f.value = span_trim((struct span){ colon + 1, line.len - n - 1 });
	return f;
}

static void parse_fields(struct response_head *h)
{
	const char *at = buf_str(&h->lines), *end = at + h->lines.len, *newline;
	struct header *fields;
	size_t count = 0;

	for (size_t i = 0; i < h->lines.len; i++)
		count += at[i] == '\n';
	fields = xcalloc(count + 1, sizeof *fields);
	count = 0;
	while (at < end && (newline = memchr(at, '\n', (size_t)(end - at)))) {
		struct span line = { at, (size_t)(newline - at) };

		if (line.len && line.ptr[line.len - 1] == '\r')
			line.len--;
		fields[count++] = parse_field(line);
		at = newline + 1;
	}
	h->fields = (struct headers){ fields, count };
}

static const char *end(struct response_head *h)
{
	const char *why = NULL;

	parse_fields(h);
	h->done = !strict_response(&h->fields, h->is_1_0, &why);
	return why;
}

const char *response_head_line(struct response_head *h, struct span line)
{
	h->bytes += (int64_t)line.len;
	if (h->bytes > h->max_bytes)
		return "too large";
	if (line.len && (line.ptr[0] == ' ' || line.ptr[0] == '\t'))
		return "folded line";
	if (line.len && line.ptr[0] == '\r' && !span_eq(line, SPAN("\r\n")))
		return "stray CR"; /* curl takes it for the end */
	if (h->done)
		return NULL; /* a trailer: the client isn't promised any */
	if (!h->begun)
		return begin(h, line);
	if (span_trim(line).len) {
		buf_append(&h->lines, line.ptr, line.len);
		return NULL;
	}
	h->begun = false;
	if (h->status >= 200)
		return end(h);
	return h->status == 101 ? "101 that nobody asked for" : NULL;
}

void response_head_clear(struct response_head *h)
{
	buf_clear(&h->lines);
	free((void *)h->fields.fields);
	*h = (struct response_head){ 0 };
}
