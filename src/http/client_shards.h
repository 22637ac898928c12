/*
 * client_shards.h - transfers, in shards of bounded size, each with connections of its own.
 *
 * libcurl searches the list of a host's connections for each transfer: with thousands under way
 * this was most of all CPU. So no multi handle has more than a shard's worth. A small load uses one
 * shard, and the connections that it keeps. A shard that nobody has used for a while is closed with
 * its connections; the last one stays.
 *
 * What a shard has, only http_client.c knows.
 */
#pragma once

#include "base/loop.h"
#include "http/shards.h"

struct client_shards;

/* Lives in whatever has the connections. */
struct client_shard {
	struct shard shard; /* of transfers */
	struct client_shards *shards;
	struct timer *closing; /* runs while there are none */
};

struct client_shard_options {
	int max;         /* transfers in a shard */
	int64_t keep_ms; /* after its last transfer */
	struct client_shard *(*open)(void *ctx);
	void (*close)(struct client_shard *shard);
	void *ctx;
};

/* Without a shard. */
struct client_shards *client_shards_new(struct loop *loop,
					const struct client_shard_options *options) MUST_USE;

/* Closes all; there is no transfer in any. Takes NULL. */
void client_shards_free(struct client_shards *s);

/* For one transfer more: the shard that it belongs to until client_shard_leave(). */
struct client_shard *client_shards_join(struct client_shards *s) MUST_USE;
void client_shard_leave(struct client_shard *shard);
