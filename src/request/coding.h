/*
 * coding.h - one content coding each: what decode.c needs of a decompressor. Private to decode.
 *
 * A coding is a file and a row of decode.c's table. zlib is always there; zstd and brotli where
 * meson finds them (HAVE_ZSTD, HAVE_BROTLI).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

enum coding_step {
	CODING_MORE,      /* goes on, with more input or more room */
	CODING_ENDED,     /* a stream is complete; input may be left */
	CODING_BROKEN,    /* damaged */
	CODING_TOO_LARGE, /* wants more memory than we give it */
};

struct coding {
	struct span names[2]; /* in Content-Encoding; the second may be empty */

	/* A decompressor for a stream that begins with this byte. Never fails. */
	void *(*open)(unsigned char first);

	/*
	 * Decompresses: takes bytes off the front of `*in`, writes up to `room` to `out` and how
	 * many that were to `*ret_len`. If it neither takes nor writes, it needs more input.
	 */
	enum coding_step (*step)(void *state, struct span *in, char *out, size_t room,
				 size_t *ret_len);

	void (*close)(void *state);

	/*
	 * Whether, behind a complete stream, this byte begins another one. NULL: there is but one.
	 */
	bool (*continues)(unsigned char first);
};

extern const struct coding coding_gzip, coding_deflate, coding_zstd, coding_brotli;
