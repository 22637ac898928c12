/*
 * redis_turns.h - this process's places and turns in Redis: what is asked about them, and what
 * Redis says. Inside of lock_redis.c, which owns the connections.
 */
#pragma once

#include "queue/keeper.h"
#include "queue/post.h"
#include "queue/redis_errand.h"
#include "queue/redis_nodes.h"
#include "queue/redis_presence.h"

struct place;

struct redis_turns {
	struct redis_names names;
	struct redis_nodes *nodes;
	struct redis_errands errands;
	struct redis_presence presence;
	struct post post;
	struct place *by_id;
	int64_t lost, dropped;
	struct histogram hand_offs;
};

/* Zero it; `names` is taken over. The nodes outlive it, and are opened by the caller. */
void redis_turns_open(struct redis_turns *r, struct loop *loop, struct redis_nodes *nodes,
		      struct redis_names names);

/* After the nodes were closed: no place is left, no callback comes. May be called twice. */
void redis_turns_close(struct redis_turns *r);

/* lock_enter() and lock_give_back(). */
void redis_turns_enter(struct redis_turns *r, struct lock_ticket *t);
void redis_turns_give_back(struct lock_ticket *t, bool completed);

/* lock_holds(). */
bool redis_turns_holds(struct lock_ticket *t) MUST_USE;

/*
 * Gives back all there are, and asks for the job once that is known to have arrived, and that no
 * renewal of a keeper comes behind it. On every node, so that a silent one makes it wait for the
 * keeper's I/O timeout.
 */
void redis_turns_settle(struct redis_turns *r, struct job *when_settled);

/* A message on our channel; what the keeper found out; the answer of any script of ours. */
void redis_turns_message(struct redis_turns *r, struct span payload);
void redis_turns_keeper_news(struct redis_turns *r, const struct keeper_news *news);
void redis_turns_answer(struct redis_turns *r, const struct redis_answer *answer);

/*
 * The node's link is up: pays debts, sends enters that had to wait, and has every waiter touched.
 */
void redis_turns_link_up(struct redis_turns *r, struct redis_node *node);

/* It has been down for too long: its waiters fail, and until it is up, whoever enters. */
void redis_turns_lose_patience(struct redis_turns *r, struct redis_node *node);

/* Slots are at other nodes now: so is what is kept of their places and turns. Pays debts. */
void redis_turns_moved(struct redis_turns *r);
