/*
 * server_shards.h - the connections of a listener, in shards of bounded size, each served by a
 * daemon of its own.
 *
 * libmicrohttpd walks all suspended connections of a daemon at each resume: with 10,000 that wait,
 * this was more than half of all CPU. And one run of a daemon serves all of its connections that are
 * ready, however long it takes. So no daemon has more than SERVER_SHARD_MAX. All daemons run on the
 * one loop, in order, until its turn is late (loop.h); a shard once opened stays.
 *
 * What a daemon is, only http_server.c knows.
 */
#pragma once

#include <stdbool.h>

#include "base/loop.h"
#include "http/shards.h"
#include "net/watch.h"

enum { SERVER_SHARD_MAX = 64 };

struct server_shards;

struct server_shard {
	struct shard shard; /* of connections */
	struct server_shards *shards;
	void *daemon;
	struct watch *poll;
	struct job run_job;
	unsigned runs; /* so far */
};

struct server_shard_service {
	/* A daemon, and the descriptor that is readable when it should run; NULL: impossible. */
	void *(*open)(void *ctx, struct server_shard *shard, int *ret_fd);

	/* Runs it once; true if it has more to do at once. */
	bool (*run)(void *daemon);

	void (*close)(void *daemon);
};

/* With one shard. NULL if no daemon can be opened. */
struct server_shards *server_shards_new(struct loop *loop,
					const struct server_shard_service *service, void *ctx)
	MUST_USE;

/* Closes all daemons; there are no requests under way. Takes NULL. */
void server_shards_free(struct server_shards *s);

/* The context of server_shards_new(). */
void *server_shard_context(const struct server_shard *shard);

/*
 * Where the next connection goes; may open a shard. NULL: none has room, and none can be opened.
 */
struct server_shard *server_shards_choose(struct server_shards *s);

/* A connection came in, or was closed. */
void server_shard_joined(struct server_shard *shard);
void server_shard_left(struct server_shard *shard);

/* Something is to be done there that the descriptor doesn't tell: runs before the loop blocks. */
void server_shard_run(struct server_shard *shard);
void server_shards_run(struct server_shards *s); /* all of them */

/* Whether it has more to do than it could do so far. */
bool server_shard_is_busy(const struct server_shard *shard) MUST_USE;

/* How often its daemon has run, each time for all connections that were ready; wraps. */
unsigned server_shard_runs(const struct server_shard *shard) MUST_USE;
