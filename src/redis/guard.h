/*
 * guard.h - what hiredis reads is RESP 2, of bounded size, and was asked for.
 *
 * hiredis takes much of it on trust: a reply that nobody asked for, or a message of a channel that
 * has another form, ends the process by an assertion. So the guard stands where its reader makes
 * objects of what it has parsed (redisReplyObjectFunctions), and refuses there, which breaks the
 * connection as a protocol error would.
 *
 * RESP 2: https://redis.io/docs/reference/protocol-spec/
 */
#pragma once

#include <hiredis/hiredis.h>
#include <stdbool.h>

enum { REDIS_REPLY_BYTES_MAX = 64 << 20 };

struct redis_guard {
	redisReplyObjectFunctions fn, *under;
	size_t replies;       /* how many are still to come: who asks counts up */
	size_t confirmations; /* of subscriptions, likewise */
	const char *channel;  /* there may be messages of this one; NULL: none */
	bool is_message;      /* what is being read */
	const char *refusal;  /* what was wrong, static; NULL: nothing so far */
};

/* The guard must stay where it is until the connection has been freed. Zero it first. */
void redis_guard_start(struct redis_guard *g, redisContext *c);

/*
 * SUBSCRIBE is about to be sent: one confirmation more, and from now on messages of that channel, whose
 * name stays where it is as long as the guard; there is one.
 */
void redis_guard_subscribe(struct redis_guard *g, const char *channel);

/* Whether a reply is on its way that is too large to be waited for; then there is a refusal. */
bool redis_guard_is_full(struct redis_guard *g, const redisContext *c);
