/*
 * test_decode.c - content codings, and what a bomb costs.
 */
#include "check.h"
#include "decoding.h"
#include "request/decode.h"
#include "request/request.h"

#include <zlib.h>

/* zlib's window bits for each format. */
enum { FORMAT_ZLIB = 15, FORMAT_GZIP = 15 + 16, FORMAT_BARE = -15 };

/* Appends the compressed form of `text`, `times` over. */
static void compress_into(struct buf *to, int format, struct span text, size_t times)
{
	z_stream z = { 0 };
	int r = deflateInit2(&z, 9, Z_DEFLATED, format, 8, Z_DEFAULT_STRATEGY);

	must(r == Z_OK);
	for (size_t i = 0; i <= times; i++) {
		z.next_in = (Bytef *)(uintptr_t)text.ptr;
		z.avail_in = i < times ? (uInt)text.len : 0;
		do {
			z.next_out = (Bytef *)buf_reserve(to, 4096);
			z.avail_out = 4096;
			r = deflate(&z, i < times ? Z_NO_FLUSH : Z_FINISH);
			to->len += 4096 - z.avail_out;
		} while (!z.avail_out);
	}
	must(r == Z_STREAM_END);
	deflateEnd(&z);
}

static struct header coding_field(const char *coding)
{
	return (struct header){ SPAN("Content-Encoding"), span_of(coding) };
}

static void check_decodes(const char *coding, struct span body, const char *want)
{
	for (size_t piece = 1; piece <= body.len; piece++) {
		struct sunk sunk;

		CHECK_INT(decode(coding, body, piece, &sunk), DECODE_OK);
		CHECK(span_eq((struct span){ sunk.data, sunk.len }, span_of(want)));
	}
}

static void test_formats(void)
{
	static const struct {
		const char *coding;
		int format;
	} rows[] = {
		{ "gzip", FORMAT_GZIP },           { "x-gzip", FORMAT_GZIP },
		{ " GZip ", FORMAT_GZIP },         { "deflate", FORMAT_ZLIB },
		{ "Deflate", FORMAT_ZLIB },        { "deflate", FORMAT_BARE },
		{ "identity, gzip", FORMAT_GZIP },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct buf b = { 0 };

		compress_into(&b, rows[i].format, SPAN(MESSAGE), 1);
		check_decodes(rows[i].coding, buf_span(&b), MESSAGE);
		buf_clear(&b);
	}
	check_decodes(NULL, SPAN(MESSAGE), MESSAGE);
	check_decodes("identity", SPAN(MESSAGE), MESSAGE);
	check_decodes("", SPAN(MESSAGE), MESSAGE);
}

static void test_members(void)
{
	struct buf b = { 0 };

	compress_into(&b, FORMAT_GZIP, SPAN("one"), 1);
	compress_into(&b, FORMAT_GZIP, SPAN(""), 1);
	compress_into(&b, FORMAT_GZIP, SPAN(" two"), 1);
	check_decodes("gzip", buf_span(&b), "one two");
	buf_append(&b, "\0\0\0", 3); /* padding */
	check_decodes("gzip", buf_span(&b), "one two");
	buf_append(&b, "\x1f\x8b\x08", 3); /* behind the padding: not looked at */
	check_decodes("gzip", buf_span(&b), "one two");
	buf_clear(&b);
	compress_into(&b, FORMAT_GZIP, SPAN("one"), 1);
	buf_append(&b, "\x1f\x8b\x08", 3); /* a further one, cut short */
	for (size_t piece = 1; piece <= b.len; piece++)
		CHECK_INT(decode("gzip", buf_span(&b), piece, &(struct sunk){ 0 }), DECODE_BROKEN);
	buf_clear(&b);
}

static void test_unknown(void)
{
	static const char *const codings[] = { "compress", "gzip, gzip",        "gzip,deflate",
					       "gzi",      "identity,compress", "gzip, br",
					       "br, zstd" };
	struct sunk sunk;

	for (size_t i = 0; i < ARRAY_SIZE(codings); i++) {
		CHECK_INT(decode(codings[i], SPAN(MESSAGE), 10, &sunk), DECODE_UNKNOWN);
		CHECK_INT(sunk.len, 0);
	}
}

static void test_two_fields(void)
{
	struct header fields[] = { coding_field("gzip"), coding_field("gzip") };
	struct headers headers = { fields, 2 };
	struct decoder *d = decoder_new(&headers, sink, NULL);

	CHECK_INT(decode_finish(d), DECODE_UNKNOWN);
	decoder_free(d);
	decoder_free(NULL);
}

/* Cut anywhere, or with any bit turned over, a gzip body is noticed: it has a checksum. */
static void test_broken(void)
{
	enum { GZIP_HEADER_BYTES = 10 }; /* flags, time and system in it don't matter */
	struct buf b = { 0 };
	struct sunk sunk;

	compress_into(&b, FORMAT_GZIP, SPAN(MESSAGE), 1);
	for (size_t len = 0; len < b.len; len++)
		CHECK_INT(decode("gzip", (struct span){ b.data, len }, 7, &sunk), DECODE_BROKEN);
	for (size_t i = GZIP_HEADER_BYTES; i < b.len; i++) {
		b.data[i] ^= 4;
		CHECK_INT(decode("gzip", buf_span(&b), 7, &sunk), DECODE_BROKEN);
		b.data[i] ^= 4;
	}
	CHECK_INT(decode("gzip", SPAN(MESSAGE), 7, &sunk), DECODE_BROKEN);
	CHECK_INT(decode("deflate", SPAN(MESSAGE), 7, &sunk), DECODE_BROKEN);
	buf_clear(&b);
}

/* A bomb ends at the ratio; never more than a piece of it is in memory. */
static void test_bomb(void)
{
	static const char zeros[64 * 1024];
	struct buf b = { 0 };
	struct sunk sunk;

	compress_into(&b, FORMAT_GZIP, (struct span){ zeros, sizeof zeros }, 1600);
	CHECK_INT(decode("gzip", buf_span(&b), 1000, &sunk), DECODE_TOO_LARGE);
	CHECK(sunk.len <= DECODE_RATIO_FROM + DECODE_RATIO_MAX * 1000);
	CHECK(sunk.largest <= 64 * 1024);
	buf_clear(&b);
	compress_into(&b, FORMAT_GZIP, (struct span){ zeros, sizeof zeros }, 15);
	CHECK_INT(decode("gzip", buf_span(&b), b.len, &sunk), DECODE_OK); /* small ones may */
	CHECK_INT(sunk.len, 15 * sizeof zeros);
	buf_clear(&b);
}

/* Where the ratio is looked at doesn't depend on how the network cut the body. */
static void test_pieces_decide_nothing(void)
{
	static const size_t pieces[] = { 1, 7, 536, 1460, 4095, 4096, 4097, 1 << 20 };
	char *text = xcalloc(1, DECODE_RATIO_FROM + 40000);
	unsigned seed = 1;

	for (size_t zeros = DECODE_RATIO_FROM - 40000; zeros <= DECODE_RATIO_FROM + 10000;
	     zeros += 2500) {
		struct sunk first, sunk;
		enum decode_status want;
		struct buf b = { 0 };

		memset(text, 0, zeros);
		for (size_t i = zeros; i < zeros + 30000; i++)
			text[i] = (char)(seed = seed * 1103515245 + 12345, seed >> 16);
		compress_into(&b, FORMAT_GZIP, (struct span){ text, zeros + 30000 }, 1);
		want = decode("gzip", buf_span(&b), b.len, &first);
		for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
			CHECK_INT(decode("gzip", buf_span(&b), pieces[i], &sunk), want);
			CHECK_INT(sunk.len, first.len);
		}
		buf_clear(&b);
	}
	free(text);
}

/* What doesn't shrink much is stopped by its size alone. Members are cheaper to make than one. */
static void test_too_large(void)
{
	enum { BLOCK_BYTES = 64 * 1024, BLOCKS = DECODE_MAX / BLOCK_BYTES };
	CLEANUP(freep) char *noise = xmalloc(BLOCK_BYTES);
	unsigned seed = 1;
	struct buf member = { 0 }, b = { 0 };
	struct sunk sunk;

	for (size_t i = 0; i < BLOCK_BYTES; i++)
		noise[i] = i % 64 ? 'x' : (char)(seed = seed * 1103515245 + 12345, seed >> 16);
	compress_into(&member, FORMAT_GZIP, (struct span){ noise, BLOCK_BYTES }, 1);
	for (size_t i = 0; i < BLOCKS; i++)
		buf_append(&b, member.data, member.len);
	CHECK_INT(decode("gzip", buf_span(&b), 65536, &sunk), DECODE_OK);
	CHECK_INT(sunk.len, DECODE_MAX);
	buf_append(&b, member.data, member.len);
	CHECK_INT(decode("gzip", buf_span(&b), 65536, &sunk), DECODE_TOO_LARGE);
	CHECK(sunk.len <= DECODE_MAX);
	buf_clear(&member);
	buf_clear(&b);
}

static struct request_verdict verdict_on(const char *coding, struct span body)
{
	struct account_source sources[] = { { ACCOUNT_NONE, NULL } };
	struct config config = { .queue = { .enabled = true }, .account = { sources } };
	struct header field = coding_field(coding);
	struct headers headers = { &field, 1 };
	struct look *look = look_new(&headers);
	struct request_verdict verdict;

	for (size_t at = 0; at < body.len; at++)
		look_feed(look, body.ptr + at, 1);
	look_finish(look, &config, &headers, "", body, &verdict);
	look_free(look);
	return verdict;
}

static void test_verdicts(void)
{
	static const char zeros[2 * 1024 * 1024];
	struct buf b = { 0 };

	compress_into(&b, FORMAT_GZIP, SPAN(MESSAGE), 1);
	CHECK_STR(verdict_on("gzip", buf_span(&b)).reason, "text");
	CHECK(verdict_on("gzip", buf_span(&b)).gated);
	CHECK_STR(verdict_on("compress", buf_span(&b)).reason, "content_coding");
	CHECK(verdict_on("compress", buf_span(&b)).gated);
	CHECK_STR(verdict_on("identity", buf_span(&b)).reason, "not_json");
	b.len--;
	CHECK_STR(verdict_on("gzip", buf_span(&b)).reason, "coding_broken");
	b.len = 0;
	compress_into(&b, FORMAT_GZIP, (struct span){ zeros, sizeof zeros }, 1);
	CHECK_STR(verdict_on("gzip", buf_span(&b)).reason, "coding_too_large");
	b.len = 0;
	compress_into(&b, FORMAT_GZIP, SPAN("not JSON"), 1);
	CHECK_STR(verdict_on("gzip", buf_span(&b)).reason, "not_json");
	buf_clear(&b);
}

int main(void)
{
	test_formats();
	test_members();
	test_unknown();
	test_two_fields();
	test_broken();
	test_bomb();
	test_pieces_decide_nothing();
	test_too_large();
	test_verdicts();
	return check_done();
}
