/*
 * coding_zstd.c - zstd (RFC 8878), by libzstd. A frame may ask for a window of gigabytes; as a
 * content coding it must do with 8 MiB (RFC 9659), and gets no more.
 */
#include <zstd.h>
#include <zstd_errors.h>

#include "base/mem.h"
#include "request/coding.h"

enum { WINDOW_LOG_MAX = 23 };

static void *zstd_open(unsigned char first)
{
	ZSTD_DCtx *z = ZSTD_createDCtx();

	(void)first;
	must(z && !ZSTD_isError(ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)));
	return z;
}

static enum coding_step failed(size_t result)
{
	return ZSTD_getErrorCode(result) == ZSTD_error_frameParameter_windowTooLarge
		       ? CODING_TOO_LARGE
		       : CODING_BROKEN;
}

static enum coding_step zstd_step(void *state, struct span *in, char *out, size_t room,
				  size_t *ret_len)
{
	ZSTD_inBuffer from = { in->ptr, in->len, 0 };
	ZSTD_outBuffer to = { out, room, 0 };
	size_t r = ZSTD_decompressStream(state, &to, &from);

	in->ptr += from.pos;
	in->len -= from.pos;
	*ret_len = to.pos;
	if (ZSTD_isError(r))
		return failed(r);
	return r ? CODING_MORE : CODING_ENDED;
}

static void zstd_close(void *state)
{
	ZSTD_freeDCtx(state);
}

/* Section 3: frames follow one another; the first bytes of a frame, and of one to be skipped. */
static bool zstd_continues(unsigned char first)
{
	return first == 0x28 || (first & 0xf0) == 0x50;
}

const struct coding coding_zstd = {
	{ SPAN("zstd"), { NULL, 0 } }, zstd_open, zstd_step, zstd_close, zstd_continues,
};
