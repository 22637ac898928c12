/*
 * path.c - does this target lead to an endpoint, however it is spelt?
 *
 * A copy is decoded, in lower case. Then its segments are compared from the end on, without empty
 * ones and ".":
 *
 *      /api//v1/%4Dessages/./   is   /api/v1/messages
 *
 * What ".." and ";" take away depends on the relay: whether "a%2Fb" is one segment or two, whether an
 * empty one counts, whether ";" ends the path. But whatever they take away, the ending's segments
 * stay, whole and in their order; so there it is enough that all of them are found.
 */
#include "request/path.h"

#include <stdlib.h>

#include "base/mem.h"

enum { DECODINGS = 2 }; /* the relay's own, and that of a front between us */

static int hex_digit(char c)
{
	char lower = (char)(c | 0x20);

	if (c >= '0' && c <= '9')
		return c - '0';
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The byte that "%XX" at the begin of `s` stands for, or -1. */
static int encoded_byte(struct span s)
{
	int high = s.len >= 3 && s.ptr[0] == '%' ? hex_digit(s.ptr[1]) : -1;
	int low = high >= 0 ? hex_digit(s.ptr[2]) : -1;

	return low < 0 ? -1 : high << 4 | low;
}

/* Decodes in place, and makes small letters and slashes. */
static void decode(char *text, size_t *len)
{
	size_t n = 0;

	for (size_t i = 0; i < *len; i++) {
		int byte = encoded_byte((struct span){ text + i, *len - i });
		char c = byte < 0 ? text[i] : (char)byte;

		i += byte < 0 ? 0 : 2;
		text[n++] = c == '\\' ? '/' : c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
	}
	*len = n;
}

/* A decoded copy without blanks and control characters at its end. The caller frees it. */
static char *decoded(struct span s, size_t *ret_len)
{
	char *copy = xmalloc(s.len + 1);

	memcpy(copy, s.ptr, s.len);
	*ret_len = s.len;
	for (int i = 0; i < DECODINGS; i++)
		decode(copy, ret_len);
	while (*ret_len && (unsigned char)copy[*ret_len - 1] <= ' ')
		--*ret_len;
	return copy;
}

/* Takes the last segment off that is neither empty nor "."; the empty span: there is none. */
static struct span take_last(struct span *path)
{
	struct span s = { NULL, 0 };

	while (path->len && (!s.len || span_eq(s, SPAN(".")))) {
		size_t at = path->len;

		while (at && path->ptr[at - 1] != '/')
			at--;
		s = (struct span){ path->ptr + at, path->len - at };
		path->len = at ? at - 1 : 0;
	}
	return span_eq(s, SPAN(".")) ? (struct span){ NULL, 0 } : s;
}

static bool ends_with_segments(struct span path, struct span ending)
{
	struct span wanted = take_last(&ending);

	if (!wanted.len)
		return false; /* "/" alone: as it is written, or not at all */
	while (wanted.len && span_eq(wanted, take_last(&path)))
		wanted = take_last(&ending);
	return !wanted.len;
}

/* Whether the ending's segments are found in this order, wherever. */
static bool has_segments(struct span path, struct span ending)
{
	struct span segment;

	while (span_next(&ending, '/', &segment)) {
		const char *at = segment.len ? memmem(path.ptr, path.len, segment.ptr, segment.len)
					     : path.ptr;

		if (!at)
			return false;
		path.len -= (size_t)(at - path.ptr) + segment.len;
		path.ptr = at + segment.len;
	}
	return true;
}

static bool may_end(struct span path, struct span ending)
{
	struct span rest = path, wanted = ending, last = take_last(&rest);
	bool up = span_eq(last, SPAN("..")), cut = path.len && memchr(path.ptr, ';', path.len);

	if (ends_with_segments(path, ending))
		return true;
	if (!cut && !up && !span_eq(last, take_last(&wanted)))
		return false; /* nothing takes this segment away */
	while (rest.len && !up)
		up = span_eq(take_last(&rest), SPAN(".."));
	return (cut || up) && has_segments(path, ending);
}

static bool spelling_ends(struct span path, char *const *endings)
{
	CLEANUP(freep) char *text = NULL;
	bool found = false;
	size_t len;

	text = decoded(path, &len);
	for (; *endings && !found; endings++) {
		size_t n;
		CLEANUP(freep) char *ending = decoded(span_of(*endings), &n);

		found = may_end((struct span){ text, len }, (struct span){ ending, n });
	}
	return found;
}

bool path_ends(struct span target, char *const *endings)
{
	const char *query = target.len ? memchr(target.ptr, '?', target.len) : NULL;

	if (query)
		target.len = (size_t)(query - target.ptr);
	for (char *const *ending = endings; *ending; ending++) {
		if (span_ends(target, span_of(*ending)))
			return true;
	}
	return spelling_ends(target, endings);
}
