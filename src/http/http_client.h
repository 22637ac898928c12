/*
 * http_client.h - connections to the upstream: libcurl's multi interface on the loop.
 *
 *      loop ──> on_socket / on_timeout ──> curl_multi_socket_action() ──> the caller's callbacks
 *                                                    │
 *                                               ended handles ──> ended()
 *
 * Knows where to connect and how, and which sockets there are; what is asked for is the caller's
 * (upstream.c, reach.c). Connections are kept and reused. No multi handle has too many of them to
 * search (client_shards.h); a socket stays registered in the loop while its connection is idle
 * (sockets.h); easy handles are reused where that is safe (easies.h).
 *
 * A new connection resolves the upstream's name anew: what had an address before may be another
 * one's by now. And each has keep-alive probes, so that a peer that has vanished is noticed.
 */
#pragma once

#include "base/loop.h"
#include "base/span.h"
#include "config/config.h"
#include "http/easies.h"

struct http_client;

/* One use of an easy handle. `curl` is for options; see easies.h. */
struct http_call {
	struct easy *easy; /* NULL once it is over */
	struct multi *multi;
	int fd;       /* of the socket that it used last, which may be closed; -1: of none */
	int own_port; /* and our end's port; 0: not known, or it has none */
	/* It has ended, by itself. From within curl's caller: may start it again, or end it. */
	void (*ended)(struct http_call *call, CURLcode code);
};

/* Handles of one multi handle, which has two descriptors of its own: see client_shards.h. */
enum { HTTP_CLIENT_SHARD_MAX = 128 };

/* `config` is read at each call (reload) and outlives the client. Doesn't connect yet. */
struct http_client *http_client_new(struct loop *loop, const struct config *config) MUST_USE;

/* There must be no call left. Takes NULL. */
void http_client_free(struct http_client *c);

/*
 * Whether requests are given to a proxy in absolute-form (RFC 9112, section 3.2.2): plain http by an
 * HTTP proxy. Else they go through a tunnel, if there is a proxy at all.
 */
bool http_client_asks_proxy(const struct config *config);

/* Prepares one: where to is set, what is asked for is the caller's to set. `ended` is filled in. */
void http_call_open(struct http_call *call, struct http_client *c);

/* From now on curl calls back. */
void http_call_start(struct http_call *call);

/* The same once more, on a new connection. From ended(). */
void http_call_start_again(struct http_call *call);

/*
 * Its connection is there, with that port at our end, and is about to be used: from
 * CURLOPT_PREREQFUNCTION. On a kept one curl may send, and find it reset, before it tells anybody
 * which socket that is.
 */
void http_call_connected(struct http_call *call, int own_port);

/* What a callback paused goes on. Not from within one. */
void http_call_resume(struct http_call *call);

/*
 * What had come in over its connection when that was closed, and was never read; from ended(), for
 * the call whose connection it was. Empty if there was nothing.
 */
struct span http_call_last_words(const struct http_call *call);

/* Takes it out of curl, over or not; nothing is heard any more. May be called twice. */
void http_call_close(struct http_call *call);
