/*
 * limits.h - what an upstream's response says of the limits of its account.
 *
 *      limits_read()     every response: the rate fields, as values
 *      limits_judge()    every response: is it a refusal for a limit, of which kind, until when?
 *
 * The API's public documents name `retry-after`, the buckets anthropic-ratelimit-{requests,tokens,
 * input-tokens,output-tokens}-* of API keys (platform.claude.com/docs/en/api/rate-limits), and the types
 * of errors. What subscriptions get, anthropic-ratelimit-unified-*, isn't in them: it is read here as
 * gateways have recorded it. Each window has a name ("5h", "7d", "7d_opus"), and of it the utilisation
 * (1 is all of it), the reset (epoch seconds) and the status. "5h" and "7d" are about the account; a name
 * with more behind it is about a family of models.
 *
 * Pure: no clock, no state, no allocation. What isn't understood is told as that, never guessed: an
 * account that is held for nothing costs more than one that is asked once too often.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/header.h"

enum {
	LIMIT_NAME = 24,
	LIMIT_WHY = 160,
	LIMIT_WINDOWS = 10,          /* of a reading; further ones are left out */
	LIMIT_BODY = 1024,           /* bytes of a body that are of interest */
	LIMIT_AHEAD_MS = 86400000,   /* nothing is believed to last longer */
	LIMIT_OVERLOADED_MS = 10000, /* nor an overload */
	LIMIT_STALE_MS = 3600000,    /* a window of which no reset was said is forgotten */
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

/* X(enum, word for logs and metrics) */
#define LIMIT_KINDS(X)                                                                          \
	X(NONE, "none")               /* not refused, or not for a limit */                     \
	X(THROTTLE, "throttle")       /* too much at once: seconds */                           \
	X(QUOTA, "quota")             /* a window is spent: hours, days */                      \
	X(OVERLOADED, "overloaded")   /* everybody's, not the account's */                      \
	X(NOT_A_LIMIT, "not_a_limit") /* looks like one, and the account could go on at once */ \
	X(UNKNOWN, "unknown")         /* refused like one, but can't be told */

enum limit_kind {
#define X(name, ...) LIMIT_##name,
	LIMIT_KINDS(X)
#undef X
		LIMIT_KIND_COUNT
};
extern const char *const limit_kind_names[LIMIT_KIND_COUNT];

/*
 * Families of models that have limits of their own, a bit each: 1u << i for limit_family_names[i]. The
 * bits are what a fleet's processes tell each other: add to them, never change them.
 */
enum {
	LIMIT_FAMILIES = 4,
};
extern const char *const limit_family_names[LIMIT_FAMILIES];

/* Of which families a model is, by its name; 0: of none that is known. */
unsigned limits_families(struct span model);

enum limit_scope { LIMIT_OF_ACCOUNT, LIMIT_OF_FAMILY };

struct limit_answer {
	int status;
	struct headers fields;
	struct span body; /* its beginning, decoded; empty where it can't be read */
	bool auxiliary;   /* to a request that nobody typed and nobody waited for */
	int64_t now_ms;   /* wall clock */
};

struct limit_verdict {
	enum limit_kind kind;
	enum limit_scope scope;  /* of QUOTA */
	char family[LIMIT_NAME]; /* of that scope: "opus"; empty: that of the request's model */
	int64_t until_ms;        /* wall clock; 0: not said */
	bool dont_retry;         /* the upstream asks not to send it again */
	char why[LIMIT_WHY];     /* what decided, for the log; of NONE mostly empty */
};

void limits_judge(const struct limit_answer *a, struct limit_verdict *ret);
