/*
 * kept.h - places of an account that are kept for whoever comes back for them.
 *
 * What is kept is the rank, not a ghost in the line: the line goes on without it. Bounded: the
 * oldest go, of one share or of all.
 */
#pragma once

#include "base/list.h"
#include "queue/memory/share.h"
#include "queue/order.h"

struct kept_place {
	char key[LOCK_KEEP_KEY_MAX];
	struct order_place order;
	struct share *share;
	int64_t until_ms;
	struct list link;     /* in kept.by_age */
	struct list of_share; /* in share->kept */
	UT_hash_handle hh;
};

/* Zeroed, then kept_open(). */
struct kept {
	struct kept_place *by_key;
	struct list by_age; /* the oldest first */
	struct shares *shares;
	int64_t *total; /* of all accounts */
};

/* `shares` and `total`, in which its places are counted, outlive it. */
void kept_open(struct kept *k, struct shares *shares, int64_t *total);

/*
 * Keeps a place (key, order, share, until_ms; copied, with a use of the share that is its own), at
 * most `max` of them. Of two with one key the lower rank stays.
 */
void kept_put(struct kept *k, const struct kept_place *what, int64_t max);

/* The place for that key at `now_ms`, or NULL. Valid until the next call. */
struct kept_place *kept_find(struct kept *k, const char *key, int64_t now_ms);

/* It is taken, or no longer wanted: frees it. */
void kept_drop(struct kept *k, struct kept_place *p);

/* Drops what is over at `now_ms`. */
void kept_expire(struct kept *k, int64_t now_ms);

int64_t kept_count(const struct kept *k);

void kept_clear(struct kept *k);
