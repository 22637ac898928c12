/*
 * word.h - the end of a string that comes piece by piece, and whether it is a word of ours. A
 * zeroed struct tail_word (tail.h) is the empty string.
 */
#pragma once

#include "request/tail.h"

static inline void word_add(struct tail_word *w, const char *data, size_t len)
{
	w->total += len;
	if (len > TAIL_WORD_MAX) {
		data += len - TAIL_WORD_MAX;
		len = TAIL_WORD_MAX;
	}
	if (w->used + len > sizeof w->last) {
		memmove(w->last, w->last + w->used - TAIL_WORD_MAX, TAIL_WORD_MAX);
		w->used = TAIL_WORD_MAX;
	}
	memcpy(w->last + w->used, data, len);
	w->used += len;
}

static inline bool word_is(const struct tail_word *w, struct span s)
{
	return w->total == s.len && !memcmp(w->last, s.ptr, s.len);
}

static inline bool word_ends(const struct tail_word *w, struct span s)
{
	return w->total >= s.len && !memcmp(w->last + w->used - s.len, s.ptr, s.len);
}

/*
 * Whether it is `s` to a parser that ignores case as Go's encoding/json does: "ſ" (U+017F) is an "s"
 * there, too. Written as an escape that arrives here as 0xff (tail.c), as do other letters beyond
 * ASCII; a word that only might be ours counts.
 */
static inline bool word_folds(const struct tail_word *w, struct span s)
{
	const char *p = w->last, *end = w->last + w->used;
	size_t n = 0;

	if (w->total > w->used)
		return false;
	for (; n < s.len && p < end; n++, p++) {
		bool lower_s = s.ptr[n] == 's';

		if (lower_s && end - p >= 2 && p[0] == '\xc5' && p[1] == '\xbf')
			p++;
		else if (!(lower_s && *p == '\xff') && (*p | 0x20) != s.ptr[n])
			return false;
	}
	return n == s.len && p == end;
}

/* Results of the client's tools, and of the server's ("web_search_tool_result"). */
static inline bool word_is_tool_result(const struct tail_word *w)
{
	return word_is(w, SPAN("tool_result")) || word_is(w, SPAN("tool_use_result")) ||
	       word_ends(w, SPAN("_tool_result"));
}
