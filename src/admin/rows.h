/*
 * rows.h - accounts as rows of a table: their state, and how a page sorts and finds them. Pure
 * functions.
 */
#pragma once

#include "admin/account.h"

struct row {
	struct lock_view view; /* with its holders, without its other lists */
	enum account_state state;
	const char *why; /* it is stuck; NULL: it isn't */
	bool stalled;    /* a holder's response hasn't moved for long, whether or not others wait */
};

/* Of what a backend says; `stalled` as in account_state(). Cleared by row_clear(). */
void row_read(const struct lock_view *v, bool stalled, struct row *ret);
void row_clear(struct row *row);

/* Adds "state", "stuckBecause" and "stalled". */
void row_add_state(const struct row *row, cJSON *document);

/* Whether what one sees of it has this text in it; case doesn't matter. An empty one is found. */
bool row_has(const struct row *row, const char *search);

struct row_order {
	int by; /* what row_order_find() said */
	bool descending;
};

/* "wait" (also ""), "account", "state", "held", "waiting"; -1: there is no such order. */
int row_order_find(const char *name);

/*
 * For qsort_r() of pointers to rows; `arg` is a struct row_order. Among equal ones those in trouble
 * or in use are first; and all else is by name, so that a list that is asked for in parts doesn't
 * change between them.
 */
int row_compare(const void *a, const void *b, void *arg);
