/*
 * reply.h - the response of an exchange goes out. Private to proxy/.
 */
#pragma once

#include "proxy/exchange.h"

/* Answers with the upstream's status and fields; the body is taken from x->download as it comes. */
void reply_with_response(struct exchange *x);

/* Answers with the error that x->outcome stands for. */
void reply_with_error(struct exchange *x);

/* The body, for the listener: as read() of http_server.h. `x` is the exchange. */
ssize_t reply_read(void *x, char *to, size_t max);
