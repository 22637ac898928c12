/*
 * message.h - reads HTTP/1.1 messages, requests or responses, as their bytes arrive.
 *
 * Only what the bench's peers send: a head of at most MESSAGE_HEAD_MAX bytes, then a body by
 * Content-Length or chunked (RFC 9112, sections 6 and 7), no trailers. A response without either has
 * no body here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

enum { MESSAGE_HEAD_MAX = 2048 };

enum message_state {
	MESSAGE_HEAD,
	MESSAGE_BODY,
	MESSAGE_CHUNK_SIZE,
	MESSAGE_CHUNK_DATA,
	MESSAGE_CHUNK_END,
	MESSAGE_LAST_LINE,
	MESSAGE_DONE,
	MESSAGE_BAD,
};

/* A zeroed one is ready for the first byte. */
struct message {
	enum message_state state;
	char head[MESSAGE_HEAD_MAX + 1]; /* terminated once it is complete */
	size_t head_len;
	uint64_t left; /* of the body or chunk */
	bool chunked, body_has_length;
	int status; /* of a response, else 0 */
};

typedef void (*message_body_fn)(void *arg, const char *data, size_t len);

/* Takes bytes up to the message's end and returns how many; `on_body` (or NULL) gets the body's. */
size_t message_feed(struct message *m, const char *data, size_t len, message_body_fn on_body,
		    void *arg) MUST_USE;

/* Ready for the next message. */
void message_reset(struct message *m);

/* Of a complete head: a field's value, "NAME=value" in a target's query, or `otherwise`. */
int64_t message_query(const struct message *m, const char *name, int64_t otherwise) MUST_USE;

/* The value of a field up to the end of its line, or NULL. `name` is lower case, with its colon. */
const char *message_field(const struct message *m, const char *name) MUST_USE;
