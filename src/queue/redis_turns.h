/*
 * redis_turns.h - this process's places and turns in Redis: what is asked about them, and what
 * Redis says. Inside of lock_redis.c, which owns the connections.
 */
#pragma once

#include "queue/keeper.h"
#include "queue/post.h"
#include "queue/redis_call.h"
#include "queue/redis_presence.h"

struct place;

struct redis_turns {
	struct redis_names names;
	struct redis_caller cmd;
	struct redis_presence presence;
	struct keeper *keeper;
	struct post post;
	struct place *by_id;
	struct list debts; /* of errands: what couldn't be given back yet */
	struct timer *pay; /* when they are tried again */
	int64_t lost, dropped;
	struct histogram hand_offs;
	int open;                 /* errands that are under way */
	bool patient;             /* the link isn't up, but may be soon: who enters waits for it */
	char error[24];           /* the first word of the error that enters get, "" if none */
	struct job *when_settled; /* asked for when nothing is open or owed; NULL: not awaited */
};

/* Zero it; `names` is taken over. The link and the keeper are set by the caller. */
void redis_turns_open(struct redis_turns *r, struct loop *loop, struct redis_names names);

/* After link and keeper have been freed: no place is left, no callback comes. May be called twice. */
void redis_turns_close(struct redis_turns *r);

/* lock_enter() and lock_give_back(). */
void redis_turns_enter(struct redis_turns *r, struct lock_ticket *t);
void redis_turns_give_back(struct redis_turns *r, struct lock_ticket *t, bool completed);

/* lock_holds(). */
bool redis_turns_holds(struct redis_turns *r, struct lock_ticket *t) MUST_USE;

/* Gives back all there are, and asks for the job once that is known to have arrived. */
void redis_turns_settle(struct redis_turns *r, struct job *when_settled);

/* A message on our channel; what the keeper found out; the answer of any script of ours. */
void redis_turns_message(struct redis_turns *r, struct span payload);
void redis_turns_keeper_news(struct redis_turns *r, const struct keeper_news *news);
void redis_turns_answer(struct redis_turns *r, const struct redis_answer *answer);

/* The link isn't up yet, or no longer: who waits or enters is patient for a while. */
void redis_turns_link_down(struct redis_turns *r);

/* The link is up: pays debts, sends enters that had to wait, and has every waiter touched. */
void redis_turns_link_up(struct redis_turns *r);

/* The link has been down for too long: waiters fail, and until it is up, whoever enters. */
void redis_turns_lose_patience(struct redis_turns *r);
