/*
 * intake.h - the request of an exchange comes in. Private to proxy/.
 */
#pragma once

#include "proxy/exchange.h"

/* Implements the listener's side (http_server.h); ctx is the struct proxy. */
extern const struct http_service intake_service;
