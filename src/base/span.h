/*
 * span.h - a string from outside: a pointer and a length, not owned, not terminated.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct span {
	const char *ptr;
	size_t len;
};

#define SPAN(literal) ((struct span){ "" literal, sizeof(literal) - 1 })
#define SPAN_ARG(s)   (int)(s).len, (s).ptr /* for "%.*s" */

/* A terminated string as a span; NULL gives the empty span. */
static inline struct span span_of(const char *s)
{
	return (struct span){ s, s ? strlen(s) : 0 };
}

static inline bool span_eq(struct span a, struct span b)
{
	return a.len == b.len && (!a.len || !memcmp(a.ptr, b.ptr, a.len));
}

/* Equal but for the case of ASCII letters. */
static inline bool span_ieq(struct span a, struct span b)
{
	return a.len == b.len && (!a.len || !strncasecmp(a.ptr, b.ptr, a.len));
}

static inline bool span_starts(struct span s, struct span with)
{
	return s.len >= with.len && span_eq((struct span){ s.ptr, with.len }, with);
}

static inline bool span_ends(struct span s, struct span with)
{
	return s.len >= with.len &&
	       span_eq((struct span){ s.ptr + s.len - with.len, with.len }, with);
}

/* Whether it is one of these: strchr() also finds the NUL at their end. */
static inline bool char_is_in(char c, const char *set)
{
	return c && strchr(set, c);
}

/* Without white space (blank, tab, CR, LF) at both ends. */
static inline struct span span_trim(struct span s)
{
	while (s.len && char_is_in(s.ptr[0], " \t\r\n"))
		s.ptr++, s.len--;
	while (s.len && char_is_in(s.ptr[s.len - 1], " \t\r\n"))
		s.len--;
	return s;
}

/*
 * Takes the next element off a list with separators: `*rest` moves behind the separator (or
 * becomes empty), `*ret` is the element, trimmed; it may be empty. False when nothing is left.
 */
static inline bool span_next(struct span *rest, char separator, struct span *ret)
{
	const char *end;

	if (!rest->ptr)
		return false;
	end = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
	*ret = span_trim((struct span){ rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len });
	*rest = end ? (struct span){ end + 1, rest->len - (size_t)(end - rest->ptr) - 1 }
		    : (struct span){ NULL, 0 };
	return true;
}
