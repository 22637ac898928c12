/*
 * record.h - what Redis knows of a ticket: the record that lua/prelude.lua writes. Pure.
 */
#pragma once

#include "queue/query.h"

struct record {
	int64_t joined_ms;         /* by Redis' clock */
	int64_t start_ms;          /* of its turn, likewise; 0: it has none */
	struct lock_waiter waiter; /* all but its ticket and waited_ms */
};

/*
 * False: it is none, or another version's, and `ret` says of nothing that it is known. Other
 * programs may put anything there: what isn't printable ASCII becomes "?".
 */
bool record_read(struct span text, struct record *ret) MUST_USE;

/* Copies a word in the same way, up to `size` with its NUL. */
void record_copy(struct span from, char *to, size_t size);
