/*
 * acceptor.h - accepts connections, and stops accepting while there are too many.
 *
 * There are three limits. In total: more connections wait in the kernel's queue until one is
 * closed. Per address: one more gets the caller's refusal, and is closed. Descriptors: while the
 * process or the machine has none left, accepting rests; it is tried again ten times a second, and
 * whenever a connection is closed.
 */
#pragma once

#include <stdint.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/loop.h"
#include "net/takeover_client.h"

struct acceptor;

struct acceptor_options {
	const char *name;    /* of the option that the address is from */
	const char *address; /* "host:port", "[v6]:port", "unix:PATH"; port 0: any free one */
	struct takeover_client *takeover; /* may have our socket, and outlives us; or NULL */
	int64_t max_connections;
	const int64_t *max_per_address; /* 0: no limit; read at each accept */

	/* Written to one above max_per_address before the close. Empty: it is only closed. */
	struct span refusal;

	/*
	 * Before each accept: reserves what it takes to serve one connection more, apart from its
	 * own descriptor. 0, or -errno: then the connection stays in the kernel's queue, so that
	 * none is accepted only to be closed. NULL: nothing has to be reserved.
	 */
	int (*prepare)(void *arg);

	/*
	 * A connection was accepted: a non-blocking descriptor that is the callee's from now on.
	 * False if it couldn't be served (and is closed) for lack of resources, with errno; else
	 * acceptor_closed() follows when it is closed.
	 */
	bool (*accepted)(void *arg, int fd, const struct sockaddr *from, socklen_t len);

	/*
	 * max_connections are open and another one waits: asks one of them to close, which happens
	 * later and is told by acceptor_closed(). May be called again before that. False: none can
	 * be asked now. NULL: none ever is.
	 */
	bool (*make_room)(void *arg);
	void *arg;
};

struct acceptor_stats {
	int64_t open;                   /* connections now */
	int64_t accepted, refused;      /* since start; refused: by max_per_address */
	int64_t full, out_of_resources; /* how often accepting had to rest */
};

/*
 * Listens. 0 and an acceptor, or -errno and in `errors` a line that says what to do. Resolves a
 * host name blocking: call it at start. No callback comes before it has returned.
 */
int acceptor_open(struct loop *loop, const struct acceptor_options *options, struct buf *errors,
		  struct acceptor **ret) MUST_USE;

/* Where it listens, with the real port. */
const char *acceptor_address(const struct acceptor *a);

/* An accepted connection from `address` (peer_address()) is closed. */
void acceptor_closed(struct acceptor *a, const char *address);

/* Accepts what is in the kernel's queue now, as the limits allow. */
void acceptor_take_backlog(struct acceptor *a);

/*
 * Accepts no more, and the kernel refuses new connections; unless the socket was `taken_over` and
 * another process listens on it, or it was taken over from a process that still does. May be called
 * twice.
 */
void acceptor_stop(struct acceptor *a, bool taken_over);

/* The listening socket; -1 when it is closed. */
int acceptor_descriptor(const struct acceptor *a);

void acceptor_stats(const struct acceptor *a, struct acceptor_stats *ret);

/* Stops and frees; all connections must be closed. Takes NULL. */
void acceptor_free(struct acceptor *a);
