/*
 * decode.c - undoes a request's content coding, for looking only.
 *
 *      PLAIN      hands on
 *      COMPRESSED ──first byte──> INFLATING ──> FAILED   `status` says why
 *                                  │     ^
 *                                  v     │ the next gzip member
 *                                MEMBER_ENDED ──> ENDED  the rest is ignored
 *      FAILED     from the start, if the coding is unknown
 */
#include "request/decode.h"

#include <stdint.h>
#include <zlib.h>

enum {
	OUTPUT_BYTES = 32 * 1024,
	INPUT_BYTES_MAX = 1 << 30, /* zlib counts in an int */
	GZIP_MAGIC = 0x1f,
};

/* zlib's window bits: the largest window, with a gzip or zlib header, or none. */
enum { WINDOW_DETECT = 15 + 32, WINDOW_BARE = -15 };

struct decoder {
	enum { PLAIN, COMPRESSED, INFLATING, MEMBER_ENDED, ENDED, FAILED } state;
	enum decode_status status;
	bool gzip;
	decode_sink_fn sink;
	void *arg;
	z_stream z; /* open while INFLATING */
	size_t in, out;
};

static void leave_inflating(struct decoder *d, int state, enum decode_status status)
{
	inflateEnd(&d->z);
	d->state = state;
	d->status = status;
}

/* The codings of all such fields, in a row; "identity" is none. */
static void choose_coding(struct decoder *d, const struct headers *headers)
{
	for (size_t i = 0; i < headers->count; i++) {
		struct span rest = headers->fields[i].value, coding;

		if (!span_ieq(headers->fields[i].name, SPAN("content-encoding")))
			continue;
		while (span_next(&rest, ',', &coding)) {
			bool gzip =
				span_ieq(coding, SPAN("gzip")) || span_ieq(coding, SPAN("x-gzip"));

			if (!coding.len || span_ieq(coding, SPAN("identity")))
				continue;
			if (d->state == PLAIN && (gzip || span_ieq(coding, SPAN("deflate")))) {
				d->state = COMPRESSED;
				d->gzip = gzip;
			} else {
				d->state = FAILED;
				d->status = DECODE_UNKNOWN;
			}
		}
	}
}

/*
 * RFC 1950: the low bits of the first byte are the method, 8. A bare stream begins so only if its
 * first block is a stored one and padded with ones, which no encoder does.
 */
static void start_inflating(struct decoder *d, char first)
{
	bool bare = !d->gzip && (first & 0x0f) != 8;

	d->z = (z_stream){ 0 };
	must(inflateInit2(&d->z, bare ? WINDOW_BARE : WINDOW_DETECT) == Z_OK);
	d->state = INFLATING;
}

static bool too_large(const struct decoder *d)
{
	return d->out > DECODE_MAX ||
	       (d->out > DECODE_RATIO_FROM && d->out / DECODE_RATIO_MAX > d->in);
}

/* One call of zlib; false when it needs more input, or has left INFLATING. */
static bool inflate_some(struct decoder *d)
{
	char output[OUTPUT_BYTES];
	size_t len, before = d->z.avail_in;
	int r;

	d->z.next_out = (Bytef *)output;
	d->z.avail_out = sizeof output;
	r = inflate(&d->z, Z_NO_FLUSH);
	len = sizeof output - d->z.avail_out;
	d->in += before - d->z.avail_in;
	d->out += len;
	if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR) {
		must(r != Z_MEM_ERROR && r != Z_STREAM_ERROR);
		leave_inflating(d, FAILED, DECODE_BROKEN);
	} else if (too_large(d)) {
		leave_inflating(d, FAILED, DECODE_TOO_LARGE);
	} else {
		d->sink(d->arg, output, len);
		if (r == Z_STREAM_END)
			leave_inflating(d, d->gzip ? MEMBER_ENDED : ENDED, DECODE_OK);
	}
	return d->state == INFLATING && (d->z.avail_in || !d->z.avail_out);
}

struct decoder *decoder_new(const struct headers *headers, decode_sink_fn sink, void *arg)
{
	struct decoder *d = xcalloc(1, sizeof *d);

	d->sink = sink;
	d->arg = arg;
	choose_coding(d, headers);
	return d;
}

/* Where a stream may begin: the first one, or a further gzip member (RFC 1952, section 2.2). */
static void maybe_start(struct decoder *d, char first)
{
	if (d->state == COMPRESSED || (d->state == MEMBER_ENDED && first == GZIP_MAGIC))
		start_inflating(d, first);
	else if (d->state == MEMBER_ENDED)
		d->state = ENDED;
}

void decode_feed(struct decoder *d, const char *data, size_t len)
{
	if (d->state == PLAIN) {
		d->sink(d->arg, data, len);
		return;
	}
	while (len && d->state != ENDED && d->state != FAILED) {
		size_t n = MIN(len, (size_t)INPUT_BYTES_MAX);

		maybe_start(d, data[0]);
		if (d->state != INFLATING)
			return;
		d->z.next_in = (Bytef *)(uintptr_t)data;
		d->z.avail_in = (uInt)n;
		while (inflate_some(d))
			;
		n -= d->z.avail_in;
		data += n;
		len -= n;
	}
}

enum decode_status decode_finish(const struct decoder *d)
{
	bool cut_short = d->state == COMPRESSED || d->state == INFLATING;

	return cut_short ? DECODE_BROKEN : d->status;
}

void decoder_free(struct decoder *d)
{
	if (d && d->state == INFLATING)
		inflateEnd(&d->z);
	free(d);
}
