/*
 * decode.h - undoes a request's content coding, for looking only: the upstream gets the original.
 *
 * gzip (also as x-gzip), deflate, and where their libraries were found at build, zstd and br: see
 * coding_*.c. The output goes on piece by piece and is never kept, so a bomb costs time only, and
 * of that little: beyond DECODE_RATIO_FROM decoded bytes a body may not have grown to more than
 * DECODE_RATIO_MAX times its size, nor ever to more than DECODE_MAX. Bytes behind a complete stream
 * are ignored.
 *
 * What comes of a body depends on its bytes alone, not on the pieces in which the network brought them:
 * they are decoded in blocks of one size, as limits are looked at between blocks, and a decompressor may
 * take its input otherwise when it gets it otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/header.h"
#include "base/mem.h"

enum {
	DECODE_MAX = 64 * 1024 * 1024, /* twice of what the API takes */
	DECODE_RATIO_MAX = 200,        /* conversations shrink to a tenth; zlib's limit is 1032 */
	DECODE_RATIO_FROM = 1024 * 1024,
	DECODE_BLOCK = 4096, /* of compressed bytes */
};

enum decode_status {
	DECODE_OK,        /* so far; at the end: complete */
	DECODE_UNKNOWN,   /* a coding that isn't looked into, or several */
	DECODE_BROKEN,    /* damaged; at the end also: cut short */
	DECODE_TOO_LARGE, /* beyond one of the limits */
};

/*
 * A piece of the decoded body. Called from decode_feed() and decode_finish() only; `data` is gone
 * afterwards.
 */
typedef void (*decode_sink_fn)(void *arg, const char *data, size_t len);

/*
 * A decoder for the Content-Encoding of these headers (they may go away). Without one it hands on
 * what it gets. Owned by the caller. From the first compressed byte on, until the stream has ended
 * or failed, it holds what the coding needs: about 40 KiB for gzip and deflate; for zstd and br the
 * window that the stream asks for, at most 8 and 16 MiB.
 */
struct decoder;
struct decoder *decoder_new(const struct headers *headers, decode_sink_fn sink, void *arg) MUST_USE;

/* Whether the headers named a coding other than "identity". */
bool decoder_is_coded(const struct decoder *d) MUST_USE;

/*
 * Decodes the next bytes into the sink, which may be called several times before it returns, or not yet.
 */
void decode_feed(struct decoder *d, const char *data, size_t len);

/* The body has ended: decodes what is left; whether all of it has been decoded. */
enum decode_status decode_finish(struct decoder *d) MUST_USE;

/* Takes NULL. */
void decoder_free(struct decoder *d);
