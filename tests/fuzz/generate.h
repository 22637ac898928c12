/*
 * generate.h - bodies that resemble requests, and what may go wrong with them.
 */
#pragma once

#include "base/buf.h"
#include "random.h"

/* Replaces `body` by a valid JSON text in the format of requests, with odd variations. */
void generate_body(struct random *r, struct buf *body);

/* Damages it here and there: bytes, tokens, cuts, copies of parts. Most results aren't JSON. */
void mutate_body(struct random *r, struct buf *body);
