/*
 * fuzz_decode.c - compressed bodies, whole and damaged, in pieces as a network may cut them: what comes of
 * one depends on its bytes alone, and no piece is larger than it may be.
 *
 *      text ──> zlib, several members ──> damage ──> decoder, whole and in random pieces ──> the same
 */
#include <zlib.h>

#include "base/buf.h"
#include "driver.h"
#include "mutate.h"
#include "request/decode.h"

enum { COUNT = 1500, LARGE_SHARE = 60, PIECE_MAX = 64 * 1024 };

static const char *const names[] = { "gzip", "x-gzip", "deflate", "zstd", "br", "compress" };
static const char *const tokens[] = { "\x1f\x8b\x08", "\x78\x9c", "\x28\xb5\x2f\xfd", "\x03",
				      "\xff\xff\xff\xff" };

struct result {
	enum decode_status status;
	size_t len;
	uint64_t digest;
};

static size_t by_status[4];

static void put_run(size_t len, struct buf *to)
{
	memset(buf_reserve(to, len), ' ', len);
	to->len += len;
}

/* Runs and noise in turn: where runs end, the ratio changes. */
static void put_text(struct random *r, size_t len, struct buf *to)
{
	size_t end = to->len + len;

	while (to->len < end) {
		size_t run = 1 + random_below(r, random_chance(r, 3) ? len : 3000);
		size_t n = MIN(run, end - to->len);
		char *at = buf_reserve(to, n);
		bool noise = random_chance(r, 2);

		for (size_t i = 0; i < n; i++)
			at[i] = noise ? (char)random_next(r) : ' ';
		to->len += n;
	}
}

static void put_member(struct random *r, int bits, const struct buf *text, struct buf *to)
{
	z_stream z = { 0 };

	must(deflateInit2(&z, (int)random_below(r, 10), Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) ==
	     Z_OK);
	z.next_in = (Bytef *)text->data;
	z.avail_in = (uInt)text->len;
	z.next_out = (Bytef *)buf_reserve(to, deflateBound(&z, text->len));
	z.avail_out = (uInt)deflateBound(&z, text->len);
	must(deflate(&z, Z_FINISH) == Z_STREAM_END);
	to->len += z.total_out;
	deflateEnd(&z);
}

static const char *generate(struct random *r, struct buf *to)
{
	static const int formats[] = { 15 + 16, 15 + 16, 15, -15 };
	size_t coding = random_below(r, 3), members = 1 + random_below(r, 3);

	to->len = 0;
	for (size_t i = 0; i < members; i++) {
		CLEANUP(buf_clear) struct buf text = { 0 };

		if (random_chance(r, LARGE_SHARE))
			put_run(DECODE_RATIO_FROM - 20000 + random_below(r, 40000), &text);
		put_text(r, random_below(r, 20000), &text);
		put_member(r, coding < 2 ? formats[0] : formats[2 + random_below(r, 2)], &text, to);
	}
	if (random_chance(r, 3))
		mutate(r, to, tokens, ARRAY_SIZE(tokens));
	return random_chance(r, 20) ? names[random_below(r, ARRAY_SIZE(names))] : names[coding];
}

static void sink(void *arg, const char *data, size_t len)
{
	struct result *result = arg;

	must(len <= PIECE_MAX);
	for (size_t i = 0; i < len; i++)
		result->digest =
			(result->digest ^ (unsigned char)data[i]) * UINT64_C(0x100000001b3);
	result->len += len;
}

/* `most`: the largest piece. Each is a copy of its own, so that reading beyond it is seen. */
static struct result decode(struct random *r, const char *coding, const struct buf *b, size_t most)
{
	struct header field = { SPAN("content-encoding"), span_of(coding) };
	struct headers headers = { &field, 1 };
	struct result result = { 0 };
	struct decoder *d = decoder_new(&headers, sink, &result);

	for (size_t at = 0, n; at < b->len; at += n) {
		char *piece;

		n = 1 + random_below(r, most);
		n = MIN(n, b->len - at);
		piece = xmalloc(n);
		memcpy(piece, b->data + at, n);
		decode_feed(d, piece, n);
		free(piece);
	}
	result.status = decode_finish(d);
	decoder_free(d);
	return result;
}

static void check(struct random *r, const char *coding, const struct buf *b)
{
	static const size_t most[] = { 1, 10, 1460, 8192 };
	struct result want = decode(r, coding, b, b->len + 1);

	by_status[want.status]++;
	must(want.len <= DECODE_MAX);
	for (size_t i = b->len > 100000 ? 2 : 0; i < ARRAY_SIZE(most); i++) {
		struct result got = decode(r, coding, b, most[i]);

		must(got.status == want.status && got.len == want.len && got.digest == want.digest);
	}
}

int main(int argc, char **argv)
{
	struct random r;
	size_t count = fuzz_count(argc, argv, COUNT, &r);
	CLEANUP(buf_clear) struct buf b = { 0 };

	for (size_t i = 0; i < count; i++) {
		const char *coding = generate(&r, &b);

		check(&r, coding, &b);
	}
	printf("%zu bodies: %zu decoded, %zu unknown, %zu broken, %zu too large\n", count,
	       by_status[DECODE_OK], by_status[DECODE_UNKNOWN], by_status[DECODE_BROKEN],
	       by_status[DECODE_TOO_LARGE]);
	return by_status[DECODE_OK] && by_status[DECODE_BROKEN] && by_status[DECODE_TOO_LARGE] ? 0
											       : 1;
}
