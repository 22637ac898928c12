#include "request/api_error.h"

#include <ctype.h>

#include "base/mem.h"

enum { DEPTH_MAX = 3 };

/* The keys that matter. Where one stands decides what it is. */
enum key { KEY_OTHER, KEY_ERROR, KEY_TYPE, KEY_MESSAGE, KEY_DETAILS, KEY_CODE, KEY_REQUEST };

static const struct {
	struct span name;
	enum key key;
} keys[] = {
	{ { "error", 5 }, KEY_ERROR },         { { "type", 4 }, KEY_TYPE },
	{ { "message", 7 }, KEY_MESSAGE },     { { "details", 7 }, KEY_DETAILS },
	{ { "error_code", 10 }, KEY_CODE },    { { "code", 4 }, KEY_CODE },
	{ { "request_id", 10 }, KEY_REQUEST },
};

struct scan {
	const char *at, *end;
	size_t depth;                 /* of objects and lists; 0: outside */
	enum key path[DEPTH_MAX + 1]; /* path[n]: the key at depth n */
	char text[API_ERROR_MESSAGE]; /* the last string */
	struct api_error *error;
};

static enum key key_of(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (span_eq(span_of(text), keys[i].name))
			return keys[i].key;
	}
	return KEY_OTHER;
}

/* Of an escape, what stands behind the backslash; s->at is there. */
static char unescaped(struct scan *s)
{
	if (*s->at == 'u') {
		s->at += MIN(s->end - s->at - 1, 4);
		return '?';
	}
	return strchr("bfnrt", *s->at) ? ' ' : *s->at;
}

/* s->at is behind its first quote, and then behind its last one or at the end. */
static void read_string(struct scan *s)
{
	size_t n = 0;

	for (; s->at < s->end && *s->at != '"'; s->at++) {
		char c = *s->at;

		if (c == '\\' && ++s->at < s->end)
			c = unescaped(s);
		if (s->at == s->end)
			break;
		if (n + 1 < sizeof s->text)
			s->text[n++] = isprint((unsigned char)c) ? c : '?';
	}
	s->text[n] = '\0';
	s->at += s->at < s->end;
}

static void keep(struct scan *s, char *to, size_t size)
{
	size_t n = MIN(strlen(s->text), size - 1);

	memcpy(to, s->text, n);
	to[n] = '\0';
}

static void on_value_in_error(struct scan *s)
{
	struct api_error *e = s->error;
	enum key key = s->path[2];

	if (s->depth == 3 && key == KEY_DETAILS && s->path[3] == KEY_CODE)
		keep(s, e->code, sizeof e->code);
	if (s->depth != 2)
		return;
	if (key == KEY_TYPE)
		keep(s, e->type, sizeof e->type);
	else if (key == KEY_MESSAGE)
		keep(s, e->message, sizeof e->message);
	else if (key == KEY_CODE && !e->code[0])
		keep(s, e->code, sizeof e->code);
}

static void on_value(struct scan *s)
{
	struct api_error *e = s->error;
	enum key top = s->path[1];

	if (s->depth > 1 && s->depth <= DEPTH_MAX && top == KEY_ERROR)
		on_value_in_error(s);
	if (s->depth != 1)
		return;
	if (top == KEY_TYPE)
		e->is_api = !strcmp(s->text, "error");
	else if (top == KEY_REQUEST)
		e->has_request = span_starts(span_of(s->text), SPAN("req_"));
	else if ((top == KEY_ERROR || top == KEY_MESSAGE) && !e->message[0])
		keep(s, e->message, sizeof e->message);
}

static void on_string(struct scan *s)
{
	read_string(s);
	while (s->at < s->end && isspace((unsigned char)*s->at))
		s->at++;
	if (s->at < s->end && *s->at == ':') {
		if (s->depth <= DEPTH_MAX)
			s->path[s->depth] = key_of(s->text);
	} else {
		on_value(s);
	}
}

void api_error_read(struct span text, struct api_error *ret)
{
	struct scan s = { .at = text.ptr, .end = text.ptr + text.len, .error = ret };

	*ret = (struct api_error){ 0 };
	while (text.len && s.at < s.end) {
		char c = *s.at++;

		if (c == '"')
			on_string(&s);
		else if (c == '{' || c == '[')
			s.depth++;
		else if ((c == '}' || c == ']') && s.depth)
			s.depth--;
		if (strchr("{[,", c) && c && s.depth <= DEPTH_MAX)
			s.path[s.depth] = KEY_OTHER;
	}
	ret->is_api = ret->is_api && ret->type[0];
}
