/* http/forward.c: which fields go on, and the body's length. */
#include "check.h"
#include "http/forward.h"
#include "proxy/outcome.h"

/* "Name: value" lines, as a list of fields that point into `lines`. */
static struct field_list fields_of(const char *lines)
{
	struct field_list l = { 0 };
	struct span rest = span_of(lines), line;

	while (rest.len && span_next(&rest, '\n', &line)) {
		const char *colon = line.len ? memchr(line.ptr, ':', line.len) : NULL;

		if (colon)
			field_list_add(
				&l, (struct span){ line.ptr, (size_t)(colon - line.ptr) },
				span_trim((struct span){
					colon + 1, line.len - (size_t)(colon - line.ptr) - 1 }));
	}
	return l;
}

static char *lines_of(const struct field_list *l)
{
	struct buf b = { 0 };

	for (size_t i = 0; i < l->count; i++)
		buf_printf(&b, "%.*s: %.*s\n", SPAN_ARG(l->fields[i].name),
			   SPAN_ARG(l->fields[i].value));
	buf_str(&b);
	return b.data;
}

static void check_request(const char *in, struct span host, const char *client, const char *want)
{
	CLEANUP(field_list_clear) struct field_list from = fields_of(in), to = { 0 };
	CLEANUP(buf_clear) struct buf texts = { 0 };

	forward_request_fields(&(struct headers){ from.fields, from.count }, host, client,
			       SPAN("http"), &texts, &to);
	CLEANUP(freep) char *got = lines_of(&to);
	CHECK_STR(got, want);
}

static void test_request(void)
{
	/* end-to-end fields, in order, duplicates and empty values included */
	check_request("Host: a\nX-B: 1\nx-b: 2\nX-E:\nAccept-Encoding: br\n", SPAN("up:1"), "",
		      "X-B: 1\nx-b: 2\nX-E: \nAccept-Encoding: br\nHost: up:1\n"
		      "X-Forwarded-Proto: http\n");
	/* the client's Host */
	check_request("Host: a\n", (struct span){ 0 }, "", "Host: a\nX-Forwarded-Proto: http\n");
	/* hop-by-hop: the fixed ones, framing, Expect, and what Connection names */
	check_request("Connection: close, X-Mine\nConnection: x-other\nX-Mine: 1\nX-Other: 2\n"
		      "X-Else: 3\nKeep-Alive: 5\nTE: trailers\nTrailer: a\nUpgrade: h2c\n"
		      "Proxy-Connection: x\nTransfer-Encoding: chunked\nContent-Length: 5\n"
		      "Expect: 100-continue\n",
		      SPAN("u"), "", "X-Else: 3\nHost: u\nX-Forwarded-Proto: http\n");
	/* X-Forwarded-For: appended, several joined; Proto: kept */
	check_request(
		"X-Forwarded-For: 1.1.1.1\nX-Forwarded-Proto: https\nx-forwarded-for: 2.2.2.2\n",
		SPAN("u"), "::1",
		"X-Forwarded-Proto: https\nHost: u\n"
		"X-Forwarded-For: 1.1.1.1, 2.2.2.2, ::1\n");
}

static void test_response(void)
{
	CLEANUP(field_list_clear) struct field_list to = { 0 };
	CLEANUP(field_list_clear)
	struct field_list from = fields_of("Date: d\nSet-Cookie: a\nSet-Cookie: b\nX-Gone: 1\n"
					   "Connection: x-gone\nContent-Length: 3\nServer: s\n");

	forward_response_fields(&(struct headers){ from.fields, from.count }, &to);
	CLEANUP(freep) char *got = lines_of(&to);
	CHECK_STR(got, "Date: d\nSet-Cookie: a\nSet-Cookie: b\nServer: s\n");
}

static void test_content_length(void)
{
	static const struct {
		const char *fields;
		int64_t length;
	} cases[] = {
		{ "", -1 },
		{ "Content-Length: 0", 0 },
		{ "content-length: 1234567890123", 1234567890123 },
		{ "Content-Length: 5\nTransfer-Encoding: chunked", -1 },
		{ "Content-Length: +5", -1 },
		{ "Content-Length: 5, 5", -1 },
		{ "Content-Length: 99999999999999999999", -1 },
		{ "Content-Length:", -1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP(field_list_clear) struct field_list l = fields_of(cases[i].fields);

		CHECK_INT(headers_content_length(&(struct headers){ l.fields, l.count }),
			  cases[i].length);
	}
}

static void test_error_body(void)
{
	CLEANUP(buf_clear) struct buf b = { 0 }, more = { 0 };

	outcome_body(OUTCOME_QUEUE_TIMEOUT, "", "req_1", &b);
	CHECK_STR(
		buf_str(&b),
		"{\"type\":\"error\",\"error\":{\"type\":\"queue_timeout\",\"code\":\"QUEUE_TIMEOUT\","
		"\"message\":\"waited too long for the account's turn\"},"
		"\"request_id\":\"req_1\"}");
	outcome_body(OUTCOME_QUEUE_TIMEOUT, "3 \"s\"", "req_1", &more);
	CHECK(strstr(buf_str(&more), "account's turn: 3 \\\"s\\\"\"},"));
}

int main(void)
{
	test_request();
	test_response();
	test_content_length();
	test_error_body();
	return check_done();
}
