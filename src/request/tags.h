/*
 * tags.h - finds the few words in angle brackets that say what a text is for, while it comes piece by
 * piece. Only within a text's first bytes, so that nothing is searched that is long.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "base/span.h"

enum { TAGS_WITHIN = 4096, TAG_MAX = 40 };

/* A set of them. */
enum tail_tag {
	TAIL_TAG_NOTIFICATION = 1,
	TAIL_TAG_TRANSCRIPT = 2,
	TAIL_TAG_LOOP = 4,
};

/* The search in one text. A zeroed one finds nothing. */
struct tags {
	char begun[TAG_MAX]; /* what may become one of the words */
	size_t len;
	size_t left; /* bytes that are still looked at */
};

static inline void tags_begin(struct tags *g)
{
	g->len = 0;
	g->left = TAGS_WITHIN;
}

/* The tag that `text` is; 0: none. `*ret_begins`: it may yet become one. */
static inline unsigned tag_of(struct span text, bool *ret_begins)
{
	static const struct {
		struct span text;
		enum tail_tag tag;
	} words[] = {
		{ { "<task-notification>", 19 }, TAIL_TAG_NOTIFICATION },
		{ { "<transcript>", 12 }, TAIL_TAG_TRANSCRIPT },
		{ { "<command-name>/loop</command-name>", 34 }, TAIL_TAG_LOOP },
	};

	*ret_begins = false;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!span_starts(words[i].text, text))
			continue;
		if (words[i].text.len == text.len)
			return words[i].tag;
		*ret_begins = true;
	}
	return 0;
}

/* The next byte, behind a "<" or one. Of what turns out to be no tag only a "<" can begin another. */
static inline unsigned tags_step(struct tags *g, char c)
{
	bool begins, restart = g->len > 1 && g->begun[g->len - 1] == '<';
	unsigned tag;

	g->begun[g->len++] = c;
	tag = tag_of((struct span){ g->begun, g->len }, &begins);
	if (!begins && !tag && (restart || c == '<')) {
		g->len = 0;
		if (c != '<')
			g->begun[g->len++] = '<';
		g->begun[g->len++] = c;
		tag = tag_of((struct span){ g->begun, g->len }, &begins);
	}
	if (!begins)
		g->len = 0;
	return tag;
}

/* The next bytes of the text: the set of the tags that end there. */
static inline unsigned tags_add(struct tags *g, const char *data, size_t len)
{
	const char *p = data, *end = data + MIN(len, g->left);
	unsigned found = 0;

	g->left -= (size_t)(end - data);
	while (p < end) {
		if (!g->len)
			p = memchr(p, '<', (size_t)(end - p));
		if (!p)
			break;
		found |= tags_step(g, *p++);
	}
	return found;
}
