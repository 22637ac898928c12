/*
 * watchdog.h - who doesn't move in time ends the exchange. Private to proxy/.
 *
 * Whoever has to move next, client or upstream, has a limit for it, so that neither a client that stops
 * reading nor an upstream that says nothing keeps a turn:
 *
 *      no byte for listen.stall_timeout_ms where the client is to move        client_stalled
 *      no byte for upstream.request_timeout_ms where the upstream is          upstream_timeout
 *      a request that comes more slowly than listen.min_rate_bytes_s          client_slow
 *      a body that is kept: listen.body_timeout_ms, and its length over       client_slow
 *      listen.body_rate_bytes_s, over
 *
 * Who waits for a turn, or for an upstream that can't be reached, has other limits: the queue's, and
 * forwarding.h's.
 */
#pragma once

#include <stdbool.h>

struct exchange;

/*
 * Watches it from now on. What it finds ends it by exchange_finish(), from a timer of the loop, never within a
 * call. x->watchdog is the exchange's to clear, which ends it; the exchange is new, x->started_ms set.
 */
void watchdog_start(struct exchange *x);

/* A byte came in or went out: the exchange isn't stalled. */
void watchdog_moved(struct exchange *x);

/* It is the client's turn to send, from now on: what came until now doesn't count for its rate. */
void watchdog_rate_anew(struct exchange *x);

/*
 * Whether its client brings its body more slowly than listen.body_rate_bytes_s just now, so that what is
 * kept of it may be needed for others.
 */
bool watchdog_finds_dawdling(const struct exchange *x);
