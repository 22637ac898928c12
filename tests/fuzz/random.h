/*
 * random.h - the same seed gives the same input everywhere: xorshift64* (Vigna, 2014).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The state isn't 0. */
struct random {
	uint64_t state;
};

static inline uint64_t random_next(struct random *r)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * UINT64_C(2685821657736338717);
}

/* 0 to n - 1; n is at least 1. */
static inline size_t random_below(struct random *r, size_t n)
{
	return (size_t)(random_next(r) >> 33) % n;
}

static inline bool random_chance(struct random *r, size_t one_in)
{
	return random_below(r, one_in) == 0;
}
