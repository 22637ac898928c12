/*
 * pace.h - how fast does an account's line move? From the turns that this process has seen: for
 * Retry-After, and for whoever asks how long it takes. Pure but for its memory: times are handed in.
 *
 * How long a turn takes is the median of the account's latest ones, as a single long one says little
 * of the next. An account that had none yet is taken for the average of all.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

enum {
	PACE_TURNS = 15,            /* lengths that are remembered */
	PACE_ACCOUNTS_MAX = 1000,   /* that are remembered while they have no turn */
	PACE_FIRST_GUESS_MS = 5000, /* a turn's length, until there was one */
};

struct pace;

struct pace *pace_new(void) MUST_USE;
void pace_free(struct pace *p); /* takes NULL */

/* A turn of the account has begun. */
void pace_began(struct pace *p, const char *account, int64_t at_ms);

/* That turn is over. `used`: its length counts. */
void pace_ended(struct pace *p, const char *account, int64_t began_ms, int64_t ended_ms, bool used);

/* How long one of its turns takes. */
int64_t pace_turn_ms(const struct pace *p, const char *account);

/* When its turn began that has been running for longest; 0: none does, as far as is known here. */
int64_t pace_running_since_ms(const struct pace *p, const char *account);

/* Of whom the next turn is a question. */
struct pace_question {
	const char *account;
	int64_t before; /* how many are before it: they hold a turn, or wait */
	int64_t turns;  /* of the account at once */
	int64_t delay_ms, interval_ms;
	int64_t now_ms;
};

/*
 * How long it takes until the turn begins of one who has so many before it. Turns that this process
 * knows of end when they are as long as a turn takes; others are supposed to be spread evenly.
 */
int64_t pace_estimate_ms(const struct pace *p, const struct pace_question *q);

/* A line of which all is known: for when each of those who wait in it begins. */
struct pace_line {
	int64_t turn_ms; /* how long a turn takes */
	const int64_t
		*ran_ms; /* for how long those have run that are under way; less than 0: not yet */
	size_t running;
	int64_t turns, delay_ms, interval_ms;
	int64_t held_ms; /* for so long nobody begins */
};

/* The turns' median length; -1: there are none. Sorts them. */
int64_t pace_median_ms(int64_t *lengths_ms, size_t count);

/* In how many ms from now each of the next `count` begins. */
void pace_starts(const struct pace_line *line, size_t count, int64_t *ret_ms);
