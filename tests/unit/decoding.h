/*
 * decoding.h - what the tests of content codings share: a sink, and a body decoded in pieces.
 */
#pragma once

#include "request/decode.h"

#define MESSAGE "{\"messages\":[{\"role\":\"user\",\"content\":\"hello, hello, hello\"}]}"

/* What was decoded: counted, and its beginning kept. */
struct sunk {
	char data[1024];
	size_t len, largest;
};

static void sink(void *arg, const char *data, size_t len)
{
	struct sunk *sunk = arg;

	for (size_t i = 0; i < len && sunk->len + i < sizeof sunk->data; i++)
		sunk->data[sunk->len + i] = data[i];
	sunk->len += len;
	sunk->largest = MAX(sunk->largest, len);
}

/* Decodes in pieces; `coding` NULL: no such header. */
static enum decode_status decode(const char *coding, struct span body, size_t piece,
				 struct sunk *ret)
{
	struct header field = { SPAN("Content-Encoding"), span_of(coding) };
	struct headers headers = { &field, coding ? 1 : 0 };
	struct decoder *d;
	enum decode_status status;

	*ret = (struct sunk){ 0 };
	d = decoder_new(&headers, sink, ret);
	for (size_t at = 0; at < body.len; at += piece)
		decode_feed(d, body.ptr + at, MIN(piece, body.len - at));
	status = decode_finish(d);
	decoder_free(d);
	return status;
}
