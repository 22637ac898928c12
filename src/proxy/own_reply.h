/*
 * own_reply.h - what a client is told in place of the upstream's response: the outcome's row, and
 * what is known of its own case. Private to proxy/.
 */
#pragma once

#include "proxy/exchange.h"

/*
 * A script on a web page sees no other fields of ours. For answers to requests with Origin (Fetch, "CORS
 * protocol"); whoever may ask is the upstream's to say, and keys are no cookies.
 */
#define EXPOSED_FIELDS "request-id, retry-after, x-should-retry, x-user-message-queue-error"

struct own_reply {
	int status;
	struct field_list fields; /* without those that every response of ours has */
	struct buf body;
	bool is_upstreams;    /* the body is what the upstream said to another one */
	char retry_after[24]; /* that a field points into */
};

/* Whether there is anything to be told of x->outcome. */
static inline bool own_reply_is_there(const struct exchange *x)
{
	return outcome_info[x->outcome].type || (x->outcome == OUTCOME_LINE_ASKED && x->line);
}

/*
 * For x->outcome, which must have a status to be told. Zero `ret`; it points into the exchange, until
 * own_reply_clear().
 */
void own_reply_make(const struct exchange *x, struct own_reply *ret);

/* May be called twice. */
void own_reply_clear(struct own_reply *r);
