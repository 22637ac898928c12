/*
 * reference.c - the other opinion. Recursive, with a tree, and without any cleverness.
 */
#include "reference.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct reader {
	const char *p, *end;
	int depth;
	bool deep;
};

static struct node *read_value(struct reader *r);

static void skip_white(struct reader *r)
{
	while (r->p < r->end && strchr(" \t\r\n", *r->p) && *r->p)
		r->p++;
}

static bool take(struct reader *r, char c)
{
	if (r->p == r->end || *r->p != c)
		return false;
	r->p++;
	return true;
}

static bool take_word(struct reader *r, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0)
		return false;
	r->p += n;
	return true;
}

static size_t take_digits(struct reader *r)
{
	const char *from = r->p;

	while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
		r->p++;
	return (size_t)(r->p - from);
}

static bool read_number(struct reader *r)
{
	take(r, '-');
	if (!take(r, '0') && !take_digits(r))
		return false;
	if (take(r, '.') && !take_digits(r))
		return false;
	if (take(r, 'e') || take(r, 'E')) {
		if (!take(r, '+'))
			take(r, '-');
		return take_digits(r) != 0;
	}
	return true;
}

static bool read_hex(struct reader *r, unsigned *ret)
{
	char digits[5] = "", *end;

	if (r->end - r->p < 4)
		return false;
	memcpy(digits, r->p, 4);
	if (strspn(digits, "0123456789abcdefABCDEF") != 4)
		return false;
	*ret = (unsigned)strtoul(digits, &end, 16);
	r->p += 4;
	return true;
}

/* As UTF-8; surrogates each on their own, which no word of ours contains. */
static void put_code(struct node *n, unsigned code)
{
	if (code < 0x80) {
		n->string[n->length++] = (char)code;
	} else if (code < 0x800) {
		n->string[n->length++] = (char)(0xc0 | code >> 6);
		n->string[n->length++] = (char)(0x80 | (code & 0x3f));
	} else {
		n->string[n->length++] = (char)(0xe0 | code >> 12);
		n->string[n->length++] = (char)(0x80 | (code >> 6 & 0x3f));
		n->string[n->length++] = (char)(0x80 | (code & 0x3f));
	}
}

static bool read_escape(struct reader *r, struct node *n)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *found;
	unsigned code;

	if (r->p == r->end)
		return false;
	if (take(r, 'u')) {
		if (!read_hex(r, &code))
			return false;
		put_code(n, code);
		return true;
	}
	found = *r->p ? strchr(from, *r->p) : NULL;
	if (!found)
		return false;
	n->string[n->length++] = to[found - from];
	r->p++;
	return true;
}

static bool read_string(struct reader *r, struct node *n)
{
	if (!take(r, '"'))
		return false;
	n->type = NODE_STRING;
	n->string = xmalloc((size_t)(r->end - r->p) + 1);
	for (;;) {
		if (r->p == r->end || (unsigned char)*r->p < 0x20)
			return false;
		if (take(r, '"'))
			break;
		if (take(r, '\\')) {
			if (!read_escape(r, n))
				return false;
		} else {
			n->string[n->length++] = *r->p++;
		}
	}
	n->string = xrealloc(n->string, n->length + 1);
	return true;
}

static bool read_member(struct reader *r, struct node *n)
{
	struct member *m;

	n->members = xrealloc(n->members, (n->count + 1) * sizeof *n->members);
	m = &n->members[n->count++];
	*m = (struct member){ 0 };
	skip_white(r);
	if (n->type == NODE_OBJECT) {
		m->name = xcalloc(1, sizeof *m->name);
		if (!read_string(r, m->name))
			return false;
		skip_white(r);
		if (!take(r, ':'))
			return false;
		skip_white(r);
	}
	m->value = read_value(r);
	return m->value != NULL;
}

static bool read_container(struct reader *r, struct node *n)
{
	char closing = *r->p == '{' ? '}' : ']';

	n->type = *r->p++ == '{' ? NODE_OBJECT : NODE_ARRAY;
	skip_white(r);
	if (take(r, closing))
		return true;
	do {
		if (!read_member(r, n))
			return false;
		skip_white(r);
	} while (take(r, ','));
	return take(r, closing);
}

static bool read_scalar(struct reader *r, struct node *n)
{
	if (*r->p == '"')
		return read_string(r, n);
	if (take_word(r, "null"))
		return n->type = NODE_NULL, true;
	if (take_word(r, "true") || take_word(r, "false"))
		return n->type = NODE_BOOL, true;
	n->type = NODE_NUMBER;
	return read_number(r);
}

static struct node *read_value(struct reader *r)
{
	struct node *n = xcalloc(1, sizeof *n);
	bool ok = false;

	n->begin = r->p;
	if (r->depth == REFERENCE_DEPTH_MAX) {
		r->deep = true;
	} else if (r->p < r->end) {
		r->depth++;
		ok = *r->p == '{' || *r->p == '[' ? read_container(r, n) : read_scalar(r, n);
		r->depth--;
	}
	n->end = r->p;
	if (ok)
		return n;
	node_free(n);
	return NULL;
}

struct node *reference_parse(const char *data, size_t len, bool *ret_deep)
{
	struct reader r = { .p = data, .end = data + len };
	struct node *root;

	take_word(&r, "\xef\xbb\xbf");
	skip_white(&r);
	root = read_value(&r);
	skip_white(&r);
	*ret_deep = r.deep;
	if (root && r.p == r.end)
		return root;
	node_free(root);
	return NULL;
}

void node_free(struct node *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->count; i++) {
		node_free(n->members[i].name);
		node_free(n->members[i].value);
	}
	free(n->members);
	free(n->string);
	free(n);
}

static bool is_string(const struct node *n, const char *s)
{
	return n && n->type == NODE_STRING && n->length == strlen(s) &&
	       !memcmp(n->string, s, n->length);
}

const struct node *node_get(const struct node *object, const char *name)
{
	if (!object || object->type != NODE_OBJECT)
		return NULL;
	for (size_t i = object->count; i > 0; i--) {
		if (is_string(object->members[i - 1].name, name))
			return object->members[i - 1].value;
	}
	return NULL;
}

static bool is_tool_result(const struct node *block)
{
	const struct node *type = node_get(block, "type");
	const size_t suffix = strlen("_tool_result");

	if (is_string(type, "tool_result") || is_string(type, "tool_use_result"))
		return true;
	return type && type->type == NODE_STRING && type->length >= suffix &&
	       !memcmp(type->string + type->length - suffix, "_tool_result", suffix);
}

static enum request_reason content_reason(const struct node *content)
{
	if (!content || content->type == NODE_NULL)
		return REASON_NO_CONTENT;
	if (content->type == NODE_STRING)
		return REASON_TEXT;
	if (content->type != NODE_ARRAY)
		return REASON_ODD_CONTENT;
	for (size_t i = 0; i < content->count; i++) {
		if (is_tool_result(content->members[i].value))
			return REASON_TOOL_RESULT;
	}
	return REASON_BLOCKS;
}

/* The last message that isn't a system message; NULL if there is none. */
static const struct node *last_message(const struct node *messages)
{
	size_t n = messages && messages->type == NODE_ARRAY ? messages->count : 0;

	while (n && is_string(node_get(messages->members[n - 1].value, "role"), "system"))
		n--;
	return n ? messages->members[n - 1].value : NULL;
}

static bool is_text(const struct node *n)
{
	static const char reminder[] = "<system-reminder>";

	return n && n->type == NODE_STRING && n->length &&
	       (n->length < strlen(reminder) || memcmp(n->string, reminder, strlen(reminder)) != 0);
}

const struct node *reference_text(const struct node *root)
{
	const struct node *content = node_get(last_message(node_get(root, "messages")), "content");

	if (content && content->type == NODE_STRING)
		return content;
	for (size_t i = content && content->type == NODE_ARRAY ? content->count : 0; i > 0; i--) {
		const struct node *text = node_get(content->members[i - 1].value, "text");

		if (is_text(text))
			return text;
	}
	return NULL;
}

enum request_reason reference_reason(const struct node *root)
{
	const struct node *messages = node_get(root, "messages"), *last;

	if (!root)
		return REASON_NOT_JSON;
	if (!messages || messages->type != NODE_ARRAY || !messages->count)
		return REASON_NO_MESSAGES;
	last = last_message(messages);
	if (!last)
		return REASON_ONLY_SYSTEM;
	if (last->type != NODE_OBJECT)
		return REASON_NOT_AN_OBJECT;
	if (!is_string(node_get(last, "role"), "user"))
		return REASON_OTHER_ROLE;
	return content_reason(node_get(last, "content"));
}
