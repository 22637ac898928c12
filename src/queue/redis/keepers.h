/*
 * keepers.h - one keeper a node, so that a node that is silent delays no other's leases.
 *
 * The callbacks of nodes.h that have the same arguments are to be passed on to these.
 */
#pragma once

#include "queue/redis/keeper.h"
#include "redis/nodes.h"

struct keepers {
	struct loop *loop;
	const struct config *config;
	struct redis_tls *tls;
	const struct redis_names *names;
	/* From the loop: what a keeper has to say, but KEEPER_TROUBLE, which is for its link. */
	void (*fn)(void *arg, struct redis_node *node, const struct keeper_news *news);
	void *arg;
};

struct node_keeper {
	struct keepers *all;
	struct redis_node *node;
	struct keeper *keeper;
};

static inline struct keeper *keeper_of(const struct redis_node *node)
{
	const struct node_keeper *k = node->companion;

	return k->keeper;
}

/* Returns its companion. */
void *keepers_node(struct keepers *k, struct redis_node *node) MUST_USE;

/* Waits for the thread, see keeper_free(). */
void keepers_node_gone(struct redis_node *node);

void keepers_node_up(struct redis_node *node);

/* Slots have moved: the live key, by which others know that this process lives, has one, too. */
void keepers_moved(struct keepers *k, struct redis_nodes *nodes);

/* Renews and touches everything at once, everywhere: something may have been missed. */
void keepers_refresh(struct redis_nodes *nodes);

/* Tells all threads to end, before they are waited for one by one. */
void keepers_stop(struct redis_nodes *nodes);
