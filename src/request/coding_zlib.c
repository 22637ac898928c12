/*
 * coding_zlib.c - gzip (RFC 1952, several members too) and deflate, by zlib. "deflate" is the zlib
 * format (RFC 1950, as RFC 9110 says), or a bare RFC 1951 stream, which some clients send.
 */
#include <stdint.h>
#include <zlib.h>

#include "base/mem.h"
#include "request/coding.h"

enum {
	INPUT_MAX = 1 << 30, /* zlib counts in an unsigned int */
	GZIP_MAGIC = 0x1f,
};

/* zlib's window bits: the largest window, with a gzip or zlib header, or none. */
enum { WINDOW_DETECT = 15 + 32, WINDOW_BARE = -15 };

static void *open_window(int window)
{
	z_stream *z = xcalloc(1, sizeof *z);

	must(inflateInit2(z, window) == Z_OK);
	return z;
}

static void *gzip_open(unsigned char first)
{
	(void)first;
	return open_window(WINDOW_DETECT);
}

/*
 * RFC 1950: the low bits of the first byte are the method, 8. A bare stream begins so only if its
 * first block is a stored one and padded with ones, which no encoder does.
 */
static void *deflate_open(unsigned char first)
{
	return open_window((first & 0x0f) == 8 ? WINDOW_DETECT : WINDOW_BARE);
}

static enum coding_step zlib_step(void *state, struct span *in, char *out, size_t room,
				  size_t *ret_len)
{
	z_stream *z = state;
	uInt given = (uInt)MIN(in->len, (size_t)INPUT_MAX);
	int r;

	z->next_in = (Bytef *)(uintptr_t)in->ptr;
	z->avail_in = given;
	z->next_out = (Bytef *)out;
	z->avail_out = (uInt)room;
	r = inflate(z, Z_NO_FLUSH);
	must(r != Z_MEM_ERROR && r != Z_STREAM_ERROR);
	in->ptr += given - z->avail_in;
	in->len -= given - z->avail_in;
	*ret_len = room - z->avail_out;
	if (r == Z_STREAM_END)
		return CODING_ENDED;
	return r == Z_OK || r == Z_BUF_ERROR ? CODING_MORE : CODING_BROKEN;
}

static void zlib_close(void *state)
{
	inflateEnd(state);
	free(state);
}

/* RFC 1952, section 2.2: members follow one another. */
static bool gzip_continues(unsigned char first)
{
	return first == GZIP_MAGIC;
}

const struct coding coding_gzip = {
	{ SPAN("gzip"), SPAN("x-gzip") }, gzip_open, zlib_step, zlib_close, gzip_continues,
};
const struct coding coding_deflate = {
	{ SPAN("deflate"), { NULL, 0 } }, deflate_open, zlib_step, zlib_close, NULL,
};
