/*
 * nodes.h - the servers that keys live in: the one that redis.url names, or with redis.cluster the
 * masters of a Redis Cluster.
 *
 *      slot ──> node ──> link
 *                  └───> companion     what the owner keeps for each node
 *
 * In a cluster the first node, redis.url's, is where it begins: who is up is asked for CLUSTER
 * SLOTS (understood by every version), and all masters are connected to. A MOVED changes one slot
 * at once and is followed by that query; so is a node that goes down, every half second, until
 * it is back or others have its slots. A node that is down and has no slots any more is forgotten.
 * https://redis.io/docs/reference/cluster-spec/
 */
#pragma once

#include "config/config.h"
#include "redis/link.h"
#include "redis/slot.h"

enum { REDIS_NODES_MAX = 64 }; /* masters; what lives on more isn't found */

struct redis_nodes;

struct redis_node {
	struct redis_nodes *all;
	struct redis_address address;
	struct redis_link *link;      /* NULL: forgotten, to be used for another one */
	void *companion;              /* what on_node returned */
	struct timer *grace, *outage; /* while the link is down: patience with it, in two steps */
	int64_t answered_ms;          /* redis_node_doubt()'s; 0: not in doubt */
	unsigned slots;               /* how many are here, in a cluster */
	bool patient; /* the link isn't up, but may be soon: who enters waits for it */
	/* What it refuses to do at all, as it says, and when it did so last; "" if it doesn't. */
	char error[120];
	int64_t refused_ms;
	bool policy_asked; /* its owner's: whether it may evict keys */
};

struct redis_nodes_terms {
	struct loop *loop;
	const struct config *config;
	const struct redis_address *address;
	struct redis_tls *tls;
	bool cluster;
	const char *name; /* of connections: CLIENT SETNAME */
	/* An encoded command that ends each greeting, see link.h. */
	struct span greeting;

	/*
	 * There is a node more, which stays until redis_nodes_close(), though it may be another
	 * server's later: its address, if it has a host, changes then. Called from within
	 * redis_nodes_open() and redis_nodes_redirect(), too.
	 */
	void *(*on_node)(void *arg, struct redis_node *node);
	/* It is about to be freed, with its link. */
	void (*on_node_gone)(void *arg, struct redis_node *node);

	/* From the loop, never from within a call. */
	void (*on_up)(void *arg, struct redis_node *node);
	void (*on_down)(void *arg, struct redis_node *node);
	/* It has been down for command_timeout_ms, and for redis.outage_ms: */
	void (*on_patience_over)(void *arg, struct redis_node *node);
	void (*on_outage)(void *arg, struct redis_node *node);
	void (*on_moved)(void *arg); /* slots are at other nodes now */
	void *arg;
};

struct redis_nodes {
	struct redis_nodes_terms terms;
	struct redis_node *node[REDIS_NODES_MAX];
	size_t count;
	uint8_t of_slot[REDIS_SLOTS];
	char *name;
	struct buf greeting;
	struct timer *slots_timer; /* when CLUSTER SLOTS is asked again */
	size_t asked;              /* who was asked last */
	bool asking;               /* under way */
	bool complained;
	struct job forget_job;
};

/*
 * Zero it. What `terms` points to outlives it, but for name and greeting, which are copied. Starts
 * to connect.
 */
void redis_nodes_open(struct redis_nodes *n, const struct redis_nodes_terms *terms);

/* No callback comes any more but on_node_gone, of each node. May be called twice. */
void redis_nodes_close(struct redis_nodes *n);

/* The node that has a slot, as far as is known: never NULL while open. */
static inline struct redis_node *redis_nodes_at(const struct redis_nodes *n, unsigned slot)
{
	return n->node[n->of_slot[slot]];
}

static inline bool redis_node_is_up(const struct redis_node *node)
{
	return node->link && redis_link_is_up(node->link);
}

/* One that is up, if there is one with slots, or NULL. */
struct redis_node *redis_nodes_any_up(const struct redis_nodes *n);

/* Why those that are up are of no use; "" if one of them is, or none is up. */
const char *redis_nodes_error(const struct redis_nodes *n);

/*
 * Learns from a MOVED or ASK of `from` and returns the node that it names; NULL if it can't be
 * understood, or there are too many nodes. May call on_moved.
 */
struct redis_node *redis_nodes_redirect(struct redis_nodes *n, struct redis_node *from,
					const char *error);

/*
 * Somebody else who talks to it hears nothing; it answered at `answered_ms` (clock_ms()) for the
 * last time. Its link goes down if it doesn't answer within command_timeout_ms from then either.
 */
void redis_node_doubt(struct redis_node *node, int64_t answered_ms);

/*
 * It answers an error instead of what was asked for: logs that once, until it accepts something
 * again. Errors that say that the server is of no use end its link, which logs.
 */
void redis_node_refuses(struct redis_node *node, const char *error);
void redis_node_accepts(struct redis_node *node);
