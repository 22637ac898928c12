/*
 * percentile.h - of values that are all at hand; of more than that, see histogram.h.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * By nearest rank: the smallest of `count` values (not 0) that at least `of_100` of 100 don't
 * exceed. Sorts them.
 */
int64_t percentile(int64_t *values, size_t count, size_t of_100);
