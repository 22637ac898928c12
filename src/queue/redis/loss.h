/*
 * loss.h - what can happen to a turn that is in use: it ends, or there may have been another beside it.
 * Pure.
 *
 * Whoever finds out names it by one word: a script (lua/prelude.lua), or a process by its own clock.
 */
#pragma once

#include "base/span.h"

enum loss {
	LOSS_NONE,
	LOSS_OVER,  /* "over": nobody renewed its lease in time */
	LOSS_GONE,  /* "gone": Redis has lost its keys; the turn goes on */
	LOSS_TAKEN, /* "taken": another program has the lock */
	LOSS_ENDED, /* "ended": by an operator's order */
};

/* LOSS_NONE for no word; LOSS_GONE for one that is unknown. */
enum loss loss_of(struct span word);

/* For logs. */
const char *loss_cause(enum loss loss);
