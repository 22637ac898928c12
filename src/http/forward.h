/*
 * forward.h - which header fields go on to the other side, and how. Pure functions.
 *
 * End-to-end fields pass unchanged, in order, duplicates and empty values included. Hop-by-hop
 * fields don't (RFC 9110, section 7.6.1): the fixed ones and those that Connection names. Framing
 * (Content-Length, Transfer-Encoding) is made anew on each side.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/header.h"

/* A list of fields that owns the array, not what its spans point to. A zeroed one is empty. */
struct field_list {
	struct header *fields;
	size_t count, cap;
};

void field_list_add(struct field_list *l, struct span name, struct span value);
void field_list_clear(struct field_list *l);

/* Gives all fields of that name this value; nothing if there are none. */
void field_list_replace(struct field_list *l, struct span name, struct span value);

/*
 * The request's fields for the upstream: without Expect (answered by us), with `host` as Host (NULL
 * ptr: the client's), with X-Forwarded-For, to which the client's address is appended ("" for
 * none), and with X-Forwarded-Proto: the client's own, else `proto`. Texts made anew are appended
 * to `texts`, which must outlive `to` and is not used for anything else.
 */
void forward_request_fields(const struct headers *from, struct span host, const char *client,
			    struct span proto, struct buf *texts, struct field_list *to);

/* The response's fields for the client. */
void forward_response_fields(const struct headers *from, struct field_list *to);

/* The body's length by Content-Length; -1 where there is none or Transfer-Encoding overrides it. */
int64_t headers_content_length(const struct headers *h);
