/*
 * history.h - hours and days of this process: who had turns, how long they waited, who was refused.
 *
 *      an exchange ends     ──> history_add    ─┬─> its minute's cell    6 hours of them
 *      the upstream answers ──> history_answer ─┴─> its quarter's cell   8 days of them
 *
 * A cell is one share of one account in one step of time; a step in which nothing happened has none.
 * Cells are kept in two rings, and the oldest one goes when its time or the room is over, whatever
 * names clients make up: HISTORY_MINUTES_MAX and HISTORY_QUARTERS_MAX cells, below 36 MiB with names
 * of the greatest length. Memory is taken as it is needed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "proxy/quota.h"

enum {
	HISTORY_MINUTE_MS = 60 * 1000,
	HISTORY_QUARTER_MS = 15 * HISTORY_MINUTE_MS,
	HISTORY_MINUTES_MS = 6 * 60 * HISTORY_MINUTE_MS,       /* how long minutes are kept */
	HISTORY_QUARTERS_MS = 8 * 24 * 60 * HISTORY_MINUTE_MS, /* and quarters */
	HISTORY_MINUTES_MAX = 40000,
	HISTORY_QUARTERS_MAX = 60000,
	HISTORY_WAITS = 40, /* classes of waits: up to 16 ms, and each half as long again */
};

/* How an exchange in line ended. */
enum history_end {
	HISTORY_TURN,    /* it had its turn */
	HISTORY_REFUSED, /* we answered it with an error before that */
	HISTORY_LEFT,    /* its client left before that */
};

struct history_event {
	int64_t at_ms;               /* wall clock */
	const char *account, *share; /* a share of "": not known */
	enum history_end end;
	int64_t wait_ms;
	int64_t hold_ms; /* with HISTORY_TURN */
	bool observed;   /* queue.mode = observe: what would have been */
};

/* The upstream has answered a request, gated or not. */
struct history_answer {
	int64_t at_ms; /* wall clock */
	const char *account,
		*share; /* a share of "": not known, as of what doesn't stand in line */
	enum quota_answer kind;
	bool holds; /* the account is held for it (queue.on_limit) */
};

/* What happened to one share, or to several that were added up. */
struct history_counts {
	int64_t turns, refused, left;
	int64_t held_ms;
	int64_t waits[HISTORY_WAITS]; /* of all that ended, by class */
	int64_t answers[QUOTA_ANSWER_COUNT];
	int64_t holds; /* answers for which the account was held, or held for longer */
};

struct history;

struct history *history_new(void) MUST_USE;
void history_free(struct history *h); /* takes NULL */

void history_add(struct history *h, const struct history_event *event);
void history_answer(struct history *h, const struct history_answer *answer);

/* One cell, for as long as the call lasts. */
struct history_cell {
	int64_t from_ms; /* wall clock: the step's begin */
	const char *account, *share;
	bool observed;
	struct history_counts counts;
};

/*
 * Calls `fn` for each cell of that step (HISTORY_MINUTE_MS or HISTORY_QUARTER_MS) which begins
 * within [from_ms, to_ms), in the order in which they began, but where the clock was set.
 */
void history_each(const struct history *h, int64_t step_ms, int64_t from_ms, int64_t to_ms,
		  void (*fn)(void *arg, const struct history_cell *cell), void *arg);

/* Adds `more` to `sum`. */
void history_sum(struct history_counts *sum, const struct history_counts *more);

/*
 * The wait that `percent` of them didn't exceed, within a quarter of the truth; -1: there was none.
 */
int64_t history_wait_ms(const struct history_counts *c, int percent);

/* Of all that ended, those that waited: for longer than 16 ms, the first class. */
int64_t history_waited(const struct history_counts *c);

/* How much memory it has, in bytes. */
size_t history_bytes(const struct history *h);
