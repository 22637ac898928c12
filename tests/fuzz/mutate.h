/*
 * mutate.h - what may go wrong with an input: bytes, tokens of its format, cuts, copies of parts.
 */
#pragma once

#include "base/buf.h"
#include "random.h"

/* Damages it in one to three places. `tokens`: of the format, to be put in; at least one. */
void mutate(struct random *r, struct buf *input, const char *const *tokens, size_t count);
