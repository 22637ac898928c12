/*
 * test_tail.c - the scanner by itself: depth, metadata, words across splits, odd positions.
 *
 * Which bodies are JSON, and what the last message of each is, is test_classify.c's table.
 */
#include "check.h"
#include "request/plain.h"
#include "request/tail.h"

static struct tail_facts scan(struct tail *t, struct span body, size_t piece)
{
	struct tail_facts facts;

	for (size_t at = 0; at < body.len; at += piece)
		tail_feed(t, body.ptr + at, MIN(piece, body.len - at));
	tail_finish(t, &facts);
	return facts;
}

static void repeat(struct buf *b, const char *s, size_t times)
{
	for (size_t i = 0; i < times; i++)
		buf_puts(b, s);
}

/* The last message's content nested by so many lists, then what it closes with. */
static struct tail_facts scan_deep(struct tail *t, size_t lists, const char *end)
{
	struct buf b = { 0 };
	struct tail_facts facts;

	buf_puts(&b, "{\"messages\":[{\"role\":\"user\",\"content\":");
	repeat(&b, "[", lists);
	repeat(&b, "]", lists);
	buf_puts(&b, end);
	facts = scan(t, buf_span(&b), 4093);
	buf_clear(&b);
	return facts;
}

/* Models that tools name, wherever the body is cut in pieces. */
static void test_tool_families(void)
{
	enum { OPUS = 1, SONNET = 2, HAIKU = 4 };
	static const struct {
		const char *body;
		unsigned families;
	} rows[] = {
		{ "{\"tools\":[]}", 0 },
		{ "{\"model\":\"claude-opus-4\",\"tools\":[{\"name\":\"opus\"}]}", 0 },
		{ "{\"tools\":[{\"a\":{\"model\":\"opus\"}},{\"type\":\"advisor_20260301\",\"model\":"
		  "\"claude-haiku-5-5\"}],\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}",
		  HAIKU },
		{ "{\"messages\":[{\"role\":\"user\",\"content\":[{\"model\":\"opus\"}]}],\"tools\":["
		  "{\"model\":\"us.vendor.with.a.long.name.claude-sonnet-5-20260101-v1:0\"},"
		  "{\"model\":3},[{\"model\":\"fable\"}],{\"model\":\"Claude-\\u004fpus\"}]}",
		  OPUS | SONNET },
		{ "{\"tools\":[{\"model\":\"opus\"}],\"tools\":[{\"model\":\"haiku\"}]}", HAIKU },
		{ "{\"tools\":{\"model\":\"opus\"}}", 0 },
		{ "{\"x\":[{\"model\":\"opus\"}]}", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (size_t piece = 1; piece < 40; piece += 6) {
			struct tail t = { 0 };
			struct tail_facts facts = scan(&t, span_of(rows[i].body), piece);

			CHECK_INT(facts.status, TAIL_OK);
			CHECK_INT(facts.tool_families, rows[i].families);
			tail_clear(&t);
		}
	}
}

/* A message behind tools is found as ever. */
static void test_behind_tools(void)
{
	struct tail t = { 0 };
	struct tail_facts facts =
		scan(&t,
		     SPAN("{\"tools\":[{\"role\":\"x\",\"content\":[{\"type\":\"tool_result\"}]}],"
			  "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}"),
		     5);

	CHECK_INT(facts.messages, 1);
	CHECK_INT(facts.last.role, TAIL_ROLE_USER);
	CHECK(!facts.last.tool_result);
	CHECK(!facts.odd_keys);
	tail_clear(&t);
}

static void test_depth(void)
{
	static const size_t levels[] = { 1,    2,     127,    128,     129,
					 1001, 10000, 100000, 1000000, TAIL_DEPTH_MAX - 3 };
	struct tail t = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		struct tail_facts facts = scan_deep(&t, levels[i], "}]}");

		CHECK_INT(facts.status, TAIL_OK);
		CHECK_INT(facts.last.role, TAIL_ROLE_USER);
		CHECK_INT(facts.last.content, TAIL_CONTENT_ARRAY);
		CHECK(t.levels_cap <= TAIL_DEPTH_MAX / 8);
		tail_clear(&t);
		CHECK_INT(scan_deep(&t, levels[i], "]]}").status, TAIL_NOT_JSON);
		tail_clear(&t);
	}
	CHECK_INT(scan_deep(&t, TAIL_DEPTH_MAX - 2, "}]}").status, TAIL_TOO_DEEP);
	tail_clear(&t);
}

/* Objects and lists by turns: each closing bracket must be that of its own level. */
static void test_mixed_depth(void)
{
	enum { LEVELS = 5000 };
	struct buf b = { 0 };
	struct tail t = { 0 };

	repeat(&b, "[{\"\":", LEVELS);
	buf_puts(&b, "0");
	repeat(&b, "}]", LEVELS);
	CHECK_INT(scan(&t, buf_span(&b), b.len).status, TAIL_OK);
	tail_clear(&t);
	for (size_t at = b.len - LEVELS * 2; at < b.len; at += 997) {
		char was = b.data[at];

		b.data[at] = was == '}' ? ']' : '}';
		CHECK_INT(scan(&t, buf_span(&b), 100).status, TAIL_NOT_JSON);
		tail_clear(&t);
		b.data[at] = was;
	}
	buf_clear(&b);
}

static void test_metadata(void)
{
	static const struct {
		const char *body, *metadata;
	} rows[] = {
		{ "{\"metadata\":{\"user_id\":\"x\"}}", "{\"user_id\":\"x\"}" },
		{ "{\"metadata\" : \t{ \"a\" : [1, {}] } ,\"x\":1}", "{ \"a\" : [1, {}] }" },
		{ "{\"m\\u0065tadata\":[]}", "[]" },
		{ "{\"metadata\":\"a\\\"b\"}", "\"a\\\"b\"" },
		{ "{\"metadata\":12.5e1}", "12.5e1" },
		{ "{\"metadata\":12,\"x\":3}", "12" },
		{ "{\"metadata\":null}", "null" },
		{ "{\"metadata\":{\"a\":1},\"metadata\":true}", "true" },
		{ "{\"metadata\":true,\"metadata\":{\"b\":2}}", "{\"b\":2}" },
		{ "{\"metadata\":{\"metadata\":{\"x\":1}}}", "{\"metadata\":{\"x\":1}}" },
		{ "{\"metadata\":\"\"}", "\"\"" },
		{ "{\"Metadata\":1}", NULL },
		{ "{\"metadatas\":1}", NULL },
		{ "{\"x\":{\"metadata\":1}}", NULL },
		{ "[{\"metadata\":1}]", NULL },
		{ "{\"messages\":[{\"metadata\":1}]}", NULL },
		{ "{\"x\":\"metadata\"}", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct span body = span_of(rows[i].body);

		for (size_t piece = 1; piece <= body.len; piece++) {
			struct tail t = { 0 };
			struct tail_facts facts = scan(&t, body, piece);

			CHECK_INT(facts.status, TAIL_OK);
			CHECK(span_eq(facts.members[TAIL_METADATA].json,
				      span_of(rows[i].metadata)));
			CHECK_INT(!facts.members[TAIL_METADATA].json.ptr, !rows[i].metadata);
			tail_clear(&t);
		}
	}
}

/* A string of `len` bytes as metadata, quotes included; then, if asked for, a short duplicate. */
static struct tail_facts scan_long_metadata(struct tail *t, size_t len, const char *then)
{
	struct buf b = { 0 };
	struct tail_facts facts;

	buf_puts(&b, "{\"metadata\":\"");
	repeat(&b, "m", len - 2);
	buf_printf(&b, "\"%s}", then);
	facts = scan(t, buf_span(&b), 1000);
	buf_clear(&b);
	return facts;
}

static void test_metadata_limit(void)
{
	struct tail t = { 0 };

	CHECK_INT(scan_long_metadata(&t, TAIL_METADATA_MAX, "").members[TAIL_METADATA].json.len,
		  TAIL_METADATA_MAX);
	tail_clear(&t);
	CHECK(!scan_long_metadata(&t, TAIL_METADATA_MAX + 1, "").members[TAIL_METADATA].json.ptr);
	tail_clear(&t);
	CHECK(!scan_long_metadata(&t, 100 * TAIL_METADATA_MAX, "").members[TAIL_METADATA].json.ptr);
	CHECK(t.members[TAIL_METADATA].json.cap <= 2 * TAIL_METADATA_MAX);
	tail_clear(&t);
	CHECK_INT(scan_long_metadata(&t, TAIL_METADATA_MAX + 1, ",\"metadata\":{}")
			  .members[TAIL_METADATA]
			  .json.len,
		  2);
	tail_clear(&t);
}

/* Strings are skipped in blocks: what ends, escapes or breaks one is found at any offset. */
static void test_string_offsets(void)
{
	static const struct {
		const char *special;
		enum tail_status status;
	} rows[] = {
		{ "", TAIL_OK },
		{ "\\\"", TAIL_OK },
		{ "\\\\", TAIL_OK },
		{ "\\u0022", TAIL_OK },
		{ "\\n\\n\\u000a\\n", TAIL_OK },
		{ "\x7f\x80\xff", TAIL_OK },
		{ "!# []^", TAIL_OK }, /* neighbours of the special ones */
		{ "\x1f", TAIL_NOT_JSON },
		{ "\n", TAIL_NOT_JSON },
		{ "\\v", TAIL_NOT_JSON },
		{ "\\", TAIL_NOT_JSON }, /* takes the closing quote */
		{ "\"", TAIL_NOT_JSON },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (size_t at = 0; at < 40; at++) {
			struct buf b = { 0 };
			struct tail t = { 0 };

			buf_puts(&b, "[\"");
			repeat(&b, "x", at);
			buf_puts(&b, rows[i].special);
			repeat(&b, "y", 40 - at);
			buf_puts(&b, "\"]");
			CHECK_INT(scan(&t, buf_span(&b), b.len).status, rows[i].status);
			tail_clear(&t);
			CHECK_INT(scan(&t, buf_span(&b), 1 + at).status, rows[i].status);
			tail_clear(&t);
			buf_clear(&b);
		}
	}
}

/* A NUL byte in a body is a control character, wherever it is. */
static void test_nul(void)
{
	static const char body[] = "{\"a\":\"b\"}";

	for (size_t i = 0; i < sizeof body; i++) {
		char copy[sizeof body];
		struct tail t = { 0 };

		memcpy(copy, body, sizeof body);
		copy[i] = '\0';
		CHECK_INT(scan(&t, (struct span){ copy, sizeof copy }, 3).status, TAIL_NOT_JSON);
		tail_clear(&t);
	}
}

/* A word may be escaped, long and split: what is kept of it is its end and its length. */
static void test_long_words(void)
{
	for (size_t len = 0; len < 100; len++) {
		struct buf b = { 0 };

		buf_puts(&b, "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"");
		repeat(&b, len % 3 ? "a" : "\\u0061", len);
		buf_puts(&b, "_tool_result\"}]}]}");
		for (size_t piece = 1; piece < 40; piece++) {
			struct tail t = { 0 };

			CHECK(scan(&t, buf_span(&b), piece).last.tool_result);
			tail_clear(&t);
		}
		buf_clear(&b);
	}
}

static void test_facts(void)
{
	static const char body[] =
		"{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},1,{\"role\":\"system\"}]}";
	static const char system[] = "{\"messages\":[{\"role\":\"system\"}]}";
	struct tail t = { 0 };
	struct tail_facts facts = scan(&t, span_of(body), 5);

	CHECK_INT(facts.messages, 3);
	CHECK(!facts.only_system);
	CHECK(!facts.last.is_object);
	tail_clear(&t);
	tail_clear(&t);
	facts = scan(&t, span_of(system), 5); /* a cleared one is as new */
	CHECK_INT(facts.messages, 1);
	CHECK(facts.only_system);
	tail_clear(&t);
}

/* A byte at a time: where skip_simple_blocks() may stop at the latest. */
static size_t simple_length(const char *s, size_t len)
{
	size_t i = 0;

	while (i < len && s[i] != '"' && (unsigned char)s[i] >= 0x20) {
		if (s[i] == '\\' && (i + 1 == len || !strchr("ntr\"\\", s[i + 1]) || !s[i + 1]))
			break;
		i += s[i] == '\\' ? 2 : 1;
	}
	return i;
}

/* Runs of backslashes at every place of a block and over its borders, and what may follow them. */
static void test_simple_blocks(void)
{
	static const char alphabet[] = "\\\\\\\\\\nnttrxxxxxx\"u\n";
	uint64_t random = 1;

	for (int round = 0; round < 20000; round++) {
		char s[200];
		size_t len = 64 + (size_t)round % 130, stop, limit;

		for (size_t i = 0; i < len; i++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			/* the rare ones are made rarer, or no text would be long */
			s[i] = alphabet[(random >> 33) % (round % 8 ? 11 : sizeof alphabet - 1)];
		}
		limit = simple_length(s, len);
		stop = (size_t)(skip_simple_blocks(s, s + len) - s);
		CHECK(stop <= limit);
		CHECK(simple_length(s, stop) == stop); /* not within an escape */
#ifdef __SSE2__
		CHECK(stop == limit || len - stop <= 64);
#endif
	}
}

int main(void)
{
	test_tool_families();
	test_behind_tools();
	test_simple_blocks();
	test_depth();
	test_mixed_depth();
	test_metadata();
	test_metadata_limit();
	test_string_offsets();
	test_nul();
	test_long_words();
	test_facts();
	return check_done();
}
