/*
 * head.h - a request's head as the listener read it, and what it says. Pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/header.h"
#include "base/mem.h"

struct request_head {
	struct span method;
	struct span target;  /* raw, as on the request line */
	struct span path;    /* what to ask an origin server for: target_path() of it */
	struct span version; /* "HTTP/1.1" */
	struct headers fields;
	size_t bytes; /* from the method's first to the empty line's last one */
	bool altered; /* something stood there that isn't in the above: see head_has_gaps() */
};

/*
 * Splits an absolute-form target ("http://host:1/path?query"). False if it has no such form;
 * `ret_path` may be empty or begin with "?" (RFC 9112, section 3.2.2: then the path is "/").
 */
bool target_split(struct span target, struct span *ret_authority, struct span *ret_path);

/* The target with which to ask an origin server: of a URL the path. Owned by the caller. */
char *target_path(const char *target) MUST_USE;

/* Without the blanks around it, which aren't part of a field's value (RFC 9112, section 5). */
struct span value_trim(struct span value);

bool head_is_1_0(const struct request_head *h);
bool head_is_head(const struct request_head *h);    /* its method is HEAD */
bool head_is_chunked(const struct request_head *h); /* any Transfer-Encoding */
bool head_has_body(const struct request_head *h);

/* Of the body behind it; -1: it doesn't say, or not in a way that can be believed (see strict.h). */
int64_t head_body_bytes(const struct request_head *h);

/* Whether the client holds its body back until it hears "100 Continue". */
bool head_expects_continue(const struct request_head *h);

/*
 * For a parser that reads a head where it lies, ends each piece with a NUL and gives out pointers
 * into its memory (libmicrohttpd before 1.0). The pieces of a head that is as it should be (method
 * SP target SP version CRLF, fields of name ":" blanks value CRLF, CRLF) lie one behind
 * another and add up to the length that the parser counted. Whatever it skipped, moved or dropped
 * (doubled spaces, folded lines, what follows a NUL, the CR that a line hasn't) makes a gap: true.
 * `target_at` is where the target lay; its text may have been decoded in place since.
 */
bool head_has_gaps(const struct request_head *h, const char *target_at);
