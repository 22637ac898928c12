/*
 * door.h - who may come in: accepts connections, and stops accepting while there are too many.
 *
 * Three limits. In total: more wait in the kernel's queue until one leaves, or is made to. Per
 * address: one more gets the refusal that the caller has for it, and is closed. Descriptors: while the process or
 * the machine has none left, accepting rests and is tried again ten times a second, or when a
 * connection leaves.
 */
#pragma once

#include <stdint.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/loop.h"
#include "net/inheritance.h"

struct door;

enum { DOOR_ADDRESS_MAX = 46 }; /* an IPv6 address with its NUL */

struct door_options {
	const char *name;    /* of the option that the address is from */
	const char *address; /* "host:port", "[v6]:port", "unix:PATH"; port 0: any free one */
	struct inheritance *inheritance; /* may have our socket, and outlives the door; or NULL */
	int64_t max_connections;
	const int64_t *max_per_address; /* 0: no limit; read at each arrival */

	/* Written to who is over max_per_address, unread, before the close. Empty: just closed. */
	struct span refusal;

	/*
	 * Before each accept: sets aside what it takes to serve one more, beside his descriptor. 0
	 * or -errno: then he stays outside, and isn't let in to be thrown out. NULL: it takes
	 * nothing.
	 */
	int (*prepare)(void *arg);

	/*
	 * Somebody has come: a non-blocking descriptor that is the callee's from now on. False if
	 * it couldn't be served (and is closed) for lack of resources, with errno; else door_left()
	 * follows when it is closed.
	 */
	bool (*arrived)(void *arg, int fd, const struct sockaddr *from, socklen_t len);

	/*
	 * All are inside who may be, and somebody waits outside: asks one to leave, who does so
	 * later; door_left() tells of it. May be called again before. False: nobody can be asked
	 * now. NULL: nobody ever is.
	 */
	bool (*full)(void *arg);
	void *arg;
};

struct door_stats {
	int64_t inside;                 /* connections now */
	int64_t arrived, refused;       /* since start; refused: by max_per_address */
	int64_t full, out_of_resources; /* how often accepting had to rest */
};

/*
 * Listens. 0 and a door, or -errno and in `errors` a line that says what to do. Resolves a host
 * name blocking: call it at start. No callback comes before it has returned.
 */
int door_open(struct loop *loop, const struct door_options *options, struct buf *errors,
	      struct door **ret) MUST_USE;

/* Where it listens, with the real port. */
const char *door_address(const struct door *d);

/* A connection that had arrived from `address` (door_name()) is closed. */
void door_left(struct door *d, const char *address);

/* The address as text, without the port; "" for a Unix socket. */
void door_name(const struct sockaddr *from, char ret[DOOR_ADDRESS_MAX]);

/* Lets in who stands outside already (the kernel has accepted them), as the limits allow. */
void door_empty(struct door *d);

/*
 * Nobody arrives any more, and the kernel refuses who tries; unless the socket was handed over and
 * others listen on it, or it is inherited from a process that still does. May be called twice.
 */
void door_shut(struct door *d, bool handed_over);

/* The listening socket; -1 when it is shut. */
int door_descriptor(const struct door *d);

void door_stats(const struct door *d, struct door_stats *ret);

/* Shuts and frees; everybody must have left. Takes NULL. */
void door_free(struct door *d);
