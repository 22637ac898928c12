/*
 * find.h - where Redis is right now: resolves its host's name, or asks sentinels for the
 * master.
 *
 * On libuv's thread pool, so the loop isn't blocked. Sentinels are asked one after the other until
 * one answers, beginning with another one each time:
 * https://redis.io/docs/reference/sentinel-clients/ ("SENTINEL get-master-addr-by-name")
 * Of a name's addresses, the first that takes a connection; for redis.url's own name beginning with
 * another one each time, as they may be several servers.
 * Whether what they name really is the master, who connects finds out: he writes first of all.
 */
#pragma once

#include <netdb.h>

#include "base/loop.h"
#include "config/redis_address.h"

struct redis_find;

struct redis_endpoint {
	char ip[NI_MAXHOST]; /* numeric */
	int port;            /* 0: not known */
};

/* For people: where that address led to. The caller frees. */
char *redis_endpoint_text(const struct redis_address *address,
			  const struct redis_endpoint *endpoint);

/* Called once, from the loop; `endpoint` lives during the call. An error: `error` says what, `endpoint` is
 * NULL. */
typedef void (*redis_found_fn)(void *arg, const char *error, const struct redis_endpoint *endpoint);

/*
 * Starts; never calls back from within. `attempt` counts a caller's searches, to try what there is
 * in turns. `address` is copied. Takes about `timeout_ms` over all sentinels or all addresses; a
 * resolver's time is its own.
 */
struct redis_find *redis_find_start(struct loop *loop, const struct redis_address *address,
				    unsigned attempt, int64_t timeout_ms, redis_found_fn fn,
				    void *arg) MUST_USE;

/* Nothing is heard any more. Takes NULL. */
void redis_find_cancel(struct redis_find *f);
