/*
 * incoming.h - one HTTP/1.1 request as it arrives (RFC 9112), kept exactly as received.
 *
 * The body is not kept: it is counted, hashed, and searched for `"stream":true` and `"type":"tool_result"`.
 */
#pragma once

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/header.h"

enum incoming_state {
	INCOMING_HEAD,
	INCOMING_BODY,
	INCOMING_CHUNK_SIZE,
	INCOMING_CHUNK_EXTENSION,
	INCOMING_CHUNK,
	INCOMING_CHUNK_END,
	INCOMING_TRAILER,
	INCOMING_DONE,
	INCOMING_BAD, /* not HTTP; the connection is of no further use */
};

/* A zeroed one waits for a head. */
struct incoming {
	enum incoming_state state;
	struct buf head;  /* from the request line to the empty line, both included */
	struct span line; /* these point into `head`, once it is whole */
	struct span method, target, path, query;
	struct headers headers;
	struct header *fields; /* the memory of `headers` */
	bool chunked, old, close, expects_100;

	uint64_t left; /* of the body, or of this chunk */
	size_t trailer_bytes;
	uint64_t body_bytes;
	bool wants_stream, has_tool_result;
	char seam[64]; /* the end of the last piece of the body, as the word may lie across two */
	size_t seam_len;
	EVP_MD_CTX *sha;
	char sha256[65]; /* in hex, once DONE */
};

/*
 * Takes bytes and returns how many of them belong to this request. Stops behind the head as well
 * (the state is then no longer INCOMING_HEAD), so that the caller can act before the body.
 */
size_t incoming_feed(struct incoming *in, const char *data, size_t len);

/* Frees; it waits for a head again. May be called twice. */
void incoming_clear(struct incoming *in);
