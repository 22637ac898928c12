/*
 * tickets.h - this process's places and turns in Redis: what is asked about them, and what
 * Redis says. Inside of lock_redis.c, which owns the connections.
 */
#pragma once

#include "queue/post.h"
#include "queue/redis/keeper.h"
#include "queue/redis/presence.h"
#include "queue/redis/ticket_call.h"
#include "redis/nodes.h"

struct redis_ticket;
struct used_account;

struct redis_tickets {
	struct redis_names names;
	struct redis_nodes *nodes;
	struct ticket_calls calls;
	struct redis_presence presence;
	struct post post;
	struct redis_ticket *by_id;
	struct list used; /* accounts in which it had something lately */
	struct used_account *used_by_name;
	struct list kept; /* places that it had kept, the oldest first */
	int64_t lost, dropped, returned;
	struct histogram hand_offs;
};

/* Zero it; `names` is taken over. The nodes outlive it, and are opened by the caller. */
void redis_tickets_open(struct redis_tickets *r, struct loop *loop, struct redis_nodes *nodes,
			struct redis_names names);

/* After the nodes were closed: no place is left, no callback comes. May be called twice. */
void redis_tickets_close(struct redis_tickets *r);

/* lock_enter() and lock_give_back(). */
void redis_tickets_enter(struct redis_tickets *r, struct lock_ticket *t);
void redis_tickets_give_back(struct lock_ticket *t, enum lock_end end);

/* lock_retune(). */
void redis_tickets_retune(struct redis_tickets *r, const char *account,
			  const struct lock_terms *terms);

/* lock_hold() and lock_release(). */
void redis_tickets_limit(struct redis_tickets *r, const char *account,
			 const struct lock_limit *limit);
void redis_tickets_unlimit(struct redis_tickets *r, const char *account, unsigned families);

/* How many places that it had kept may still be there. */
int64_t redis_tickets_kept(const struct redis_tickets *r);

/* What sweep.lua says of an account: tickets of this process that it doesn't know are given back. */
void redis_tickets_known(struct redis_tickets *r, const char *account,
			 const struct script_answer *answer);

/* lock_position(): what it was when it joined. */
int64_t redis_tickets_position(const struct lock_ticket *t);

/* lock_holds(). */
bool redis_tickets_holds(struct lock_ticket *t) MUST_USE;

/*
 * Gives back all there are, and asks for the job once that is known to have arrived, and that no
 * renewal of a keeper comes behind it. On every node, so that a silent one makes it wait for the
 * keeper's I/O timeout.
 */
void redis_tickets_settle(struct redis_tickets *r, struct job *when_settled);

/* A message on our channel; what the keeper found out; the answer of any script of ours. */
void redis_tickets_message(struct redis_tickets *r, struct span payload);
void redis_tickets_keeper_news(struct redis_tickets *r, const struct keeper_news *news);
void redis_tickets_answer(struct redis_tickets *r, const struct script_answer *answer);

/*
 * The node's link is up: retries calls, sends enters that had to wait, and has every waiter touched.
 */
void redis_tickets_link_up(struct redis_tickets *r, struct redis_node *node);

/* It has been down for command_timeout_ms: until it is up, whoever enters fails. */
void redis_tickets_lose_patience(struct redis_tickets *r, struct redis_node *node);

/* It has been down for redis.outage_ms: so do those who wait. */
void redis_tickets_give_up(struct redis_tickets *r, struct redis_node *node);

/* Slots are at other nodes now: so is what is kept of their places and turns. Retries calls. */
void redis_tickets_moved(struct redis_tickets *r);
