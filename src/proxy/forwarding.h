/*
 * forwarding.h - the upstream is asked for an exchange. Private to proxy/.
 *
 *      begin ──> transfer ──couldn't connect──> parked ──it is back──> transfer ──> ...
 *                                                  └─ upstream.connect_retry_ms after the begin: 502
 *
 * Of what is parked nothing was sent: it keeps its turn, and its client is watched as ever. One that
 * was sent is never sent again.
 */
#pragma once

#include "proxy/exchange.h"

/* Starts the transfer. */
void forwarding_begin(struct exchange *x);

/*
 * Its transfer couldn't connect: lets go of it, to ask again later. False: it doesn't try again, and
 * the transfer stays.
 */
bool forwarding_park(struct exchange *x) MUST_USE;

/* Whether more of a streamed body is to be kept in x->upload: there is, or may be, who takes it. */
bool forwarding_wants_body(const struct exchange *x);

bool forwarding_is_parked(const struct exchange *x);

/* Asks again if it is time; otherwise the exchange is poked when it may be. False: it was too long. */
bool forwarding_go_on(struct exchange *x) MUST_USE;

/* The upstream can be reached again: pokes those that are parked. Takes the struct proxy. */
void forwarding_upstream_is_back(void *proxy);
