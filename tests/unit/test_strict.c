/* http/strict.c, head.c, response_head.c: which heads are believed. */
#include "check.h"
#include "http/last_words.h"
#include "http/response_head.h"
#include "http/strict.h"

/* "Name: value" lines, as they are, as fields that point into `lines`. */
static size_t fields_of(const char *lines, struct header *to)
{
	size_t n = 0;

	for (const char *at = lines, *end; (end = strchr(at, '\n')); at = end + 1) {
		const char *colon = memchr(at, ':', (size_t)(end - at));

		to[n++] = (struct header){ { at, (size_t)(colon - at) },
					   { colon + 2, (size_t)(end - colon - 2) } };
	}
	return n;
}

static const struct strict_limits limits = { 1000, 6, 100 };

static int check(const char *method, const char *target, const char *version, const char *lines)
{
	struct header fields[16];
	struct request_head h = {
		.method = span_of(method),
		.target = span_of(target),
		.version = span_of(version),
		.fields = { fields, fields_of(lines, fields) },
		.bytes = 100,
	};
	const char *why = "";
	enum strict_refusal refusal = strict_request(&h, &limits, &why);

	CHECK(!refusal == !why[0]); /* who refuses says why */
	return refusal;
}

#define GOOD STRICT_FINE
#define BAD  STRICT_BAD_REQUEST
#define NOT  STRICT_NOT_IMPLEMENTED

static void test_request_lines(void)
{
	static const struct {
		const char *method, *target, *version;
		int outcome;
	} cases[] = {
		{ "GET", "/", "HTTP/1.1", GOOD },
		{ "M-SEARCH!#$%&'*+.^_`|~", "/", "HTTP/1.0", GOOD },
		{ "GET", "/%0d%0a//../?", "HTTP/1.1", GOOD },
		{ "GET", "/\xc3\xa4{|}\"<>\\^`", "HTTP/1.1", GOOD },
		{ "OPTIONS", "*", "HTTP/1.1", GOOD },
		{ "GET", "http://h/x", "HTTP/1.1", GOOD },
		{ "GET", "HTTPS://H", "HTTP/1.1", GOOD },
		{ "GET", "http://h?x", "HTTP/1.1", GOOD },
		{ "", "/", "HTTP/1.1", BAD },
		{ "G\x01T", "/", "HTTP/1.1", BAD },
		{ "G(T", "/", "HTTP/1.1", BAD },
		{ "G\xe4T", "/", "HTTP/1.1", BAD },
		{ "GET", "", "HTTP/1.1", BAD },
		{ "GET", "x", "HTTP/1.1", BAD },
		{ "GET", "*", "HTTP/1.1", BAD },
		{ "GET", "/a b", "HTTP/1.1", BAD },
		{ "GET", "/a\tb", "HTTP/1.1", BAD },
		{ "GET", "/a\rb", "HTTP/1.1", BAD },
		{ "GET", "/a\x7f", "HTTP/1.1", BAD },
		{ "GET", "/a#b", "HTTP/1.1", BAD },
		{ "GET", "http://other/", "HTTP/1.1", BAD },
		{ "GET", "http://h:80/", "HTTP/1.1", BAD },
		{ "GET", "http://u@h/", "HTTP/1.1", BAD },
		{ "GET", "http:///x", "HTTP/1.1", BAD },
		{ "GET", "ftp://h/", "HTTP/1.1", BAD },
		{ "CONNECT", "h:443", "HTTP/1.1", NOT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		CHECK_INT(check(cases[i].method, cases[i].target, cases[i].version, "Host: h\n"),
			  cases[i].outcome);
}

static void test_fields(void)
{
	static const struct {
		const char *lines;
		int outcome;
	} cases[] = {
		{ "Host: h\nX-A: \nX-B: a\tb  c\nX-C: \xff\xc3\xa4\n", GOOD },
		{ "Host: h\nX Y: a\n", BAD },
		{ "Host: h\nX\t: a\n", BAD },
		{ "Host: h\n: a\n", BAD },
		{ "Host: h\nX(: a\n", BAD },
		{ "Host: h\nX\xe4: a\n", BAD },
		{ "Host: h\nX: a\rb\n", BAD },
		{ "Host: h\nX: a\x7f\n", BAD },
		{ "Host: h\nX: \x0b\n", BAD },
		/* Host */
		{ "host: h:8080\n", GOOD },
		{ "Host: \n", GOOD },
		{ "Host: [::1]:80\n", GOOD },
		{ "Host: a-b.c_d~e%20\n", GOOD },
		{ "X: a\n", BAD },
		{ "Host: h\nhost: h\n", BAD },
		{ "Host: h, i\n", BAD },
		{ "Host: h/x\n", BAD },
		{ "Host: u@h\n", BAD },
		{ "Host: h:8x\n", BAD },
		{ "Host: h:123456\n", BAD },
		{ "Host: :80\n", BAD },
		{ "Host: [::1]x\n", BAD },
		{ "Host: a]b\n", BAD },
		/* the length */
		{ "Host: h\nContent-Length: 0\n", GOOD },
		{ "Host: h\nContent-Length: 000000000000000000000005\n", GOOD },
		{ "Host: h\nContent-Length: 999999999999999999\n", GOOD },
		{ "Host: h\nContent-Length: 9999999999999999999\n", BAD },
		{ "Host: h\nContent-Length: \n", BAD },
		{ "Host: h\nContent-Length: +5\n", BAD },
		{ "Host: h\nContent-Length: -5\n", BAD },
		{ "Host: h\nContent-Length: 0x5\n", BAD },
		{ "Host: h\nContent-Length: 5 \n", BAD },
		{ "Host: h\nContent-Length: 5, 5\n", BAD },
		{ "Host: h\nContent-Length: 5\nContent-Length: 5\n", BAD },
		{ "Host: h\nContent-Length: 5\nTransfer-Encoding: chunked\n", BAD },
		/* the coding */
		{ "Host: h\nTransfer-Encoding: chunked\n", GOOD },
		{ "Host: h\ntransfer-encoding: CHUNKED\n", GOOD },
		{ "Host: h\nTransfer-Encoding: gzip, chunked\n", NOT },
		{ "Host: h\nTransfer-Encoding: identity\n", NOT },
		{ "Host: h\nTransfer-Encoding: \"chunked\"\n", NOT },
		{ "Host: h\nTransfer-Encoding: chunked;q=1\n", NOT },
		{ "Host: h\nTransfer-Encoding: chunked, chunked\n", BAD },
		{ "Host: h\nTransfer-Encoding: ,chunked\n", BAD },
		{ "Host: h\nTransfer-Encoding: \n", BAD },
		{ "Host: h\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked\n", BAD },
		/* how many */
		{ "Host: h\nA: a\nA: a\nA: a\nA: a\nA: a\n", GOOD },
		{ "Host: h\nA: a\nA: a\nA: a\nA: a\nA: a\nA: a\n", STRICT_HEADERS_TOO_LARGE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		CHECK_INT(check("POST", "/", "HTTP/1.1", cases[i].lines), cases[i].outcome);
	CHECK_INT(check("POST", "/", "HTTP/1.0", ""), GOOD);
	CHECK_INT(check("POST", "/", "HTTP/1.0", "Host: h\nHost: h\n"), BAD);
	CHECK_INT(check("POST", "/", "HTTP/1.0", "Transfer-Encoding: chunked\n"), BAD);
}

static void test_limits(void)
{
	char target[102] = "/";
	struct request_head h = {
		.method = SPAN("GET"),
		.version = SPAN("HTTP/1.0"),
		.bytes = 1000,
	};
	const char *why;

	memset(target + 1, 'a', 100);
	h.target = (struct span){ target, 100 };
	CHECK_INT(strict_request(&h, &limits, &why), GOOD);
	h.target.len++;
	CHECK_INT(strict_request(&h, &limits, &why), STRICT_TARGET_TOO_LONG);
	h.target.len--;
	h.bytes++;
	CHECK_INT(strict_request(&h, &limits, &why), STRICT_HEADERS_TOO_LARGE);
	h.bytes--;
	h.altered = true;
	CHECK_INT(strict_request(&h, &limits, &why), BAD);
}

/*
 * Reads a head as libmicrohttpd 0.9.75 does: each piece ends where its separator became a NUL. In
 * `text`, "|" stands for what was one of: SP, ":", CR, LF.
 */
static bool has_gaps(const char *text, size_t len, size_t counted)
{
	char memory[128];
	struct header fields[4];
	struct request_head h = { .fields = { fields, 0 }, .bytes = counted };
	const char *at = memory, *end = memory + len;
	const char *target;

	memcpy(memory, text, len);
	for (size_t i = 0; i < len; i++)
		memory[i] = memory[i] == '|' ? '\0' : memory[i];
	h.method = span_of(at);
	at += h.method.len + 1;
	at += strspn(at, " "); /* it skips them */
	target = at;
	h.target = span_of(at);
	at += strlen(at) + 1;
	while (!*at)
		at++;
	h.version = span_of(at);
	at += h.version.len;
	while (at < end) {
		while (at < end && !*at)
			at++;
		if (at == end)
			break;
		fields[h.fields.count].name = span_of(at);
		at += strlen(at) + 1;
		at += strspn(at, " \t");
		fields[h.fields.count++].value = value_trim(span_of(at));
		at += strlen(at);
	}
	return head_has_gaps(&h, target);
}

static void test_gaps(void)
{
#define HAS_GAPS(text) has_gaps(text, sizeof(text) - 1, sizeof(text) - 1)
	CHECK(!HAS_GAPS("GET|/x|HTTP/1.1||Host| h||X|||Y|\t  z||||"));
	CHECK(!HAS_GAPS("GET|/x|HTTP/1.0||||"));
	CHECK(!HAS_GAPS("GET|/x|HTTP/1.1||Host| h ||X|y\t ||||")); /* blanks behind a value */
	CHECK(!HAS_GAPS("GET|/x|HTTP/1.1||Host| h||X| ||||"));     /* and nothing else */
	CHECK(HAS_GAPS("GET| /x|HTTP/1.1||Host| h||||"));          /* two spaces */
	CHECK(HAS_GAPS("GET|/x|||HTTP/1.1||Host| h||||"));         /* a NUL in the target */
	CHECK(HAS_GAPS("GET|/x|HTTP/1.1|Host| h||||"));            /* LF */
	CHECK(HAS_GAPS("GET|/x|HTTP/1.1||X| h|Y| z||||"));         /* LF between fields */
	CHECK(HAS_GAPS("GET|/x|HTTP/1.1||X| h|||Y| z||||"));       /* a NUL behind a value */
	CHECK(HAS_GAPS("GET|/x|HTTP/1.1||X| h\r|||Y| z||||"));     /* a CR of its own */
	CHECK(HAS_GAPS("GET|/x|HTTP/1.1||Host| h|||"));            /* LF at the end */
	CHECK(has_gaps("GET|/x|HTTP/1.1||Host| h||||", 29, 36));   /* something behind NULs */
#undef HAS_GAPS
}

static void test_targets(void)
{
	static const char *const cases[][2] = {
		{ "/a?b", "/a?b" },           { "*", "*" },
		{ "http://h/a", "/a" },       { "http://h", "/" },
		{ "http://h?a", "/?a" },      { "HTTPS://h:1/a//b?", "/a//b?" },
		{ "ftp://h/a", "ftp://h/a" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP(freep) char *path = target_path(cases[i][0]);

		CHECK_STR(path, cases[i][1]);
	}
}

enum { HEAD_MAX = 4096 };

/* Feeds a head line by line; "" if it is believed and complete, "?" if it isn't complete. */
static const char *response(const char *text, struct response_head *h)
{
	const char *why = NULL;

	*h = (struct response_head){ .max_bytes = HEAD_MAX };
	for (const char *at = text, *end; !why && (end = strchr(at, '\n')); at = end + 1)
		why = response_head_line(h, (struct span){ at, (size_t)(end - at) + 1 });
	return why ? why : h->done ? "" : "?";
}

static void test_responses(void)
{
	static const struct {
		const char *text, *why;
		int status;
	} cases[] = {
		{ "HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "", 200 },
		{ "HTTP/1.0 599 \r\n\r\n", "", 599 },
		{ "HTTP/1.1 204\r\n\r\nX: trailer\r\n\r\n", "", 204 },
		{ "HTTP/1.1 204 no fields\r\n\r\n", "", 204 }, /* nothing to point to, for UBSan */
		{ "HTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 201 OK\r\n\r\n", "", 201 },
		{ "HTTP/1.1 100 C\r\n\r\n", "?", 100 },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "", 200 },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "", 200 },
		{ "HTTP/1.1 20 OK\r\n\r\n", "bad status line", 0 },
		{ "HTTP/1.1 2000 OK\r\n\r\n", "bad status line", 0 },
		{ "HTTP/1.1 2x0 OK\r\n\r\n", "bad status line", 0 },
		{ "HTTP/2.0 200 OK\r\n\r\n", "bad status line", 0 },
		{ "HTTP/1.1 099 OK\r\n\r\n", "bad status", 99 },
		{ "HTTP/1.1 101 X\r\n\r\n", "101 that nobody asked for", 101 },
		{ "HTTP/1.1 200 OK\r\nA: b\r\n c: d\r\n\r\n", "folded line", 200 },
		{ "HTTP/1.1 200 OK\r\n\tfolded: x\r\n\r\n", "folded line", 200 },
		{ "HTTP/1.1 200 OK\r\nA: b\r\n \r\nC: d\r\n\r\n", "folded line", 200 },
		{ "HTTP/1.1 103 X\r\n a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "folded line", 103 },
		{ "HTTP/1.1 200 OK\r\n\r\n X: trailer\r\n\r\n", "folded line", 200 },
		{ "HTTP/1.1 200 OK\r\nHTTP/1.1 204 No\r\n\r\n", "bad field name", 200 },
		{ "HTTP/1.1 200\tOK\r\n\r\n", "bad status line", 0 },
		{ "HTTP/1.1 200 OK\r\n\rA: b\r\n\r\n", "stray CR", 200 },
		{ "A: b\r\nHTTP/1.1 200 OK\r\n\r\n", "bad status line", 0 },
		{ "HTTP/1.1 200 OK\r\nA\r\n\r\n", "bad field name", 200 },
		{ "HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n", "control character in a field value",
		  200 },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
		  "two Content-Lengths", 200 },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		  "Content-Length and Transfer-Encoding", 200 },
		{ "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		  "Transfer-Encoding in HTTP/1.0", 200 },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
		  "unknown transfer coding", 200 },
	};
	struct response_head h;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CHECK_STR(response(cases[i].text, &h), cases[i].why);
		CHECK_INT(h.status, cases[i].status);
		response_head_clear(&h);
	}
	CHECK_STR(response("HTTP/1.1 200 OK\r\nX-A \t: b \r\nX-B:\r\n\r\n", &h), "");
	CHECK_INT((int64_t)h.fields.count, 2);
	CHECK(span_eq(h.fields.fields[0].name, SPAN("X-A")));
	CHECK(span_eq(h.fields.fields[0].value, SPAN("b")));
	CHECK(span_eq(h.fields.fields[1].name, SPAN("X-B")) && !h.fields.fields[1].value.len);
	response_head_clear(&h);
}

static void test_large_response(void)
{
	struct response_head h = { .max_bytes = HEAD_MAX };
	struct span line = SPAN("X-Filler: 0123456789012345678901234567890123456789\r\n");
	struct span first = SPAN("HTTP/1.1 200 OK\r\n");
	const char *why = response_head_line(&h, first);

	for (size_t n = first.len; n + line.len <= HEAD_MAX; n += line.len)
		CHECK(!why && !(why = response_head_line(&h, line)));
	CHECK_STR(response_head_line(&h, line), "too large");
	response_head_clear(&h);
}

static void test_last_words(void)
{
	static const struct {
		const char *text, *body; /* NULL: not a whole response */
	} cases[] = {
		{ "HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nok", "ok" },
		{ "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n", "" },
		{ "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 413 No\r\nContent-Length: 1\r\n\r\nx", "x" },
		{ "HTTP/1.1 413 No\r\nContent-Length: 3\r\n\r\nok", NULL },
		{ "HTTP/1.1 413 No\r\nContent-Length: 1\r\n\r\nok", NULL },
		{ "HTTP/1.1 413 No\r\nConnection: close\r\n\r\nok", NULL }, /* its end is lost */
		{ "HTTP/1.1 413 No\r\nContent-Length: 2\r\n", NULL },
		{ "\x15\x03\x03", NULL },
		{ "", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct response_head h = { .max_bytes = HEAD_MAX };
		struct span body;
		bool whole = last_words_parse(span_of(cases[i].text), &h, &body);

		CHECK_INT(whole, cases[i].body != NULL);
		CHECK(!whole || (span_eq(body, span_of(cases[i].body)) && h.status == 413));
		response_head_clear(&h);
	}
}

int main(void)
{
	test_request_lines();
	test_fields();
	test_limits();
	test_gaps();
	test_targets();
	test_responses();
	test_large_response();
	test_last_words();
	return check_done();
}
