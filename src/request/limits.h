/*
 * limits.h - what an upstream's response says of the limits of its account.
 *
 * limits_judge() is for every response: is it a refusal for a limit, of which kind, until when? By its status,
 * its rate fields (limit_fields.h), and the first of its body.
 *
 * Pure: no clock, no state, no allocation. What isn't understood is told as that, never guessed: an
 * account that is held for nothing costs more than one that is asked once too often.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/header.h"
#include "request/limit_fields.h"

enum {
	LIMIT_WHY = 160,
	LIMIT_BODY = 1024,           /* bytes of a body that are of interest */
	LIMIT_AHEAD_MS = 86400000,   /* nothing is believed to last longer */
	LIMIT_OVERLOADED_MS = 10000, /* nor an overload */
};

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
