/*
 * tally.h - counters by account, for as many accounts as an operator wants.
 *
 * Names come from clients, so there is a cap: the first ones seen get counters of their own, all
 * later ones share a row. A row never goes away, so its counters never fall.
 */
#pragma once

#include <stdint.h>

#include "base/mem.h"
#include "proxy/quota.h"

#define TALLY_OTHER "other" /* the row of those beyond the cap */

struct tally;

struct tally_row {
	const char *account;
	int64_t turns, refused;              /* gated requests that had a turn; that had none */
	int64_t wait_us, hold_us;            /* sums */
	int64_t answers[QUOTA_ANSWER_COUNT]; /* of the upstream */
};

/* With a `cap` of 0 nothing is counted. */
struct tally *tally_new(int64_t cap) MUST_USE;
void tally_free(struct tally *t); /* takes NULL */

/* A gated request has ended; `hold_us` less than 0: it never had a turn. */
void tally_add(struct tally *t, const char *account, int64_t wait_us, int64_t hold_us);

/* The upstream has answered a request of that account, gated or not. */
void tally_answer(struct tally *t, const char *account, enum quota_answer answer);

/* Calls `fn` for each row, in order of appearance. */
void tally_each(const struct tally *t, void (*fn)(void *arg, const struct tally_row *row),
		void *arg);
