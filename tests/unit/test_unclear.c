/*
 * test_unclear.c - bodies that a relay may read in another way than we do: gated, whatever we read.
 *
 * tests/relays shows that nobody gets past by them; here each has its reason.
 */
#include "check.h"
#include "request/request.h"

#include <zlib.h>

#define PROMPT "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"
#define RESULT "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\"}]}]}"
#define NAN_RESULT \
	"{\"x\":NaN,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\"}]}]}"

static struct account_source no_sources[] = { { ACCOUNT_NONE, NULL } };

/* With up to two fields; fed by single bytes, and whole. */
static const char *reason_of(const struct header *fields, size_t count, struct span body)
{
	struct config config = { .queue = { .enabled = true }, .account = { no_sources } };
	struct headers headers = { fields, count };
	struct request_verdict v[2];

	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		size_t step = i ? 1 : MAX(body.len, 1);
		struct look *look = look_new(&headers);

		for (size_t at = 0; at < body.len; at += step)
			look_feed(look, body.ptr + at, MIN(step, body.len - at));
		look_finish(look, &config, &headers, "", body, &v[i]);
		look_free(look);
		CHECK_INT(v[i].gated, v[i].kind == KIND_USER_MESSAGE || v[i].kind == KIND_UNCLEAR);
	}
	CHECK_STR(v[0].reason, v[1].reason);
	return v[0].reason;
}

static const char *reason_with(const char *name, const char *value, struct span body)
{
	struct header field = { span_of(name), span_of(value) };

	return reason_of(&field, 1, body);
}

static void test_content_types(void)
{
	static const struct {
		const char *type, *result; /* NULL: as without the field */
	} rows[] = {
		{ "application/json", NULL },
		{ "Application/JSON", NULL },
		{ "application/vnd.x+json", NULL },
		{ "text/plain", NULL },
		{ "application/octet-stream", NULL },
		{ "", NULL },
		{ " ", NULL },
		{ ";charset=utf-8", NULL },
		{ "application/json; charset=utf-8", NULL },
		{ "application/json;charset=\"UTF-8\"", NULL },
		{ "application/json ; Charset = us-ascii ; x=y", NULL },
		{ "application/json; x=charset", NULL },
		{ "application/json; charset=utf-16", "content_type" },
		{ "application/json; charset=\"utf-16le\"", "content_type" },
		{ "application/json; CHARSET=UTF-32", "content_type" },
		{ "application/json; charset=utf-7", "content_type" },
		{ "application/json; charset=cp037", "content_type" },
		{ "application/json; charset=utf-8; charset=utf-16", "content_type" },
		{ "application/json; charset", "content_type" },
		{ "application/json; charset*=utf-8''utf-16", "content_type" },
		{ "application/x-www-form-urlencoded", "content_type" },
		{ "multipart/form-data; boundary=x", "content_type" },
		{ "application/yaml", "content_type" },
		{ "text/x-json", "content_type" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *want = rows[i].result ? rows[i].result : "tool_result";

		CHECK_STR(reason_with("Content-Type", rows[i].type, SPAN(RESULT)), want);
		CHECK_STR(reason_with("Content-Type", rows[i].type, SPAN(PROMPT)), "text");
		CHECK_STR(reason_with("Content-Type", rows[i].type, SPAN("")), "not_json");
		CHECK_STR(reason_with("Content-Type", rows[i].type, SPAN("x")),
			  rows[i].result ? rows[i].result : "not_json");
	}
	CHECK_STR(reason_of((struct header[]){ { SPAN("Content-Type"), SPAN("application/json") },
					       { SPAN("content-type"), SPAN("text/yaml") } },
			    2, SPAN(RESULT)),
		  "content_type");
}

/* `text` in that width, low byte first or high byte first, behind a byte order mark or not. */
static void test_wide_text(void)
{
	for (int how = 0; how < 8; how++) {
		size_t width = how & 1 ? 4 : 2;
		bool high_first = how & 2, mark = how & 4;
		const char text[] = PROMPT;
		char wide[4 * (sizeof text + 1)] = { 0 };
		size_t len = 0;

		if (mark) {
			wide[high_first ? width - 2 : 1] = '\xfe';
			wide[high_first ? width - 1 : 0] = '\xff';
			len = width;
		}
		for (size_t i = 0; i < sizeof text - 1; i++, len += width)
			wide[len + (high_first ? width - 1 : 0)] = text[i];
		CHECK_STR(reason_of(NULL, 0, (struct span){ wide, len }), "wide_text");
	}
	CHECK_STR(reason_of(NULL, 0, SPAN("\0")), "not_json");
	CHECK_STR(reason_of(NULL, 0, SPAN("\0\0")), "wide_text");
	CHECK_STR(reason_of(NULL, 0, SPAN(" \0{\0")), "wide_text");
	CHECK_STR(reason_of(NULL, 0, SPAN("12345\0")), "not_json");
}

static void test_numbers(void)
{
	CHECK_STR(reason_of(NULL, 0, SPAN(NAN_RESULT)), "not_a_number");
	CHECK_STR(reason_of(NULL, 0, SPAN(RESULT "x")), "odd_json");
	CHECK_STR(reason_of(NULL, 0, SPAN(RESULT RESULT)), "odd_json");
	CHECK_STR(reason_of(NULL, 0, SPAN("[" RESULT "]x")), "not_json");
}

/* A body that its coding doesn't fit: whoever ignores the field reads it. */
static void test_codings(void)
{
	Bytef packed[256];
	uLongf len = sizeof packed;
	const char *coded = (const char *)packed;

	must(compress(packed, &len, (const Bytef *)RESULT, strlen(RESULT)) == Z_OK);
	CHECK_STR(reason_with("Content-Encoding", "deflate", (struct span){ coded, len }),
		  "tool_result");
	CHECK_STR(reason_with("Content-Encoding", "deflate", (struct span){ coded, len - 2 }),
		  "coding_broken");
	CHECK_STR(reason_with("Content-Encoding", "deflate", SPAN("")), "not_json");
	CHECK_STR(reason_with("Content-Encoding", "gzip", SPAN(RESULT)), "coding_broken");
	CHECK_STR(reason_with("Content-Encoding", "gzip", SPAN(PROMPT)), "coding_broken");
	CHECK_STR(reason_with("Content-Encoding", "identity", SPAN(RESULT)), "tool_result");
	CHECK_STR(reason_with("Content-Encoding", "lzma", (struct span){ coded, len }),
		  "content_coding");
	CHECK_STR(reason_with("Content-Encoding", "gzip, deflate", (struct span){ coded, len }),
		  "content_coding");
}

/* Appends a stored block (RFC 1951, section 3.2.4) of `content`, filled up with blanks to `len`. */
static void stored(struct buf *to, char header, const char *content, size_t len)
{
	const char lengths[] = { (char)len, (char)(len >> 8), (char)~len, (char)(~len >> 8) };

	buf_append(to, &header, 1);
	buf_append(to, lengths, sizeof lengths);
	buf_puts(to, content);
	for (size_t n = strlen(content); n < len; n++)
		buf_puts(to, " ");
}

/*
 * One body, two readings: plain, a prompt whose first key has odd bytes in it, which Go takes; by
 * deflate, two stored blocks that hold no message, and more behind the stream, which is ignored.
 */
static void test_polyglot(void)
{
	CLEANUP(buf_clear) struct buf b = { 0 };

	stored(&b, ' ', "[]", '{' | '"' << 8);
	stored(&b, '!', "", ' ' | ' ' << 8);
	buf_puts(&b, "\":1,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
	CHECK_STR(reason_of(NULL, 0, buf_span(&b)), "text");
	CHECK_STR(reason_with("Content-Encoding", "deflate", buf_span(&b)), "coding_broken");
}

int main(void)
{
	test_content_types();
	test_wide_text();
	test_numbers();
	test_codings();
	test_polyglot();
	return check_done();
}
