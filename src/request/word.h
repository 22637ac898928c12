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

/* Results of the client's tools, and of the server's ("web_search_tool_result"). */
static inline bool word_is_tool_result(const struct tail_word *w)
{
	return word_is(w, SPAN("tool_result")) || word_is(w, SPAN("tool_use_result")) ||
	       word_ends(w, SPAN("_tool_result"));
}
