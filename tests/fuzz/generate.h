/*
 * generate.h - bodies that resemble requests, and what may go wrong with them.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"

/* xorshift64* (Vigna, 2014): the same seed gives the same bodies everywhere. Not 0. */
struct random {
	uint64_t state;
};

uint64_t random_next(struct random *r);
/* 0 to n - 1; n is at least 1. */
size_t random_below(struct random *r, size_t n);

/* Replaces `body` by a valid JSON text in the format of requests, with odd variations. */
void generate_body(struct random *r, struct buf *body);

/* Damages it here and there: bytes, tokens, cuts, copies of parts. Most results aren't JSON. */
void mutate_body(struct random *r, struct buf *body);
