/*
 * test_limited.c - an upstream's refusal as text, and back: what is kept, and what is believed.
 */
#include "proxy/limited.h"

#include "check.h"

static void test_round_trip(void)
{
	struct header fields[] = {
		{ SPAN("Content-Type"), SPAN("application/json") },
		{ SPAN("Set-Cookie"), SPAN("secret") },
		{ SPAN("anthropic-ratelimit-unified-5h-reset"), SPAN("1800000000") },
		{ SPAN("retry-after"), SPAN("7200") },
		{ SPAN("Anthropic-Ratelimit-Unified-Status"), SPAN("rejected") },
	};
	struct headers headers = { fields, ARRAY_SIZE(fields) };
	struct limited_refusal got;
	struct buf text = { 0 };

	limited_write(429, &headers, SPAN("{\"type\":\n\n\"error\"}"), &text);
	CHECK(limited_read(buf_span(&text), &got));
	CHECK_INT(got.status, 429);
	CHECK_INT(got.count, 3);
	CHECK(span_eq(got.fields[2].name, SPAN("Anthropic-Ratelimit-Unified-Status")));
	CHECK(span_eq(got.fields[1].value, SPAN("1800000000")));
	CHECK(span_eq(got.body, SPAN("{\"type\":\n\n\"error\"}")));
	CHECK(!strstr(buf_str(&text), "secret"));
	buf_clear(&text);
}

/* It may come from Redis: nothing but such fields is sent to a client. */
static void test_hostile(void)
{
	static const char *const texts[] = {
		"",
		"429",
		"429\n",
		"429\ncontent-type: x",
		"429\ncontent-type: x\n",
		"200\n\nx",
		"4x9\n\nx",
		"4290\n\nx",
		"429\nSet-Cookie: a\n\nx",
		"429\ncontent-length: 5\n\nx",
		"429\nno colon\n\nx",
		"429\n: x\n\nx",
	};
	struct buf many = { 0 };
	struct limited_refusal got;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		CHECK(!limited_read(span_of(texts[i]), &got));
	CHECK(limited_read(SPAN("429\n\n"), &got));
	CHECK_INT(got.body.len, 0);
	buf_puts(&many, "429\n");
	for (size_t i = 0; i <= ARRAY_SIZE(got.fields); i++)
		buf_puts(&many, "content-type: x\n");
	buf_puts(&many, "\n");
	CHECK(!limited_read(buf_span(&many), &got));
	buf_clear(&many);
}

int main(void)
{
	test_round_trip();
	test_hostile();
	return check_done();
}
