/*
 * error_reply.h - what a client is told in place of the upstream's response: the outcome's row, and
 * what is known of its own case. Private to proxy/.
 */
#pragma once

#include "proxy/exchange.h"

/*
 * A script on a web page sees no other fields of ours. For answers to requests with Origin (Fetch, "CORS
 * protocol"); whoever may ask is the upstream's to say, and keys are no cookies.
 */
#define EXPOSED_FIELDS "request-id, retry-after, x-should-retry, x-user-message-queue-error"

struct error_reply {
	int status;
	struct field_list fields; /* without those that every response of ours has */
	struct buf body;
	bool is_upstreams;    /* the body is what the upstream said to another one */
	char retry_after[24]; /* that a field points into */
};

/*
 * For x->outcome, which must have a status to be told. Zero `ret`; it points into the exchange, until
 * error_reply_clear().
 */
void error_reply_make(const struct exchange *x, struct error_reply *ret);

/* May be called twice. */
void error_reply_clear(struct error_reply *r);
