/*
 * forwarding.h - the upstream is asked for an exchange. Private to proxy/.
 *
 *      begin ──> transfer ──couldn't connect──> parked ──it is back──> transfer ──> ...
 *                   │                              └─ upstream.connect_retry_ms after the begin: 502
 *                   └──refused, see queue.retry──> parked ──its pause is over──> transfer ──> ...
 *
 * Of what is parked nothing is under way: it keeps its turn, and its client is watched as ever. What
 * was sent is sent again only after a refusal that says that nothing was done.
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

/*
 * The upstream's status is there. Whether its response is for the client: then it was counted. If not,
 * it is parked, or the exchange is poked when more is known.
 */
bool forwarding_is_answered(struct exchange *x) MUST_USE;

/* Whether more of a streamed body is to be kept in x->upload: there is, or may be, who takes it. */
bool forwarding_wants_body(const struct exchange *x);

bool forwarding_is_parked(const struct exchange *x);

/* Asks again if it is time; otherwise the exchange is poked when it may be. False: it was too long. */
bool forwarding_go_on(struct exchange *x) MUST_USE;

/* The upstream can be reached again: pokes those that are parked. Takes the struct proxy. */
void forwarding_upstream_is_back(void *proxy);
