/*
 * limited.h - what a response says of its account's limits, and what follows for the line. Private
 * to proxy/.
 *
 *      body    ──> limited_body()      the beginning of a refusal is kept
 *      headers ──> limited_fields()    the quota in view
 *                  limited_next()      to be sent again (queue.retry)? Then judged, counted, logged; held
 *      answer  ──> limited_headers()   a hold that it was to ask about is over
 *      the turn's end ──> limited_end()    judged (request/limits.h), counted, logged; held
 *
 * A hold begins before the turn is given back, so nobody is sent in between.
 */
#pragma once

#include "base/span.h"
#include "proxy/exchange.h"

enum limited_next {
	LIMITED_UNREAD, /* it may be one to be sent again: more of the refusal is needed to tell */
	LIMITED_AGAIN,  /* it is: counted, logged, and the account held where that is wanted */
	LIMITED_ANSWER, /* all else: it is for the client */
};

/*
 * The upstream's status is there; the client has heard nothing of it. `whole`: no more of its body is
 * waited for. With LIMITED_AGAIN, after how long, in ms: 1 or more.
 */
enum limited_next limited_next(struct exchange *x, bool whole, int64_t *ret_pause_ms);

/* The upstream's status is there: its rate fields are kept for operators (quota.h). */
void limited_fields(struct exchange *x);

/* The response goes to the client. */
void limited_headers(struct exchange *x);

/* Bytes of its body. */
void limited_body(struct exchange *x, const char *data, size_t len);

/* The turn ends, or the exchange of one without a turn; before queue_leave(). Only the first counts. */
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
