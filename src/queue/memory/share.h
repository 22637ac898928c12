/*
 * share.h - the shares of one account that are in use, and by how much.
 */
#pragma once

#include "queue/lock.h"

#define uthash_fatal(msg) must_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

struct share {
	int64_t uses; /* by places, kept places and samples: the last one frees it */
	int64_t waiting;
	struct list kept; /* of kept_place.of_share, the oldest first */
	int64_t kept_count;
	UT_hash_handle hh;
	char name[];
};

/* Zeroed, it is empty. */
struct shares {
	struct share *by_name;
};

/* The share of that name, made if need be, for one use more: shares_drop() ends it. */
struct share *shares_use(struct shares *s, const char *name);

/* One use less. Takes NULL. */
void shares_drop(struct shares *s, struct share *share);
