/*
 * policy.h - may a Redis evict locks and lines when its memory is full? Its maxmemory-policy, which INFO
 * tells whoever may ask for it (CONFIG GET takes more rights).
 */
#pragma once

#include <hiredis/hiredis.h>

#include "base/buf.h"
#include "config/config.h"
#include "config/redis_address.h"
#include "redis/command.h"
#include "redis/tls.h"

void redis_policy_command(struct redis_command *c);

/* The policy, if it is one that evicts, valid as long as the answer; else, or if it isn't told: empty. */
struct span redis_policy_evicting(const redisReply *reply);

/*
 * Asks the server at `address`, and blocks until it has answered, for redis.command_timeout_ms at most (longer
 * where a name server doesn't answer). Appends a line for people to `to` if it may evict; nothing if it
 * can't be asked.
 */
void redis_policy_advise(const struct config *config, const struct redis_address *address,
			 struct redis_tls *tls, struct buf *to);
