/*
 * sweep.h - puts in order what crashes left in Redis.
 *
 * At start-up (queue.startup_cleanup): places and turns of earlier boots of this instance whose
 * live key is gone; the keys of a process that lives are never touched, even if it carries our
 * instance's name by mistake. Every queue.cleanup_interval_ms, unless the queue is disabled: locks
 * without a lease, and accounts in the index that nobody uses any more.
 * It finds accounts in the index, never with SCAN or KEYS.
 */
#pragma once

#include "config/config.h"
#include "queue/redis/scripts.h"
#include "redis/call.h"

struct sweep;

/* `fn` gets every answer of sweep.lua: turns may be handed to our own waiters, see sweep.lua. */
typedef void (*sweep_fn)(void *arg, const char *account, const struct script_answer *answer);

/*
 * All outlive it. The periodic cleaning runs from now on. Callbacks come from the loop.
 */
struct sweep *sweep_new(struct loop *loop, const struct config *config,
			const struct redis_names *names, struct redis_caller *caller, sweep_fn fn,
			void *arg) MUST_USE;

/* A link is up: cleans up for start-up, unless all of that was done already. */
void sweep_link_up(struct sweep *s);

/* Takes NULL. Calls of its own that are open are the caller's, to be cleared right after. */
void sweep_free(struct sweep *s);
