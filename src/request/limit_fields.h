/*
 * limit_fields.h - what the fields of a response say of the limits of its account, as values.
 *
 * The API's public documents name `retry-after`, the buckets anthropic-ratelimit-{requests,tokens,
 * input-tokens,output-tokens}-* of API keys (platform.claude.com/docs/en/api/rate-limits), and the types
 * of errors. What subscriptions get, anthropic-ratelimit-unified-*, isn't in them: it is read here as
 * gateways have recorded it. Each window has a name ("5h", "7d", "7d_opus"), and of it the utilisation
 * (1 is all of it), the reset (epoch seconds) and the status. "5h" and "7d" are about the account; a name
 * with more behind it is about a family of models.
 *
 * Pure: no clock, no state, no allocation.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/header.h"

enum {
	LIMIT_NAME = 24,
	LIMIT_WINDOWS = 10,       /* of a reading; further ones are left out */
	LIMIT_STALE_MS = 3600000, /* a window of which no reset was said is forgotten */
};

enum limit_status { LIMIT_UNSAID, LIMIT_ALLOWED, LIMIT_WARNING, LIMIT_REJECTED };
extern const char *const limit_status_names[]; /* as the API has them; "": not said */

struct limit_window {
	char name[LIMIT_NAME]; /* lower case: letters, digits, "_-" */
	int64_t at_ms;         /* wall clock: when it was read */
	double utilisation;    /* less than 0: not said */
	int64_t reset_ms;      /* wall clock; 0: not said */
	enum limit_status status;
};

/* A zeroed one: nothing was said. */
struct limit_reading {
	int64_t at_ms;              /* wall clock: when it was read */
	enum limit_status status;   /* of all windows together */
	int64_t reset_ms;           /* the same; 0: not said */
	char claim[2 * LIMIT_NAME]; /* which window decides: "five_hour", "seven_day", … */
	bool on_credits;            /* the window is spent, and further use is paid for */
	bool no_credits;            /* it couldn't be, were it spent */
	struct limit_window windows[LIMIT_WINDOWS];
	size_t count;
};

/* What the fields of a response say at this time. False: nothing about windows. */
bool limits_read(const struct headers *fields, int64_t now_ms, struct limit_reading *ret);

/*
 * Adds the buckets of API keys (anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-*) as windows
 * of these names. They decide nothing here: a bucket fills up by itself. False: there are none.
 */
bool limits_read_buckets(const struct headers *fields, int64_t now_ms, struct limit_reading *r);

/* Takes over what a newer reading says; windows that it doesn't name stay, as far as there is room. */
void limits_merge(struct limit_reading *r, const struct limit_reading *newer);

/*
 * Takes out what is over: windows whose reset has passed are other windows now, and what was read of the
 * former ones says nothing of these. False: nothing is left.
 */
bool limits_drop_past(struct limit_reading *r, int64_t now_ms);

/* Whether a window is about the whole account, by its name. */
bool limit_is_of_account(struct span name);

/* When the last of the buckets that are empty is full again: wall clock; 0: none is, or it isn't said. */
int64_t limits_empty_until_ms(const struct headers *fields);

/* Whole seconds, as a field has them; 0 if it is something else. */
int64_t limits_seconds_as_ms(struct span text);
