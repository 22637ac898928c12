/*
 * coding_brotli.c - br (RFC 7932), by libbrotlidec. Its window is 16 MiB at most; the "large
 * window" extension, which isn't part of the coding, stays off.
 */
#include <brotli/decode.h>
#include <stdint.h>

#include "base/mem.h"
#include "request/coding.h"

static void *brotli_open(unsigned char first)
{
	BrotliDecoderState *b = BrotliDecoderCreateInstance(NULL, NULL, NULL);

	(void)first;
	must(b);
	return b;
}

static enum coding_step brotli_step(void *state, struct span *in, char *out, size_t room,
				    size_t *ret_len)
{
	const uint8_t *from = (const uint8_t *)in->ptr;
	uint8_t *to = (uint8_t *)out;
	size_t left = room;
	BrotliDecoderResult r =
		BrotliDecoderDecompressStream(state, &in->len, &from, &left, &to, NULL);

	in->ptr = (const char *)from;
	*ret_len = room - left;
	if (r == BROTLI_DECODER_RESULT_ERROR)
		return CODING_BROKEN;
	return r == BROTLI_DECODER_RESULT_SUCCESS ? CODING_ENDED : CODING_MORE;
}

static void brotli_close(void *state)
{
	BrotliDecoderDestroyInstance(state);
}

const struct coding coding_brotli = {
	{ SPAN("br"), { NULL, 0 } }, brotli_open, brotli_step, brotli_close, NULL,
};
