/*
 * line.h - one account within one process: who has a turn, who waits for one, whose places are
 * kept. Private to memory/.
 *
 *      account "a1"   holds:  p7, p8      timer: one of them has had its turn for too long
 *                     waits:  p9 -> p12   by rank
 *                     kept:   p3's place, until then
 *
 *      account "a2"   idle                timer: nobody remembers it, the account is freed
 *
 * Events change a fact and call account_advance(), which makes the facts agree: nobody waits while
 * a turn is free, and the one timer is set for whatever is due next.
 */
#pragma once

#include "base/tree.h"
#include "queue/memory/kept.h"
#include "queue/memory/samples.h"
#include "queue/memory/share.h"
#include "queue/post.h"
#include "queue/settings.h"

#define uthash_fatal(msg) must_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

/* Accounts that are kept for operators only, though nobody uses them. */
enum { IDLE_MAX = 1000 };

/* A limit of the upstream: by clock_ms(), and what it said, or NULL. */
struct held {
	struct hold hold;
	char *refusal;
};

enum { HELD_ACCOUNT, HELD_FAMILIES, HELD_COUNT = HELD_FAMILIES + LIMIT_FAMILIES };

struct account {
	char name[LOCK_ACCOUNT_MAX];
	struct memory *memory;
	struct list holders; /* of place.link, in the order of their turns */
	int64_t holding;
	struct tree waiters; /* of place.node, by rank */
	struct order order;
	struct shares shares; /* those that anything below or above belongs to */
	struct kept kept;
	struct samples samples;
	int64_t turns, interval_ms;   /* that count, as of whoever came last */
	int64_t last_ms;              /* when the last turn was completed */
	int64_t last_start_ms;        /* the latest start of those that were used and are over */
	int64_t quiet_until_ms;       /* until then these two, or a kept place, matter */
	int64_t last_wall_ms;         /* last_ms for people; 0: never */
	int64_t paused_at_ms;         /* wall clock; 0: not paused */
	struct held held[HELD_COUNT]; /* the account's own, then that of each family of models */
	int64_t easing;               /* so many turns more begin apart, as a hold has just ended */
	int64_t idle_since_ms;        /* 0 while it is in use */
	struct list idle;             /* in memory.idle, the longest idle first */
	struct timer *timer;
	UT_hash_handle hh; /* in memory.accounts */
};

/* What `ticket->entry` points to. */
struct place {
	struct postbox box;
	struct account *account; /* NULL: neither holds nor waits, or no longer (FULL, LOST) */
	struct share *share;
	struct order_place order;
	struct tree_node node; /* in account.waiters */
	struct list link;      /* in account.holders */
	struct list all;       /* in memory.places */
	int64_t entered_ms;    /* clock_ms() */
	int64_t starts_ms;     /* of a holder: when its turn starts, the delay included */
	int64_t hold_until_ms; /* of a holder: it loses its turn then */
};

struct memory {
	struct lock_backend backend;
	struct loop *loop;
	struct post post;
	struct account *accounts; /* by name */
	struct list places;
	struct list idle; /* accounts */
	int64_t idle_count;
	int64_t holders, lost, forgotten, kept, returned;
	struct histogram hand_offs;
	struct settings settings;
	char *beacon; /* NULL: none */
	int64_t beaconed_ms;
	enum { RUNNING, STOPPING, STOPPED } state;
	struct job stop_job;
	void (*stop_done)(void *arg);
	void *stop_arg;
	char *owner; /* "<instance>.<boot>" */
};

static inline bool place_holds(const struct place *p)
{
	return !list_empty(&p->link);
}

static inline bool place_waits(const struct place *p)
{
	return tree_has(&p->node);
}

static inline struct place *place_of_node(struct tree_node *n)
{
	return n ? container_of(n, struct place, node) : NULL;
}

/* The account of that name, made if need be; the next account_advance() frees an idle one. */
struct account *account_get(struct memory *m, const char *name);

/* Makes the facts agree. May free the account. */
void account_advance(struct account *a);

/* `p`, which is new, gets a turn or a place in the line, or hears that there is no room. */
void account_join(struct account *a, struct place *p);

/* These turns and this interval count from now on. */
void account_tune(struct account *a, const struct lock_terms *terms);

/* `p` leaves line or turn, as its owner says. Call account_advance() behind it. */
void account_leave(struct account *a, struct place *p, enum lock_end end);

/* Takes the turn from a holder, and tells it. Call account_advance() behind it. */
void account_lose(struct account *a, struct place *p);

/* Takes a waiter out of the line, and tells it. Call account_advance() behind it. */
void account_remove(struct account *a, struct place *p);

/*
 * An upstream's limit begins; or that of the account and those of these families end: false if there
 * was none. Call account_advance() behind it.
 */
void account_hold(struct account *a, const struct lock_limit *limit);
bool account_release(struct account *a, unsigned families);

/* Frees it whatever it holds; its places are freed before. */
void account_free(struct account *a);

/* Accounts are idle, more than there is room for: the oldest go, if no delay still counts. */
void accounts_trim(struct memory *m);

/* What an operator asks or orders: the error of the answer in `r`. query.c */
int memory_answer(struct memory *m, struct lock_query *q, struct query_reply *r);
