/*
 * order.h - in which order does a line move? Pure: numbers in, numbers out, no clock.
 *
 * Start-time fair queueing (Goyal, Vin, Cheng, 1996), a request counting as one unit of work. V is
 * the line's virtual time, F[share] where that share's next request starts:
 *
 *      joining:  S = max(V, F[share])        F[share] = S + 1 / weight
 *                rank = S, or S + yield_rounds for one that yields
 *      a turn:   V = max(V + min(1, 1 / weight) / max(64, waiting), S)
 *
 * A rank is fixed when its request joins; the lowest goes first. So the line is one sorted set, and
 * whoever has had little is in front of whoever has had much, in the ratio of their weights. One
 * share alone is first in, first out.
 *
 * The step of V is ours. With V = S alone, a stream of ever new shares (each starts at V) would
 * starve everybody's second request for good: V would never move. On the average it is at most
 * 1 / (the weights of all who wait), by which V moves anyway, so V doesn't outrun those who wait.
 *
 * One who yields counts as a share of its own beside its person's: agents don't push back their
 * own person's prompts.
 *
 * lua/prelude.lua does the same in Redis; tests/order compares both, bit for bit, with a third one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/tree.h"

enum {
	ORDER_STEPS_MIN = 64,    /* V takes at least this many turns for a round */
	ORDER_SHARES_MAX = 4096, /* F that are remembered; beyond that, the lowest go */
};

/* Shares of weights within this; others are taken for the nearest. */
#define ORDER_WEIGHT_MIN 0.01
#define ORDER_WEIGHT_MAX 100.0

/* All shares of one line. Zeroed, nobody has ever joined. */
struct order {
	double virtual_time;        /* V */
	int64_t joined;             /* how many have */
	struct order_share *shares; /* those with an F beyond V, by name */
	struct tree finishes;       /* the same, by F */
};

/* A place in the line, for as long as somebody has it. */
struct order_place {
	double rank;   /* the lowest goes first */
	double start;  /* S */
	double weight; /* of its share, within the limits */
};

/* Who joins. With queue.order = arrival everybody does as the same one: ORDER_NOBODY. */
struct order_guest {
	const char *share;
	double weight;
	int64_t yields; /* by how many rounds; 0: not at all */
};

#define ORDER_NOBODY ((struct order_guest){ .share = "-", .weight = 1 })

/*
 * Joins. Equal starts go by arrival: a rank has 2^-32 for each that joined before, far less than
 * two starts of one share differ by. (Beyond a virtual time of 2^21, which a line reaches after two
 * million turns without ever being empty, starts of different shares may tie.)
 */
struct order_place order_join(struct order *o, const struct order_guest *guest);

/*
 * The one at `place` has its turn now, and has left the line, in which `waiting` are left. When
 * nobody is, all F are forgotten. A turn that somebody gets without waiting is a join followed by a
 * turn.
 */
void order_turn(struct order *o, const struct order_place *place, int64_t waiting);

/* The last one has left without a turn: all F are forgotten. */
void order_is_empty(struct order *o);

/* Forgets everything. May be called twice. */
void order_clear(struct order *o);
