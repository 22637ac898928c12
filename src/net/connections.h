/*
 * connections.h - the connections of a listener, apart from what is said on them: accepting them
 * (acceptor.h), TLS (tls.h), how long they may be idle (idle.h), and how they end.
 *
 * A listener ends in one of three ways:
 *
 *      CONNECTIONS_TAKEN_OVER  another process listens on our socket, which stays open. Idle
 *                              connections stay until their client asks for something or
 *                              idle_timeout_ms is over, as closing one may meet a request that is
 *                              on its way
 *      CONNECTIONS_RETIRE      the same without another process: what the kernel has accepted is
 *                              taken in, then the socket is closed
 *      CONNECTIONS_CUT         the socket is closed, idle connections are closed now, the others
 *                              after their response
 *
 * Each may follow one above it. In all of them a response says "Connection: close".
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "net/acceptor.h"
#include "net/idle.h"
#include "net/tls.h"

struct connections;

enum connections_end {
	CONNECTIONS_OPEN,
	CONNECTIONS_TAKEN_OVER,
	CONNECTIONS_RETIRE,
	CONNECTIONS_CUT,
};

struct connections_options {
	/* `prepare` and `accepted` as there; `closed` follows for each that was accepted. */
	struct acceptor_options acceptor;
	const int64_t *header_timeout_ms, *idle_timeout_ms, *stall_timeout_ms;
	struct tls_identity *identity; /* with TLS; ours from now on; NULL: without */

	/* A connection is closed, and isn't counted any more. NULL: not interested. */
	void (*closed)(void *arg);

	/*
	 * When all connections are taken, the one that is idle for longest is closed in favour of a
	 * new one, if it is idle for so long and nothing of a request has come on it; -1: none is.
	 */
	int64_t make_room_after_ms;

	/* Then, if none is idle, this is called; returns whether it cut one. NULL: none is cut. */
	bool (*make_room)(void *arg);
	void *arg;
};

/* As acceptor_open(). */
int connections_open(struct loop *loop, const struct connections_options *options,
		     struct buf *errors, struct connections **ret) MUST_USE;

/* The entry's connection is idle: new, or between two requests. idle_entry_remove() ends that. */
void connections_add_idle(struct connections *c, struct idle_entry *entry, bool is_new);

/*
 * The descriptor of a connection from that address is about to be closed. `closed` follows; with
 * TLS, when the client has all that was written.
 */
void connections_closing(struct connections *c, int fd, const char *address);

/* Aborts a connection so that what was sent can't be taken for all: by a reset. */
void connections_reset(struct connections *c, int fd);

/* New connections get this certificate. Takes ownership; only if there was one. */
void connections_use(struct connections *c, struct tls_identity *identity);

void connections_quiesce(struct connections *c, enum connections_end how);

/* Whether it ends, in whatever way. */
bool connections_are_ending(const struct connections *c);

/* Shuts down all idle sockets; with TLS, doesn't wait for clients that don't read. */
void connections_cut_idle(struct connections *c);

/* Where it listens, with the real port; and on which descriptor, -1 when it doesn't any more. */
const char *connections_address(const struct connections *c);
int connections_descriptor(const struct connections *c);

/* How many are open now. */
int64_t connections_count(const struct connections *c);

struct connections_stats {
	struct acceptor_stats acceptor;
	struct tls_stats tls;
	int64_t header_timeouts, idle_timeouts; /* connections closed by these limits */
};
void connections_stats(const struct connections *c, struct connections_stats *ret);

/* All connections must be closed. Takes NULL. */
void connections_free(struct connections *c);
