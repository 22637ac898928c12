#include "http/head_scan.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Up to the next LF, or to `end`: whether a NUL or a CR is in it that isn't the last byte before the LF. */
static void scan_piece(struct head_scan *s, const char *p, const char *stop)
{
	size_t len = (size_t)(stop - p);
	const char *cr = memchr(p, '\r', len);

	if (!len)
		return;
	if (s->cr || (cr && cr + 1 != stop) || memchr(p, '\0', len))
		s->is_odd = true;
	if (!s->line && s->bytes && strchr(": \t", p[0])) /* folded, or without a name */
		s->is_odd = true;
	s->cr = p[len - 1] == '\r';
	s->line += len;
}

/* A line's LF is here. False at the one of the empty line that ends a head; those before a head are none of it. */
static bool end_line(struct head_scan *s)
{
	bool is_empty = s->line == s->cr;

	if (!s->cr)
		s->is_odd = true;
	if (!is_empty || s->bytes)
		s->bytes += s->line + 1;
	s->line = 0;
	s->cr = false;
	return !is_empty || s->bytes == 0;
}

/* To the head's end, or to `end`. */
static const char *scan_head(struct head_scan *s, const char *p, const char *end)
{
	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));

		scan_piece(s, p, lf ? lf : end);
		if (!lf)
			return end;
		p = lf + 1;
		if (!end_line(s)) {
			s->state = SCAN_ENDED;
			return p;
		}
	}
	return end;
}

static const char *skip_body(struct head_scan *s, const char *p, const char *end)
{
	size_t n = MIN((size_t)(end - p), s->body_left);

	s->body_left -= n;
	if (!s->body_left)
		s->state = SCAN_HEAD;
	return p + n;
}

void head_scan_read(struct head_scan *s, const char *ptr, size_t len)
{
	const char *end = ptr + len;

	s->has_read = true;
	if (s->state == SCAN_ENDED) { /* the parser sees no end there */
		s->is_odd = true;
		s->rest_len = 0;
	}
	while (ptr < end && (s->state == SCAN_HEAD || s->state == SCAN_BODY)) {
		ptr = s->state == SCAN_HEAD ? scan_head(s, ptr, end) : skip_body(s, ptr, end);
		if (s->state == SCAN_ENDED) {
			s->rest = ptr;
			s->rest_len = (size_t)(end - ptr);
		}
	}
}

/* The next head, if it is here already, is parsed when this memory is something else. */
static void keep_rest(struct head_scan *s)
{
	if (s->state != SCAN_ENDED || !s->rest_len)
		return;
	s->kept = memcpy(xmalloc(s->rest_len), s->rest, s->rest_len);
	s->rest = s->kept;
}

bool head_scan_taken(struct head_scan *s, size_t bytes, int64_t body)
{
	bool good = !s->has_read || (s->state == SCAN_ENDED && !s->is_odd && s->bytes == bytes);
	CLEANUP(freep) char *kept = steal(&s->kept); /* while it is read */
	const char *rest = s->rest;
	size_t len = s->state == SCAN_ENDED ? s->rest_len : 0;

	s->is_odd = false;
	s->bytes = s->rest_len = 0;
	s->state = !good || body < 0 ? SCAN_OFF : body ? SCAN_BODY : SCAN_HEAD;
	s->body_left = body < 0 ? 0 : (uint64_t)body;
	if (len) {
		head_scan_read(s, rest, len);
		keep_rest(s);
	}
	return good;
}

void head_scan_clear(struct head_scan *s)
{
	free(s->kept);
	*s = (struct head_scan){ 0 };
}
