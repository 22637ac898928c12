/*
 * test_codings.c - zstd and br, where this build has them: whole, in pieces, damaged, and too
 * large. What the test compresses with comes from the libraries themselves.
 */
#include "base/buf.h"
#include "check.h"
#include "decoding.h"
#include "request/decode.h"

#ifdef HAVE_ZSTD
#include <zstd.h>
#endif
#ifdef HAVE_BROTLI_ENCODER
#include <brotli/encode.h>
#endif

#if defined(HAVE_ZSTD) || defined(HAVE_BROTLI_ENCODER)
/* What every coding must do, whatever it is. */
struct packer {
	const char *name, *odd_case;
	void (*pack)(struct buf *to, struct span text);
};

static void check_decodes(const struct packer *p, struct span body, const char *want)
{
	for (size_t piece = 1; piece <= body.len; piece++) {
		struct sunk sunk;

		CHECK_INT(decode(piece % 2 ? p->name : p->odd_case, body, piece, &sunk), DECODE_OK);
		CHECK(span_eq((struct span){ sunk.data, sunk.len }, span_of(want)));
	}
}

static void test_whole(const struct packer *p)
{
	CLEANUP(buf_clear) struct buf b = { 0 };

	p->pack(&b, SPAN(MESSAGE));
	check_decodes(p, buf_span(&b), MESSAGE);
	buf_append(&b, "\0\0\0", 3); /* behind the end: ignored */
	check_decodes(p, buf_span(&b), MESSAGE);
}

static void test_cut(const struct packer *p)
{
	CLEANUP(buf_clear) struct buf b = { 0 };
	struct sunk sunk;

	p->pack(&b, SPAN(MESSAGE));
	for (size_t len = 0; len < b.len; len++)
		CHECK_INT(decode(p->name, (struct span){ b.data, len }, 7, &sunk), DECODE_BROKEN);
	CHECK_INT(decode(p->name, SPAN(MESSAGE), 7, &sunk), DECODE_BROKEN);
}

/* A bomb ends at the ratio; never more than a piece of it is in memory. */
static void test_bomb(const struct packer *p)
{
	enum { BOMB_BYTES = 32 * 1024 * 1024 };
	char *zeros = xcalloc(1, BOMB_BYTES);
	CLEANUP(buf_clear) struct buf b = { 0 };
	struct sunk sunk;

	p->pack(&b, (struct span){ zeros, BOMB_BYTES });
	free(zeros);
	CHECK(b.len < BOMB_BYTES / DECODE_RATIO_MAX);
	CHECK_INT(decode(p->name, buf_span(&b), 1000, &sunk), DECODE_TOO_LARGE);
	CHECK(sunk.len <= DECODE_RATIO_FROM + (b.len + 1) * DECODE_RATIO_MAX + 64 * 1024);
	CHECK(sunk.largest <= 64 * 1024);
}

static void test_coding(const struct packer *p)
{
	printf("%s\n", p->name);
	test_whole(p);
	test_cut(p);
	test_bomb(p);
}
#endif

#ifdef HAVE_ZSTD
static void zstd_pack_window(struct buf *to, struct span text, int window_log)
{
	ZSTD_CCtx *z = ZSTD_createCCtx();
	size_t room = ZSTD_compressBound(text.len), n;

	must(!ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1)));
	must(!ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_contentSizeFlag, 0)));
	if (window_log)
		must(!ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, window_log)));
	n = ZSTD_compress2(z, buf_reserve(to, room), room, text.ptr, text.len);
	must(!ZSTD_isError(n));
	to->len += n;
	ZSTD_freeCCtx(z);
}

static void zstd_pack(struct buf *to, struct span text)
{
	zstd_pack_window(to, text, 0);
}

static const struct packer zstd = { "zstd", "ZStd", zstd_pack };

/* Frames follow one another, and some say of themselves that they are to be skipped. */
static void test_frames(void)
{
	CLEANUP(buf_clear) struct buf b = { 0 };

	zstd_pack(&b, SPAN("one"));
	buf_append(&b, "\x50\x2a\x4d\x18\x02\0\0\0ab", 10);
	zstd_pack(&b, SPAN(" two"));
	check_decodes(&zstd, buf_span(&b), "one two");
	b.len--;
	CHECK_INT(decode("zstd", buf_span(&b), 5, &(struct sunk){ 0 }), DECODE_BROKEN);
}

/* RFC 9659: 8 MiB must do. A frame that asks for more is refused before it gets anything. */
static void test_window(void)
{
	CLEANUP(buf_clear) struct buf fits = { 0 }, large = { 0 };
	struct buf text = { 0 };
	struct sunk sunk;

	for (int i = 0; i < 300000; i++) /* about 5 MiB that hardly repeat */
		buf_printf(&text, "%d %08x\n", i, (unsigned)i * 2654435761u);
	zstd_pack_window(&fits, buf_span(&text), 23);
	CHECK_INT(decode("zstd", buf_span(&fits), 65536, &sunk), DECODE_OK);
	CHECK_INT(sunk.len, text.len);
	/* an empty frame with a window descriptor of 2^24: RFC 8878, section 3.1.1.1.2 */
	buf_append(&large, "\x28\xb5\x2f\xfd\x00\x70\x01\x00\x00", 9);
	CHECK_INT(decode("zstd", buf_span(&large), 65536, &sunk), DECODE_TOO_LARGE);
	CHECK_INT(sunk.len, 0);
	buf_clear(&text);
}

static void test_zstd(void)
{
	test_coding(&zstd);
	test_frames();
	test_window();
}
#else
static void test_zstd(void)
{
	CHECK_INT(decode("zstd", SPAN(MESSAGE), 7, &(struct sunk){ 0 }), DECODE_UNKNOWN);
}
#endif

#ifdef HAVE_BROTLI_ENCODER
static void brotli_pack(struct buf *to, struct span text)
{
	size_t room = BrotliEncoderMaxCompressedSize(text.len);

	must(BrotliEncoderCompress(5, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_TEXT, text.len,
				   (const uint8_t *)text.ptr, &room,
				   (uint8_t *)buf_reserve(to, room)));
	to->len += room;
}

static void test_brotli(void)
{
	static const struct packer brotli = { "br", "Br", brotli_pack };
	struct sunk sunk;

	test_coding(&brotli);
	/* the extension for windows of up to a gigabyte isn't part of "br" */
	CHECK_INT(decode("br", SPAN("\x11\x1e\x03"), 3, &sunk), DECODE_BROKEN);
}
#elif defined(HAVE_BROTLI)
static void test_brotli(void)
{
	struct sunk sunk;

	/* "hello" as a literal, made by the brotli tool: there is no encoder here */
	CHECK_INT(decode("br", SPAN("\x0b\x02\x80hello\x03"), 2, &sunk), DECODE_OK);
	CHECK(span_eq((struct span){ sunk.data, sunk.len }, SPAN("hello")));
}
#else
static void test_brotli(void)
{
	CHECK_INT(decode("br", SPAN(MESSAGE), 7, &(struct sunk){ 0 }), DECODE_UNKNOWN);
}
#endif

int main(void)
{
	test_zstd();
	test_brotli();
	return check_done();
}
