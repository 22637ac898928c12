/*
 * lanes.h - transfers, in lanes of bounded size, each with connections of its own.
 *
 * libcurl searches the list of a host's connections for each transfer: with thousands under way
 * this was most of all CPU. So no multi handle has more than a lane's worth. A small load uses one
 * lane, and the connections that it keeps; one that nobody has used for a while is closed, with its
 * connections, but for the last.
 *
 * What a lane has, only upstream.c knows.
 */
#pragma once

#include "base/loop.h"
#include "net/groups.h"

struct lanes;

/* Lives in whatever has the connections. */
struct lane {
	struct group group; /* of transfers */
	struct lanes *lanes;
	struct timer *closing; /* runs while there are none */
};

struct lane_options {
	int max;         /* transfers in a lane */
	int64_t keep_ms; /* after its last transfer */
	struct lane *(*open)(void *ctx);
	void (*close)(struct lane *lane);
	void *ctx;
};

/* Without a lane. */
struct lanes *lanes_new(struct loop *loop, const struct lane_options *options) MUST_USE;

/* Closes all; there is no transfer in any. Takes NULL. */
void lanes_free(struct lanes *l);

/* For one transfer more: the lane that it belongs to until lane_leave(). */
struct lane *lanes_enter(struct lanes *l) MUST_USE;
void lane_leave(struct lane *lane);
