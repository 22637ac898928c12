/*
 * limited.h - what a response says of its account's limits, and what follows for the line. Private
 * to proxy/.
 *
 *      headers ──> limited_headers()   an answer: a hold that it was to ask about is over
 *      body    ──> limited_body()      the beginning of a refusal is kept
 *      the turn's end ──> limited_end()    judged (request/limits.h), counted, logged; held
 *
 * A hold begins before the turn is given back, so nobody is sent in between.
 */
#pragma once

#include "base/span.h"
#include "proxy/exchange.h"

/* The upstream's status and fields are there. */
void limited_headers(struct exchange *x);

/* Bytes of its body. */
void limited_body(struct exchange *x, const char *data, size_t len);

/* The turn ends. Once; before queue_leave(). */
void limited_end(struct exchange *x);

/*
 * For whoever can't wait as long as a hold lasts: the upstream's own refusal as text, and back.
 * Only the fields that tell of limits are in it.
 */
void limited_write(int status, const struct headers *fields, struct span body, struct buf *to);

struct limited_refusal {
	int status;
	struct header fields[32];
	size_t count;
	struct span body;
};

/* False: the text isn't one of limited_write(). `ret` points into it. */
bool limited_read(struct span text, struct limited_refusal *ret) MUST_USE;
