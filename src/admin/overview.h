/*
 * overview.h - all that the dashboard shows, from one query to the backend for any number of
 * pages.
 *
 *      page ──> GET /api/overview ──> fresh enough? ──yes──> answer at once
 *      page ──>        …                  └──no──> one survey (ask.h); all who come meanwhile wait
 *                                                  for the same one
 *
 * An answer is at most OVERVIEW_FRESH_MS old, or where surveys take long OVERVIEW_OLDEST_MS, so
 * that they keep the backend busy for no more than 1 / OVERVIEW_SHARE of the time. Nothing is asked
 * while nobody asks. A page that chooses an account which the last survey didn't show as a whole
 * has another survey made at once, but none is made within OVERVIEW_SOON_MS of the one before.
 */
#pragma once

#include "admin/admin.h"

enum {
	OVERVIEW_FRESH_MS = 900,
	OVERVIEW_OLDEST_MS = 3000,
	OVERVIEW_SHARE = 50,
	OVERVIEW_SOON_MS = 200,
};

struct overview;

struct overview *overview_new(const struct admin_parts *parts) MUST_USE;

/* An order was given: who asks next wants to see what it did. */
void overview_outdated(struct overview *o);

/* Nothing is asked any more. */
void overview_stop(struct overview *o);

/* No call may wait for it. Takes NULL. */
void overview_free(struct overview *o);
