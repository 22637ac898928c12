/*
 * decode.c - undoes a request's content coding, for looking only.
 *
 *      PLAIN      hands on
 *      COMPRESSED ──first byte──> RUNNING ──> FAILED      `status` says why
 *                                  │     ^
 *                                  v     │ the next stream, where the coding allows several
 *                                STREAM_ENDED ──> ENDED   the rest is ignored
 *      FAILED     from the start, if the coding is unknown
 */
#include "request/decode.h"

#include "base/buf.h"
#include "request/coding.h"

enum { OUTPUT_BYTES = 32 * 1024 };

static const struct coding *const codings[] = {
	&coding_gzip,
	&coding_deflate,
#ifdef HAVE_ZSTD
	&coding_zstd,
#endif
#ifdef HAVE_BROTLI
	&coding_brotli,
#endif
};

struct decoder {
	enum { PLAIN, COMPRESSED, RUNNING, STREAM_ENDED, ENDED, FAILED } state;
	enum decode_status status;
	const struct coding *coding; /* NULL: none */
	void *stream;                /* the coding's, while RUNNING */
	decode_sink_fn sink;
	void *arg;
	size_t in, out;
	struct buf block; /* bytes that aren't decoded yet, less than DECODE_BLOCK */
};

static const struct coding *coding_find(struct span name)
{
	for (size_t i = 0; i < ARRAY_SIZE(codings); i++) {
		if (span_ieq(name, codings[i]->names[0]) || span_ieq(name, codings[i]->names[1]))
			return codings[i];
	}
	return NULL;
}

/* The codings of all such fields, in a row; "identity" is none. */
static void choose_coding(struct decoder *d, const struct headers *headers)
{
	for (size_t i = 0; i < headers->count; i++) {
		struct span rest = headers->fields[i].value, name;

		if (!span_ieq(headers->fields[i].name, SPAN("content-encoding")))
			continue;
		while (span_next(&rest, ',', &name)) {
			if (!name.len || span_ieq(name, SPAN("identity")))
				continue;
			d->coding = d->state == PLAIN ? coding_find(name) : NULL;
			d->state = d->coding ? COMPRESSED : FAILED;
			d->status = d->coding ? DECODE_OK : DECODE_UNKNOWN;
		}
	}
}

static void leave_running(struct decoder *d, int state, enum decode_status status)
{
	d->coding->close(steal(&d->stream));
	d->state = state;
	d->status = status;
}

static bool too_large(const struct decoder *d)
{
	return d->out > DECODE_MAX ||
	       (d->out > DECODE_RATIO_FROM && d->out / DECODE_RATIO_MAX > d->in);
}

/* One step of the coding; false when it needs more input, or has left RUNNING. */
static bool decode_some(struct decoder *d, struct span *in)
{
	char output[OUTPUT_BYTES];
	size_t len = 0, before = in->len;
	enum coding_step step = d->coding->step(d->stream, in, output, sizeof output, &len);

	d->in += before - in->len;
	d->out += len;
	if (step == CODING_BROKEN) {
		leave_running(d, FAILED, DECODE_BROKEN);
	} else if (step == CODING_TOO_LARGE || too_large(d)) {
		leave_running(d, FAILED, DECODE_TOO_LARGE);
	} else {
		d->sink(d->arg, output, len);
		if (step == CODING_ENDED)
			leave_running(d, d->coding->continues ? STREAM_ENDED : ENDED, DECODE_OK);
	}
	return d->state == RUNNING && (in->len != before || len);
}

struct decoder *decoder_new(const struct headers *headers, decode_sink_fn sink, void *arg)
{
	struct decoder *d = xcalloc(1, sizeof *d);

	d->sink = sink;
	d->arg = arg;
	choose_coding(d, headers);
	return d;
}

bool decoder_is_coded(const struct decoder *d)
{
	return d->state != PLAIN;
}

/* Where a stream may begin: the first one, or a further one. */
static void maybe_start(struct decoder *d, unsigned char first)
{
	if (d->state == COMPRESSED || (d->state == STREAM_ENDED && d->coding->continues(first))) {
		d->stream = d->coding->open(first);
		d->state = RUNNING;
	} else if (d->state == STREAM_ENDED) {
		d->state = ENDED;
	}
}

static void decode_block(struct decoder *d)
{
	struct span in = buf_span(&d->block);

	while (in.len && d->state != ENDED && d->state != FAILED) {
		maybe_start(d, (unsigned char)in.ptr[0]);
		while (d->state == RUNNING && decode_some(d, &in))
			;
		if (d->state == RUNNING)
			break; /* it took what it could */
	}
	d->block.len = 0;
}

void decode_feed(struct decoder *d, const char *data, size_t len)
{
	if (d->state == PLAIN) {
		d->sink(d->arg, data, len);
		return;
	}
	while (len && d->state != ENDED && d->state != FAILED) {
		size_t n = MIN(len, DECODE_BLOCK - d->block.len);

		buf_append(&d->block, data, n);
		data += n;
		len -= n;
		if (d->block.len == DECODE_BLOCK)
			decode_block(d);
	}
}

enum decode_status decode_finish(struct decoder *d)
{
	decode_block(d);
	return d->state == COMPRESSED || d->state == RUNNING ? DECODE_BROKEN : d->status;
}

void decoder_free(struct decoder *d)
{
	if (!d)
		return;
	if (d->stream)
		d->coding->close(d->stream);
	buf_clear(&d->block);
	free(d);
}
