/*
 * keeper_table.h - what a keeper keeps: turns and waiters by id, and waiters by account. Inside of
 * keeper.c, whose mutex guards it. Waiters are looked through only where they are touched: a line may
 * have thousands, and turns are handed on meanwhile.
 */
#pragma once

#include "queue/redis/keeper.h"

#define uthash_fatal(msg) must_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

/* An account in which we have waiters or turns. */
struct keeper_account {
	char name[LOCK_ACCOUNT_MAX];
	struct list waiters, turns;
	/* While there are waiters: when it is due; when the last round that tried it began. */
	int64_t touch_at_ms, tried_at_ms;
	int64_t windows; /* what was told, see KEEPER_LIMITED */
	UT_hash_handle hh;
};

/* One kept ticket: a turn if turn.ttl_ms isn't 0, else a waiter. */
struct keeper_kept {
	char id[LOCK_TICKET_MAX];
	struct keeper_account *account;
	struct list link; /* in account.waiters or account.turns; in neither: it is new */
	struct keeper_turn turn;
	UT_hash_handle hh;
};

/* A zeroed one is empty. */
struct keeper_table {
	struct keeper_kept *by_id;
	struct keeper_account *accounts; /* by name */
	int64_t held;                    /* turns */
};

static inline bool keeper_kept_is_turn(const struct keeper_kept *e)
{
	return e->turn.ttl_ms;
}

/* NULL: it isn't kept. */
struct keeper_kept *keeper_table_find(struct keeper_table *t, const char *id);

/* The one there is, or a new one, which is nothing yet: one of the next two must follow. */
struct keeper_kept *keeper_table_get(struct keeper_table *t, const char *account, const char *id);

/*
 * From now on it is a waiter, first touched after KEEPER_TOUCH_MS, unless it is one or holds a
 * turn.
 */
void keeper_table_wait(struct keeper_table *t, struct keeper_kept *e);

/* From now on it is a turn. */
void keeper_table_hold(struct keeper_table *t, struct keeper_kept *e,
		       const struct keeper_turn *turn);

/* Takes it out, and frees it. */
void keeper_table_drop(struct keeper_table *t, struct keeper_kept *e);

/* When a turn or an account is due next, by clock_ms(); INT64_MAX: never. */
int64_t keeper_table_due_ms(const struct keeper_table *t);

/* A turn whose lease is over by then; NULL: there is none. */
struct keeper_kept *keeper_table_lapsed(const struct keeper_table *t, int64_t now_ms);

void keeper_table_clear(struct keeper_table *t);
