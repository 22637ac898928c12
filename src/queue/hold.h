/*
 * hold.h - an account that its upstream has limited: until when nobody is sent, and who asks first.
 * Pure: times are of one clock, in ms.
 *
 *      FREE ──refused──> HELD ──until `probe_ms`──> PROBING: the first waiter goes alone ──answered──> FREE
 *                          ^                               │
 *                          └──────────────refused──────────┘        longer, if nothing is said
 *
 * A throttle is a matter of seconds: held for as long as the upstream says, else for 2 s, doubling
 * to 30 s while its probes are refused. A quota is a window that is spent: held until its reset. Both
 * are asked once a minute at least: windows are reset early or paid for, and what was said may be made
 * up. What is said later may lengthen what was said before, never shorten it. lua/prelude.lua does the same in Redis.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum hold_kind { HOLD_NONE, HOLD_THROTTLE, HOLD_QUOTA };

enum {
	HOLD_FIRST_MS = 2000, /* a throttle of which nothing is said */
	HOLD_LAST_MS = 30000, /* the longest of these */
	HOLD_PROBE_MS = 60000,
	HOLD_MAX_MS = 24 * 3600 * 1000, /* nothing that is said counts for longer */
};

/* A zeroed one: the account is free. */
struct hold {
	enum hold_kind kind;
	int64_t since_ms, until_ms;
	int64_t probe_ms; /* the first waiter may go then, alone */
	int refusals;     /* in a row */
};

/* The upstream has refused, for so long from now; `for_ms` of 0: it doesn't say how long. */
void hold_refused(struct hold *h, enum hold_kind kind, int64_t for_ms, int64_t now_ms);

/* Whether somebody may have a turn, where `holding` have one already. */
bool hold_allows(const struct hold *h, int64_t holding, int64_t now_ms);

/* "", "throttle", "quota": for logs, the API and Redis. */
const char *hold_kind_name(enum hold_kind kind);
