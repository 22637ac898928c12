/* http/head_scan.c: heads as they come, in whatever pieces, and whose the bytes behind them are. */
#include "base/span.h"
#include "check.h"
#include "http/head_scan.h"

#define BYTES(s)                 \
	(struct span)            \
	{                        \
		s, sizeof(s) - 1 \
	}

/* Shows it to `s` in two pieces, in memory that is gone then. */
static void read_in_two(struct head_scan *s, struct span raw, size_t cut)
{
	CLEANUP(freep) char *first = xmalloc(cut + 1), *second = xmalloc(raw.len - cut + 1);

	memcpy(first, raw.ptr, cut);
	memcpy(second, raw.ptr + cut, raw.len - cut);
	if (cut)
		head_scan_read(s, first, cut);
	if (cut < raw.len)
		head_scan_read(s, second, raw.len - cut);
}

static const struct {
	struct span raw;
	size_t skipped; /* of it before the head */
	bool is_good;
} heads[] = {
	{ BYTES("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), 0, true },
	{ BYTES("\r\n\r\nGET / HTTP/1.1\r\n\r\n"), 4, true },
	{ BYTES("GET / HTTP/1.1\r\nX-A:\r\nX-B: \xff \t:\r\n\r\n"), 0, true },
	/* in place of a CR, which libmicrohttpd doesn't see */
	{ BYTES("GET / HTTP/1.1\r\nX-A: 1\0\nX-B: 2\r\n\r\n"), 0, false },
	{ BYTES("GET / HTTP/1.1\0\nX-A: 1\r\n\r\n"), 0, false },
	{ BYTES("GET / HTTP/1.1\r\nX-A: 1\r\n\0\n"), 0, false },
	{ BYTES("GET / HTTP/1.1\r\nX-A: 1\r\n:\n"), 0, false },
	{ BYTES("GET / HTTP/1.1\r\nX-A: 1\r\n:\r\n"), 0, false },
	{ BYTES("GET / HTTP/1.1\r\nX-A: 1\r\n: 2\r\n\r\n"), 0, false },
	{ BYTES("GET / HTTP/1.1\r\nX-A: 1\n\r\n"), 0, false },
	{ BYTES("GET / HTTP/1.1\nX-A: 1\r\n\r\n"), 0, false },
	{ BYTES("GET / HTTP/1.1\r\nX-A: 1\r\n\n"), 0, false },
	{ BYTES("GET / HTTP/1.1\r\nX-A: 1\r2\r\n\r\n"), 0, false },
	{ BYTES("GET / HTTP/1.1\r\nX-A: 1\r\r\n\r\n"), 0, false },
	{ BYTES("GET / HTTP/1.1\r\nX-A: 1\r\n\r\r\n\r\n"), 0, false },
	{ BYTES("GET / HTTP/1.1\r\nX-A: 1\r\n 2\r\n\r\n"), 0, false },
	{ BYTES("GET / HTTP/1.1\r\nX-A: 1\r\n\t2\r\n\r\n"), 0, false },
	{ BYTES("GET / HTTP/1.1\r\n\0: 1\r\n\r\n"), 0, false },
	{ BYTES("GET /\0 HTTP/1.1\r\n\r\n"), 0, false },
	{ BYTES("\nGET / HTTP/1.1\r\n\r\n"), 1, false },
	{ BYTES("\0GET / HTTP/1.1\r\n\r\n"), 1, false },
};

static void test_heads(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		struct span raw = heads[i].raw;

		for (size_t cut = 0; cut <= raw.len; cut++) {
			struct head_scan s = { 0 };

			read_in_two(&s, raw, cut);
			CHECK_INT(head_scan_taken(&s, raw.len - heads[i].skipped, 0),
				  heads[i].is_good);
			head_scan_clear(&s);
		}
	}
}

/* The parser sees the end somewhere else, or sees one where there is none. */
static void test_other_end(void)
{
	static const struct span raw = SPAN("GET / HTTP/1.1\r\nX-A: 1\r\n\r\nX-B: 2\r\n\r\n");
	struct head_scan s = { 0 };

	read_in_two(&s, raw, 5);
	CHECK(!head_scan_taken(&s, raw.len, 0));
	head_scan_clear(&s);
	read_in_two(&s, raw, 30); /* reads on, behind an end */
	CHECK(!head_scan_taken(&s, 26, 0));
	head_scan_clear(&s);
	head_scan_read(&s, raw.ptr, 24);
	CHECK(!head_scan_taken(&s, 24, 0));
	head_scan_clear(&s);
}

#define HEAD "POST / HTTP/1.1\r\n\r\n"

/* Reads this, takes the heads that end in it, and moves things about as a parser does. */
static void read_and_take(struct head_scan *s, const char *ptr, size_t len, const int64_t **bodies)
{
	CLEANUP(freep) char *memory = memcpy(xmalloc(len + 1), ptr, len);

	if (len)
		head_scan_read(s, memory, len);
	while (s->state == SCAN_ENDED) {
		CHECK(head_scan_taken(s, sizeof HEAD - 1, *(*bodies)++));
		memset(memory, '\n', len);
	}
}

/* Bodies are nobody's lines, and what is behind them is a head again, however it comes. */
static void test_bodies(void)
{
	static const struct span raw = BYTES(HEAD "a\0\nb" HEAD HEAD "\r\n" HEAD "X\n");
	static const int64_t bodies[] = { 4, 0, 0, 2 };

	for (size_t cut = 0; cut <= raw.len; cut++) {
		struct head_scan s = { 0 };
		const int64_t *at = bodies;

		read_and_take(&s, raw.ptr, cut, &at);
		read_and_take(&s, raw.ptr + cut, raw.len - cut, &at);
		CHECK(at == bodies + ARRAY_SIZE(bodies));
		CHECK(s.state == SCAN_HEAD && !s.is_odd);
		head_scan_clear(&s);
	}
}

static void test_unknown(void)
{
	struct head_scan s = { 0 };

	CHECK(head_scan_taken(&s, 100, 0)); /* it was shown nothing */
	head_scan_read(&s, HEAD "x", sizeof HEAD);
	CHECK(head_scan_taken(&s, sizeof HEAD - 1, -1));
	head_scan_read(&s, HEAD, sizeof HEAD - 1);
	CHECK(!head_scan_taken(&s, sizeof HEAD - 1, 0));
	head_scan_clear(&s);
	head_scan_clear(&s);
}

int main(void)
{
	test_heads();
	test_other_end();
	test_bodies();
	test_unknown();
	return check_done();
}
