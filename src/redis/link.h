/*
 * link.h - one connection to Redis on the loop, that comes back by itself.
 *
 *      BACKOFF ──> RESOLVING ──> CONNECTING ──> GREETING ──> UP
 *         ^            │             │             │          │
 *         └────────────┴─────────────┴─────────────┴──────────┘  whatever goes wrong
 *
 * Host names and sentinels are asked on libuv's thread pool (find.h), anew for each attempt,
 * so nothing here blocks and a failover is followed. A link is UP when the
 * server has accepted the login, the database and the greeting: so a server that is frozen, still
 * loading, or a read-only replica never counts as up. Commands are answered in the order in which
 * they were sent, each within `timeout_ms`, that begin anew with each answer before it: a thousand
 * commands at once take a server some time. If nothing is answered for so long, the link is down.
 * hiredis writes with write(), so the process must ignore SIGPIPE.
 */
#pragma once

#include <hiredis/hiredis.h>

#include "base/loop.h"
#include "config/redis_address.h"
#include "redis/find.h"
#include "redis/tls.h"

struct redis_link;

/* The answer, valid during the call, or NULL: the link went down before it came. */
typedef void (*redis_reply_fn)(void *arg, const redisReply *reply);

struct redis_link_terms {
	const struct redis_address *address; /* outlives the link */
	struct redis_tls *tls;               /* NULL: without; outlives the link */
	const int64_t *timeout_ms;           /* read at each use */
	const char *name;                    /* CLIENT SETNAME, and the word for logs */

	/* An encoded command that ends the greeting; an error that says the server is of no use
	 * (redis_is_unusable()) refuses the link. Empty: none. */
	struct span greeting;
	/* Not NULL: this link only listens to that channel. */
	const char *channel;

	void (*on_up)(void *arg);
	void (*on_down)(void *arg); /* after all pending commands have been answered NULL */
	void (*on_message)(void *arg, struct span payload);
	void *arg;
};

/*
 * Starts to connect. All callbacks come from the loop, none from within a call. They may send
 * commands, but must not free the link. Strings are copied, `terms` may go. A log line tells each
 * change between up and down, with the cause; the password is never part of it.
 */
struct redis_link *redis_link_new(struct loop *loop, const struct redis_link_terms *terms) MUST_USE;

/* Takes NULL. Pending commands are dropped; no callback comes any more. */
void redis_link_free(struct redis_link *link);

bool redis_link_is_up(const struct redis_link *link);

/* Why a link that listens may not do that, as the server says; else "". Takes NULL. */
const char *redis_link_forbidden(const struct redis_link *link);
/* Nothing that was sent still has to be answered. One that isn't up any more may not be so yet. */
bool redis_link_is_idle(const struct redis_link *link);
/* Where it is connected to, or was last; its port is 0 if it never was, or on a Unix socket. */
const struct redis_endpoint *redis_link_endpoint(const struct redis_link *link);

/*
 * Sends one encoded command. 0: `fn` is called once, unless the link is freed. -ENOTCONN: the link
 * is not up, `fn` is never called.
 */
int redis_link_send(struct redis_link *link, struct span command, redis_reply_fn fn, void *arg)
	MUST_USE;

/*
 * Sends the greeting again (there must be one): if no answer comes `in_ms` from now, or one that
 * says the server is of no use, the link goes down.
 */
void redis_link_probe(struct redis_link *link, int64_t in_ms);

/* Gives up the connection, for `cause`, and connects again. */
void redis_link_reset(struct redis_link *link, const char *cause);
