/*
 * reference.h - the other opinion: a plain recursive parser of RFC 8259 and the rule walked over
 * its tree. It shares no code and no idea with src/request but the words of the rule, is as slow
 * as it likes, and allows exactly the laxness that tail.h promises.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "request/reason.h"

enum { REFERENCE_DEPTH_MAX = 3000 };

struct node {
	enum { NODE_NULL, NODE_BOOL, NODE_NUMBER, NODE_STRING, NODE_ARRAY, NODE_OBJECT } type;
	const char *begin, *end; /* its text in the body */
	char *string;            /* decoded, of `length` bytes: of a string */
	size_t length;
	struct member *members; /* of an array (without names) or object */
	size_t count;
};

struct member {
	struct node *name; /* NULL in an array */
	struct node *value;
};

/*
 * The tree, which the caller frees with node_free(). NULL: not JSON, or, with *ret_deep, nested
 * beyond REFERENCE_DEPTH_MAX, where this parser has no opinion.
 */
struct node *reference_parse(const char *data, size_t len, bool *ret_deep);
void node_free(struct node *n);

/* The last member of that name; NULL if there is none, or `object` is NULL or no object. */
const struct node *node_get(const struct node *object, const char *name);

/*
 * The text of the message that counts: its content, or the last string "text" in an object of it
 * that is neither empty nor a <system-reminder>. NULL: there is none.
 */
const struct node *reference_text(const struct node *root);

/* The rule. `root` is NULL for what isn't JSON. */
enum request_reason reference_reason(const struct node *root);
