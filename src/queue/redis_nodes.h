/*
 * redis_nodes.h - the servers that turns live in: the one that redis.url names, or with
 * redis.cluster the masters of a Redis Cluster. Inside of lock_redis.c.
 *
 *      slot ──> node ──> link      calls of scripts, on the loop
 *                        keeper    leases, in a thread of its own: a node that is silent delays no other's
 *
 * In a cluster the first node, redis.url's, is where it begins: who is up is asked for CLUSTER
 * SLOTS (understood by every version), and all masters are connected to. A MOVED changes one slot
 * at once and is followed by that question; so is a node that goes down, every half second, until
 * it is back or others have its slots. A node that is down and has no slots any more is forgotten.
 * https://redis.io/docs/reference/cluster-spec/
 */
#pragma once

#include "config/config.h"
#include "queue/keeper.h"
#include "queue/redis_link.h"
#include "queue/redis_slot.h"

enum { REDIS_NODES_MAX = 64 }; /* masters; what lives on more isn't found */

struct redis_nodes;

struct redis_node {
	struct redis_nodes *all;
	struct redis_address address;
	struct redis_link *link; /* NULL: forgotten, to be used for another one */
	struct keeper *keeper;
	struct timer *grace; /* waiters' patience while the link is down */
	int64_t answered_ms; /* the last answer before the keeper complained; 0: it hasn't */
	unsigned slots;      /* how many are here, in a cluster */
	bool patient;        /* the link isn't up, but may be soon: who enters waits for it */
	char error[24];      /* the first word of the error that enters get, "" if none */
};

struct redis_nodes_terms {
	struct loop *loop;
	const struct config *config;
	const struct redis_address *address;
	struct redis_tls *tls;
	const struct redis_names *names;

	/* From the loop, never from within a call. */
	void (*on_up)(void *arg, struct redis_node *node);
	void (*on_down)(void *arg, struct redis_node *node);
	void (*on_patience_over)(void *arg, struct redis_node *node);
	void (*on_moved)(void *arg); /* slots are at other nodes now */
	void (*on_keeper)(void *arg, struct redis_node *node, const struct keeper_news *news);
	void *arg;
};

struct redis_nodes {
	struct redis_nodes_terms terms;
	struct redis_node *node[REDIS_NODES_MAX];
	size_t count;
	uint8_t of_slot[REDIS_SLOTS];
	struct timer *survey;
	size_t asked;   /* who was asked last */
	bool surveying; /* under way */
	bool complained;
	struct job forget_job;
};

/* Zero it. What `terms` points to outlives it. Starts to connect. */
void redis_nodes_open(struct redis_nodes *n, const struct redis_nodes_terms *terms);

/* Blocks as keeper_free() does. No callback comes any more. May be called twice. */
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

/*
 * Learns from a MOVED or ASK of `from` and returns the node that it names; NULL if it can't be
 * understood, or there are too many nodes. May call on_moved.
 */
struct redis_node *redis_nodes_redirect(struct redis_nodes *n, struct redis_node *from,
					const char *error);

/*
 * It answers an error instead of what was asked for: logs that once, until it accepts something
 * again. Errors that say that the server is of no use end its link, which logs.
 */
void redis_node_refuses(struct redis_node *node, const char *error);
void redis_node_accepts(struct redis_node *node);
