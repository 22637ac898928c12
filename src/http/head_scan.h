/*
 * head_scan.h - a connection's bytes, before their parser has them: are its heads as they should be?
 *
 * For a parser that takes a bare LF for a line's end, drops a NUL, and ends a head at a line of ":"
 * (libmicrohttpd before 1.0). What it makes of two such mistakes can look well-formed: a NUL in place
 * of a line's CR leaves no trace that head_has_gaps() could see. So the bytes are looked at here as
 * well, with nothing in mind but where lines and heads end (RFC 9112, sections 2.1 and 2.2).
 *
 * One read may bring a head, its body and the heads behind it. Whatever is behind a head's end waits
 * until the parser has told how long the body is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum head_scan_state {
	SCAN_HEAD,  /* in one, or before its first byte */
	SCAN_ENDED, /* at its end; the parser hasn't taken it yet */
	SCAN_BODY,
	SCAN_OFF, /* nothing is looked at any more */
};

/* One a connection. A zeroed one is at its begin. */
struct head_scan {
	enum head_scan_state state;
	bool has_read; /* anything, ever: else nobody shows it what is read */
	bool is_odd;   /* the head under way */
	bool cr;       /* its last byte was one */
	size_t line;   /* bytes of its last line so far */
	size_t bytes;  /* of its lines so far, from the request line on */
	uint64_t body_left;

	/* behind the head's end: in the reader's memory, or in `kept` */
	const char *rest;
	size_t rest_len;
	char *kept;
};

/* The parser will have this next. It stays where it is until head_scan_taken() or the next read. */
void head_scan_read(struct head_scan *s, const char *ptr, size_t len);

/*
 * The parser has taken a head of `bytes` bytes, and a body of `body` comes behind it (-1: of unknown
 * length). True if that was a head: its lines end with CRLF and have no other CR, LF or NUL, none is
 * folded or lacks a name, and it ends where the parser says; or if nothing was ever shown to it.
 * Behind one that was none, and behind a body of unknown length, nothing counts as a head any more.
 */
bool head_scan_taken(struct head_scan *s, size_t bytes, int64_t body);

void head_scan_clear(struct head_scan *s);
