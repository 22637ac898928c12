/*
 * front.h - between the listener and an exchange: bytes in, bytes out. Private to proxy/.
 */
#pragma once

#include "proxy/exchange.h"

/* Implements the listener's side (http_server.h); ctx is the struct proxy. */
extern const struct http_service front_service;

/* Answers with the upstream's status and fields; the body is taken from x->download as it comes. */
void front_respond(struct exchange *x);

/* Answers with the error that x->outcome stands for. */
void front_respond_error(struct exchange *x);
