/*
 * refusals.h - the latest requests that were answered with an error of ours: for operators.
 *
 * A ring of fixed size, so whatever clients do it takes no more memory. No path, no header, no text
 * of a request is in it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proxy/outcome.h"
#include "request/account.h"

enum { REFUSALS_KEPT = 32, REFUSAL_ID_MAX = 40, REFUSAL_CLIENT_MAX = 64 };

struct refusal {
	int64_t at_ms; /* wall clock */
	enum outcome outcome;
	const char *reason;             /* the verdict's, static */
	char account[ACCOUNT_NAME_MAX]; /* empty: none, it was no user message */
	char client[REFUSAL_CLIENT_MAX], id[REFUSAL_ID_MAX];
	int64_t waited_ms;
};

/* Zeroed, it is empty. */
struct refusals {
	struct refusal ring[REFUSALS_KEPT];
	int64_t count; /* ever; the latest is at (count - 1) % REFUSALS_KEPT */
};

/* Copies it. */
void refusals_add(struct refusals *r, const struct refusal *refusal);

/* The one that came `back` before the latest (0); NULL: there is none any more. */
const struct refusal *refusals_get(const struct refusals *r, size_t back);
