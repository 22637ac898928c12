/*
 * lobby.h - the connections of a listener, but for what is said on them: who comes in (door.h), who
 * sits idle and for how long (lounge.h), and how it ends.
 *
 * How a listener ends is always one of three ways:
 *
 *      LOBBY_CUT       no more connections; idle ones are closed now, the others after their response
 *      LOBBY_RETIRE    no more connections, after those that the kernel has accepted already; idle
 *                      ones stay until their client asks for something or idle_timeout_ms is over, as
 *                      closing one may meet a request that is on its way
 *      LOBBY_HAND_OVER the same, but the listening socket is somebody else's now: it stays open
 *
 * Each may follow a milder one. In all of them a response says "Connection: close".
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "net/door.h"
#include "net/lounge.h"
#include "net/tls.h"

struct lobby;

enum lobby_end { LOBBY_OPEN, LOBBY_HAND_OVER, LOBBY_RETIRE, LOBBY_CUT };

struct lobby_options {
	struct door_options
		door; /* `prepare`, `arrived` as there; `left` follows for each that it took */
	const int64_t *header_timeout_ms, *idle_timeout_ms, *stall_timeout_ms;
	struct tls_identity *identity; /* with TLS; the lobby's from now on; NULL: without */

	/* A connection is closed, and isn't counted any more. NULL: not interested. */
	void (*left)(void *arg);

	/*
	 * Not NULL: when it is full, the one that is idle for longest is closed in favour of who
	 * comes. If none is idle this is called, which may cut one; returns whether it did.
	 */
	bool (*crowded)(void *arg);
	void *arg;
};

/* As door_open(). */
int lobby_open(struct loop *loop, const struct lobby_options *options, struct buf *errors,
	       struct lobby **ret) MUST_USE;

/* The seat's connection is idle: new, or between two requests. lounge_leave() ends that. */
void lobby_sit(struct lobby *l, struct seat *seat, bool is_new);

/*
 * The descriptor of a connection from that address is about to be closed. `left` follows, with TLS
 * when the client has all that was written.
 */
void lobby_leave(struct lobby *l, int fd, const char *address);

/* Cuts a connection so that what was sent can't be taken for all: by a reset. */
void lobby_reset(struct lobby *l, int fd);

/* Another certificate for those who come from now on. Takes ownership; only if there was one. */
void lobby_use(struct lobby *l, struct tls_identity *identity);

void lobby_quiesce(struct lobby *l, enum lobby_end how);

/* Whether it ends, in whatever way. */
bool lobby_is_ending(const struct lobby *l);

/* Shuts down the sockets of all who are idle, and with TLS doesn't wait for who doesn't read. */
void lobby_cut_idle(struct lobby *l);

/* Where it listens, with the real port; and on which descriptor, -1 when it doesn't any more. */
const char *lobby_address(const struct lobby *l);
int lobby_descriptor(const struct lobby *l);

/* Connections that are open now. */
int64_t lobby_connections(const struct lobby *l);

struct lobby_stats {
	struct door_stats door;
	struct tls_stats tls;
	int64_t header_timeouts, idle_timeouts; /* connections closed by these limits */
};
void lobby_stats(const struct lobby *l, struct lobby_stats *ret);

/* Everybody must have left. Takes NULL. */
void lobby_free(struct lobby *l);
