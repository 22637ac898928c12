/*
 * proxy.h - the proxy as a whole: listener, exchanges, upstream.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/loop.h"
#include "config/config.h"
#include "net/connections.h"
#include "net/takeover_client.h"
#include "queue/queue.h"

struct proxy;

/*
 * Listens on listen.address, with the socket that `takeover` has for it, if any, for at most
 * `max_connections` (see descriptors.h). 0, or -errno and a line in `errors` that says what to do.
 * `config` is read at any time (reload); it, `loop`, `queue` and `takeover` outlive the proxy.
 */
int proxy_new(struct loop *loop, const struct config *config, int64_t max_connections,
	      struct queue *queue, struct takeover_client *takeover, struct buf *errors,
	      struct proxy **ret) MUST_USE;

/* Where it listens, with the real port; and the socket, -1 when it doesn't any more. */
const char *proxy_address(const struct proxy *p);
int proxy_descriptor(const struct proxy *p);

/*
 * Shutdown without loss: no new connections (CONNECTIONS_RETIRE, CONNECTIONS_TAKEN_OVER), but all
 * that came is served, waiters in their turn. `idle` is called once when no connection is left,
 * from the loop; proxy_drain() or proxy_cut() may hurry it.
 */
void proxy_retire(struct proxy *p, enum connections_end how, void (*idle)(void *arg), void *arg);

/*
 * Shutdown, softly: no new connections; who waits for a turn is told that we are shutting down;
 * what has its turn goes on. `idle` is called once when no connection is left, from the loop.
 */
void proxy_drain(struct proxy *p, void (*idle)(void *arg), void *arg);

/* Shutdown, at once: every exchange ends now, every connection is cut. Calls back as above. */
void proxy_cut(struct proxy *p);

/*
 * Loads what listen.tls_cert and listen.tls_key name. 0 and NULL where they are empty, or as
 * tls_identity_new().
 */
int proxy_identity(const struct config *config, struct buf *errors, struct tls_identity **ret)
	MUST_USE;

/* New connections get this certificate. Takes ownership; NULL, where there is no TLS, is fine. */
void proxy_use(struct proxy *p, struct tls_identity *identity);

/* Exchanges that have not ended. */
int64_t proxy_exchanges(const struct proxy *p);

/* Frees a proxy that is idle. Takes NULL. */
void proxy_free(struct proxy *p);
