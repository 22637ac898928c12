/*
 * typo.h - is a name nearly another one? For "did you mean …?".
 */
#pragma once

#include "base/span.h"

enum { TYPO_FAR = 99 };

/*
 * How many letters must be put in, taken out, replaced or swapped with their neighbour to get from
 * `a` to `b`: "optimal string alignment", as in Navarro, "A guided tour to approximate string
 * matching", 2001. TYPO_FAR where one of them is longer than 63 bytes.
 */
int typo_distance(struct span a, struct span b);

/* The distance up to which another name may have been meant: a longer name may be misspelt more. */
int typo_limit(struct span name);
