/*
 * reply.h - what is answered: a head, and a body in numbered pieces that can be made at any time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "incoming.h"
#include "script.h"

enum reply_kind {
	REPLY_TEXT,   /* one piece, `text` */
	REPLY_EVENTS, /* a piece an event */
	REPLY_BYTES,  /* `123456789\n` over and over, as `yes 123456789 | head -c n` prints it */
};

struct reply {
	enum reply_kind kind;
	int status;
	const char *type;
	struct buf text;
	uint64_t number; /* of this response, for its ids */
	uint64_t pieces, next;
	bool chunked, close, no_body;
	bool calls_tool; /* what is answered is the call of a tool, in place of text */
};

/* Chooses the answer to a whole request; `connection` is told by /echo. */
void reply_route(struct reply *r, const struct incoming *in, const struct script *s,
		 uint64_t connection);

/* An error in the API's shape instead. */
void reply_error(struct reply *r, int status, struct span message);

/* JSON with status 200 instead; takes `text`. */
void reply_json(struct reply *r, struct buf *text);

/* Appends the head and settles how the body is framed. */
void reply_head(struct reply *r, const struct incoming *in, const struct script *s,
		struct buf *out);

/* Appends piece number `i`, framed. */
void reply_piece(const struct reply *r, const struct script *s, uint64_t i, struct buf *out);

/* Whether piece `i` is one that X-Relay-Interval-Ms is waited before. */
bool reply_paced(const struct reply *r, const struct script *s, uint64_t i);

/* Appends what ends the body, if anything does. */
void reply_end(const struct reply *r, struct buf *out);

void reply_clear(struct reply *r);
