/*
 * test_limits.c - what a refusal means: a row each for what upstreams and relays are known to answer.
 */
#include "base/buf.h"
#include "check.h"
#include "request/api_error.h"
#include "request/limits.h"

#define NOW     INT64_C(1796040000000) /* 2026-11-30T12:00:00Z */
#define NOW_S   "1796040000"
#define IN_5_H  "1796058000"
#define IN_5_D  "1796472000"
#define IN_2_H  "1796047200"
#define HOUR_MS INT64_C(3600000)

#define REQUEST_ID "request-id: req_011C\n"
#define UNIFIED    "anthropic-ratelimit-unified-"
#define BODY(type, message) \
	"{\"type\":\"error\",\"error\":{\"type\":\"" type "\",\"message\":\"" message "\"}}"
#define RATE_LIMIT BODY("rate_limit_error", "This request would exceed your rate limit.")

/* "name: value" lines as fields, pointing into `text`. */
static size_t fields_of(const char *text, struct header *ret, size_t max)
{
	struct span rest = span_of(text), line;
	size_t n = 0;

	while (span_next(&rest, '\n', &line)) {
		const char *colon = line.len ? memchr(line.ptr, ':', line.len) : NULL;
		size_t len = colon ? (size_t)(colon - line.ptr) : 0;

		if (!colon)
			continue;
		must(n < max);
		ret[n++] = (struct header){
			{ line.ptr, len }, span_trim((struct span){ colon + 1, line.len - len - 1 })
		};
	}
	return n;
}

static struct limit_verdict judge(int status, const char *fields, const char *body, bool auxiliary)
{
	struct header list[32];
	struct limit_verdict v;

	limits_judge(&(struct limit_answer){ .status = status,
					     .fields = { list, fields_of(fields, list, 32) },
					     .body = span_of(body),
					     .auxiliary = auxiliary,
					     .now_ms = NOW },
		     &v);
	return v;
}

enum { NOT_SAID = 0 };

static const struct row {
	const char *name;
	int status;
	const char *fields, *body;
	enum limit_kind kind;
	int64_t until_ms;  /* from NOW; 0: not said */
	const char *scope; /* of a quota: "account", or the family, "-" for one without a name */
	const char *why;   /* a part of it */
	bool auxiliary;
} rows[] = {
	/* A window is spent. */
	{ "5 h spent", 429,
	  UNIFIED "status: rejected\n" UNIFIED "reset: " IN_5_H "\n" UNIFIED
		  "representative-claim: five_hour\n" UNIFIED "5h-status: rejected\n" UNIFIED
		  "5h-utilization: 1.0\n" UNIFIED "5h-reset: " IN_5_H "\n" UNIFIED
		  "7d-status: allowed\n" UNIFIED "7d-utilization: 0.4\n" UNIFIED "7d-reset: " IN_5_D
		  "\nretry-after: 18000\n" REQUEST_ID,
	  RATE_LIMIT, LIMIT_QUOTA, 5 * HOUR_MS, "account", "window 5h" },
	{ "both spent: the latest reset; at most 24 h ahead", 429,
	  UNIFIED "status: rejected\n" UNIFIED "5h-status: rejected\n" UNIFIED "5h-reset: " IN_5_H
		  "\n" UNIFIED "7d-status: rejected\n" UNIFIED "7d-reset: " IN_5_D "\n",
	  RATE_LIMIT, LIMIT_QUOTA, 24 * HOUR_MS, "account", "window 7d" },
	{ "a clamped retry-after doesn't count beside the reset", 429,
	  UNIFIED "status: rejected\n" UNIFIED "5h-status: rejected\n" UNIFIED "5h-reset: " IN_2_H
		  "\nretry-after: 900\n",
	  RATE_LIMIT, LIMIT_QUOTA, 2 * HOUR_MS, "account", "retry-after 900" },
	{ "all used up, no status of the window", 429,
	  UNIFIED "status: rejected\n" UNIFIED "7d-utilization: 1.02\n" UNIFIED "7d-reset: " IN_2_H,
	  RATE_LIMIT, LIMIT_QUOTA, 2 * HOUR_MS, "account", "window 7d" },
	{ "only the claim says which", 429,
	  UNIFIED "status: rejected\n" UNIFIED "representative-claim: seven_day\n" UNIFIED
		  "reset: " IN_2_H,
	  "", LIMIT_QUOTA, 2 * HOUR_MS, "account", "claim seven_day" },
	{ "no reset: retry-after", 429,
	  UNIFIED "status: rejected\n" UNIFIED "5h-status: rejected\nretry-after: 7200", "",
	  LIMIT_QUOTA, 2 * HOUR_MS, "account", "window 5h" },
	{ "a reset that is over", 429,
	  UNIFIED "status: rejected\n" UNIFIED "5h-status: rejected\n" UNIFIED
		  "5h-reset: 1796000000",
	  "", LIMIT_QUOTA, 0, "account", "window 5h" },
	{ "a 429 that the relay made a 403, with its fields", 403,
	  UNIFIED "status: rejected\n" UNIFIED "5h-status: rejected\n" UNIFIED "5h-reset: " IN_2_H,
	  "{\"error\":\"forbidden\"}", LIMIT_QUOTA, 2 * HOUR_MS, "account", "403, window 5h" },

	/* One family of models. */
	{ "a family's window, the account's are fine", 429,
	  UNIFIED "status: rejected\n" UNIFIED
		  "representative-claim: seven_day_overage_included\n" UNIFIED
		  "5h-status: allowed\n" UNIFIED "7d-status: allowed\n" UNIFIED
		  "7d_oi-status: rejected\n" UNIFIED "7d_oi-reset: " IN_2_H,
	  RATE_LIMIT, LIMIT_QUOTA, 2 * HOUR_MS, "-", "window 7d_oi" },
	{ "a family's window with a name", 429,
	  UNIFIED "status: rejected\n" UNIFIED "7d-status: allowed_warning\n" UNIFIED
		  "7d_opus-status: rejected\n" UNIFIED "7d_opus-reset: " IN_2_H,
	  RATE_LIMIT, LIMIT_QUOTA, 2 * HOUR_MS, "opus", "window 7d_opus" },
	{ "a family's claim", 429,
	  UNIFIED "status: rejected\n" UNIFIED "representative-claim: seven_day_opus\n" UNIFIED
		  "reset: " IN_5_D,
	  RATE_LIMIT, LIMIT_QUOTA, 24 * HOUR_MS, "opus", "claim seven_day_opus" },

	/* Too much at once. */
	{ "per minute, of an API key", 429,
	  "anthropic-ratelimit-input-tokens-remaining: 0\n"
	  "anthropic-ratelimit-input-tokens-reset: 2026-11-30T12:00:42Z\nretry-after: 5\n" REQUEST_ID,
	  RATE_LIMIT, LIMIT_THROTTLE, 5000, NULL, "retry-after 5" },
	{ "the same without retry-after", 429,
	  "anthropic-ratelimit-requests-remaining: 3\n"
	  "anthropic-ratelimit-requests-reset: 2026-11-30T13:00:00Z\n"
	  "anthropic-ratelimit-input-tokens-remaining: 0\n"
	  "anthropic-ratelimit-input-tokens-reset: 2026-11-30T12:00:42Z\n",
	  RATE_LIMIT, LIMIT_THROTTLE, 42000, NULL, "a bucket is empty" },
	{ "a bucket is empty, and nobody says until when", 429,
	  "anthropic-ratelimit-tokens-remaining: 0\nretry-after: 5\n", RATE_LIMIT, LIMIT_THROTTLE,
	  5000, NULL, "retry-after 5" },
	{ "of a subscription, all windows allowed", 429,
	  UNIFIED "status: allowed\n" UNIFIED "5h-status: allowed\nretry-after: 7\n", RATE_LIMIT,
	  LIMIT_THROTTLE, 7000, NULL, "no window is rejected" },
	{ "a retry-after beyond belief", 429, "retry-after: 99999999999999999999\n", RATE_LIMIT,
	  LIMIT_THROTTLE, 24 * HOUR_MS, NULL, "" },
	{ "bare: a burst", 429, "x-should-retry: true\n" REQUEST_ID,
	  BODY("rate_limit_error", "Error"), LIMIT_THROTTLE, NOT_SAID, NULL, "without a word" },
	{ "bare, and the relay took the request id away", 429, "",
	  BODY("rate_limit_error", "Rate limited"), LIMIT_THROTTLE, NOT_SAID, NULL, "" },
	{ "a body that is cut", 429, REQUEST_ID,
	  "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"mess", LIMIT_THROTTLE,
	  NOT_SAID, NULL, "" },
	{ "a retry-after that is a date is none", 429, "retry-after: Mon, 30 Nov 2026 13:00:00 GMT",
	  RATE_LIMIT, LIMIT_THROTTLE, NOT_SAID, NULL, "" },
	{ "retry-after: 0", 429, "retry-after: 0", RATE_LIMIT, LIMIT_THROTTLE, NOT_SAID, NULL, "" },

	/* What must not hold an account. */
	{ "long context without credits", 429,
	  UNIFIED "status: allowed\n" UNIFIED "5h-status: allowed\n" UNIFIED
		  "overage-status: rejected\n" UNIFIED
		  "overage-disabled-reason: org_level_disabled\nretry-after: 60\n",
	  BODY("rate_limit_error", "Extra usage is required for long context requests."),
	  LIMIT_NOT_A_LIMIT, 0, NULL, "about this request" },
	{ "the owner's spend limit", 429, "x-should-retry: false\n" REQUEST_ID,
	  "{\"type\":\"error\",\"error\":{\"type\":\"billing_error\",\"message\":\"m\",\"details\":"
	  "{\"error_code\":\"enforced_spend_limit_reached\"}}}",
	  LIMIT_NOT_A_LIMIT, 0, NULL, "enforced_spend_limit_reached" },
	{ "no credit", 402, REQUEST_ID, BODY("billing_error", "m"), LIMIT_NOT_A_LIMIT, 0, NULL,
	  "about money" },
	{ "to a title", 429, "retry-after: 30\n" REQUEST_ID, RATE_LIMIT, LIMIT_NOT_A_LIMIT, 0, NULL,
	  "auxiliary", true },
	{ "to a title, but the account's window is spent", 429,
	  UNIFIED "status: rejected\n" UNIFIED "5h-status: rejected\n" UNIFIED "5h-reset: " IN_2_H,
	  RATE_LIMIT, LIMIT_QUOTA, 2 * HOUR_MS, "account", "", true },
	{ "everybody's overload", 529, "retry-after: 3\n" REQUEST_ID,
	  BODY("overloaded_error", "Overloaded"), LIMIT_OVERLOADED, 3000, NULL, "overload" },
	{ "… of which no more than 10 s is believed", 529, "retry-after: 600\n", "",
	  LIMIT_OVERLOADED, 10000, NULL, "" },
	{ "… that a relay made a 503", 503, "", BODY("overloaded_error", "Overloaded"),
	  LIMIT_OVERLOADED, NOT_SAID, NULL, "" },
	{ "running on credits", 200,
	  UNIFIED "status: rejected\n" UNIFIED "5h-status: rejected\n" UNIFIED
		  "overage-in-use: true\n",
	  "", LIMIT_NONE, 0, NULL, "" },
	{ "a burst while running on credits", 429,
	  UNIFIED "status: rejected\n" UNIFIED "5h-status: rejected\n" UNIFIED "5h-reset: " IN_5_H
		  "\n" UNIFIED "overage-in-use: true\nretry-after: 4\n",
	  RATE_LIMIT, LIMIT_THROTTLE, 4000, NULL, "" },
	{ "the relay's own queue", 503, "x-user-message-queue-error: queue_timeout\n",
	  "{\"type\":\"error\",\"error\":{\"type\":\"queue_timeout\"}}", LIMIT_NONE, 0, NULL, "" },
	{ "the relay's own queue, as 429", 429,
	  "x-user-message-queue-error: queue_timeout\nretry-after: 5\n",
	  BODY("rate_limit_error", "queue"), LIMIT_NOT_A_LIMIT, 0, NULL, "relay's own queue" },
	{ "the relay's own limit of a key", 429, "retry-after: 30\n",
	  "{\"error\":\"Rate limit exceeded\",\"message\":\"12 requests in 1 min\"}",
	  LIMIT_NOT_A_LIMIT, 0, NULL, "relay's own limit" },
	{ "a web server's page", 429, "", "<html>429 Too Many Requests</html>", LIMIT_NOT_A_LIMIT,
	  0, NULL, "" },

	/* What isn't understood. */
	{ "a rate limit as 403, without fields", 403, REQUEST_ID, RATE_LIMIT, LIMIT_UNKNOWN, 0,
	  NULL, "another status" },
	{ "rejected, and nothing says by what", 429, UNIFIED "status: rejected\nretry-after: 60\n",
	  RATE_LIMIT, LIMIT_UNKNOWN, 0, NULL, "no window that is named" },
	{ "another type", 429, REQUEST_ID, BODY("api_error", "m"), LIMIT_UNKNOWN, 0, NULL,
	  "none of the known refusals" },

	/* Other answers. */
	{ "fine", 200, UNIFIED "status: allowed\n", "", LIMIT_NONE, 0, NULL, "" },
	{ "a bad key", 401, REQUEST_ID, BODY("authentication_error", "m"), LIMIT_NONE, 0, NULL,
	  "" },
	{ "not allowed, while a window is spent", 403,
	  UNIFIED "status: rejected\n" UNIFIED "5h-status: rejected\n",
	  BODY("permission_error", "m"), LIMIT_NONE, 0, NULL, "" },
	{ "an error of the API's", 500, REQUEST_ID, BODY("api_error", "m"), LIMIT_NONE, 0, NULL,
	  "" },
	{ "a bad gateway", 502, "retry-after: 5\n", "<html>", LIMIT_NONE, 0, NULL, "" },
};

static void test_rows(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		struct limit_verdict v = judge(r->status, r->fields, r->body, r->auxiliary);
		int failures = check_failures;
		bool past = strstr(r->name, "that is over") != NULL;
		const char *scope = v.scope == LIMIT_OF_ACCOUNT ? "account"
				    : v.family[0]               ? v.family
								: "-";

		CHECK_STR(limit_kind_names[v.kind], limit_kind_names[r->kind]);
		CHECK_INT(v.until_ms, r->until_ms || past ? NOW + r->until_ms : 0);
		if (r->scope)
			CHECK_STR(scope, r->scope);
		CHECK(strstr(v.why, r->why) != NULL);
		CHECK_INT(v.dont_retry, strstr(r->fields, "x-should-retry: false") != NULL);
		if (failures != check_failures)
			fprintf(stderr, "  in \"%s\": %s\n", r->name, v.why);
	}
}

/* --- the passing read ------------------------------------------------------------------------- */

static void test_reading(void)
{
	struct header list[32];
	struct limit_reading r;
	struct headers fields = { list, 0 };

	CHECK(!limits_read(&fields, NOW, &r));
	fields.count = fields_of("content-type: text/event-stream\n"
				 "anthropic-ratelimit-requests-limit: 50\n",
				 list, 32);
	CHECK(!limits_read(&fields, NOW, &r));
	fields.count = fields_of(
		"Anthropic-RateLimit-Unified-Status: allowed_warning\n" UNIFIED "reset: " IN_2_H
		"\n" UNIFIED "representative-claim: five_hour\n" UNIFIED
		"fallback: available\n" UNIFIED "fallback-percentage: 0.5\n" UNIFIED
		"overage-status: rejected\n" UNIFIED "overage-disabled-reason: org_level_disabled\n"
		"Anthropic-Ratelimit-Unified-5H-Utilization: 0.87\n" UNIFIED
		"5h-status: allowed_warning\n" UNIFIED "5h-reset: " IN_2_H "\n" UNIFIED
		"5h-surpassed-threshold: 0.75\n" UNIFIED "7d-utilization: nan\n" UNIFIED
		"7d-reset: " IN_5_D "\n" UNIFIED "7d_oi-utilization: 0\n",
		list, 32);
	CHECK(limits_read(&fields, NOW, &r));
	CHECK_INT(r.at_ms, NOW);
	CHECK_INT(r.status, LIMIT_WARNING);
	CHECK_INT(r.reset_ms, NOW + 2 * HOUR_MS);
	CHECK_STR(r.claim, "five_hour");
	CHECK(r.no_credits && !r.on_credits);
	CHECK_INT(r.count, 3);
	CHECK_STR(r.windows[0].name, "5h");
	CHECK_INT((int64_t)(r.windows[0].utilisation * 1000 + .5), 870);
	CHECK_INT(r.windows[0].status, LIMIT_WARNING);
	CHECK_INT(r.windows[0].reset_ms, NOW + 2 * HOUR_MS);
	CHECK_STR(r.windows[1].name, "7d");
	CHECK(r.windows[1].utilisation < 0);
	CHECK_STR(r.windows[2].name, "7d_oi");
	CHECK(r.windows[2].utilisation == 0);
	CHECK_INT(r.windows[2].reset_ms, 0);

	/* What has rolled over says nothing of the window after it. */
	CHECK(limits_drop_past(&r, NOW + HOUR_MS - 1));
	CHECK_INT(r.count, 3);
	CHECK(limits_drop_past(&r, NOW + 2 * HOUR_MS -
					   1)); /* one without an end isn't known for long */
	CHECK_INT(r.count, 2);
	CHECK(limits_drop_past(&r, NOW + 2 * HOUR_MS));
	CHECK_INT(r.count, 1);
	CHECK_STR(r.windows[0].name, "7d");
	CHECK(!limits_drop_past(&r, NOW + 5 * 24 * HOUR_MS));
	CHECK_INT(r.count, 0);
}

/* A hostile upstream has as many windows, as long names and as large numbers as it likes. */
static void test_hostile_fields(void)
{
	CLEANUP(buf_clear) struct buf text = { 0 };
	struct header list[128];
	struct limit_reading r;
	struct headers fields = { list, 0 };

	for (int i = 0; i < 20; i++)
		buf_printf(&text, UNIFIED "%dh-utilization: 1e308\n" UNIFIED "%dh-reset: %s\n", i,
			   i, "-99999999999999999999999");
	buf_printf(&text,
		   UNIFIED "5%0200d-status: rejected\n" UNIFIED "-status: rejected\n" UNIFIED
			   "5-: x\n" UNIFIED "5h_%c-status: rejected\n",
		   0, 7);
	fields.count = fields_of(buf_str(&text), list, 128);
	CHECK(limits_read(&fields, NOW, &r));
	CHECK_INT(r.count, LIMIT_WINDOWS);
	for (size_t i = 0; i < r.count; i++) {
		CHECK(r.windows[i].utilisation < 0);
		CHECK_INT(r.windows[i].reset_ms, 0);
	}
	text.len = 0;
	buf_printf(&text, UNIFIED "5h_%c-status: rejected\n", 7);
	fields.count = fields_of(buf_str(&text), list, 128);
	CHECK(limits_read(&fields, NOW, &r));
	CHECK_INT(r.count, 0);
}

static void test_names(void)
{
	CHECK(limit_is_of_account(SPAN("5h")));
	CHECK(limit_is_of_account(SPAN("7d")));
	CHECK(limit_is_of_account(SPAN("30d")));
	CHECK(!limit_is_of_account(SPAN("7d_opus")));
	CHECK(!limit_is_of_account(SPAN("7")));
	CHECK(!limit_is_of_account(SPAN("h")));
	CHECK(!limit_is_of_account(SPAN("")));
}

/* --- bodies ----------------------------------------------------------------------------------- */

static void test_bodies(void)
{
	static const struct {
		const char *text, *type, *code, *message;
		bool is_api, has_request;
	} bodies[] = {
		{ "", "", "", "", false, false },
		{ BODY("t", "m"), "t", "", "m", true, false },
		{ "{\"request_id\":\"req_1\",\"error\":{\"message\":\"m\",\"type\":\"t\"},\"type\":"
		  "\"error\"}",
		  "t", "", "m", true, true },
		{ "{\"error\":\"words\"}", "", "", "words", false, false },
		{ "{\"error\":{\"code\":\"c\",\"message\":\"a\\\"b\\u00e9\\nc\"}}", "", "c",
		  "a\"b? c", false, false },
		{ "{\"error\":{\"details\":{\"error_code\":\"d\",\"x\":{\"error_code\":\"e\"}}}}",
		  "", "d", "", false, false },
		{ "{\"error\":{\"details\":{\"error_code\":\"d\"},\"code\":\"c\"}}", "", "d", "",
		  false, false },
		{ "{\"error\":{\"code\":\"c\",\"details\":{\"error_code\":\"d\"}}}", "", "d", "",
		  false, false },
		{ "{\"x\":{\"type\":\"t\"},\"error\":{\"x\":[\"type\",\"u\"],\"type\":\"v\"}}", "v",
		  "", "", false, false },
		{ "{\"type\":\"error\",\"error\":{\"type\":\"t\",\"message\":\"cut he", "t", "",
		  "cut he", true, false },
		{ "{\"error\":{\"message\":\"cut\\", "", "", "cut", false, false },
		{ "{\"error\":{\"message\":\"cut\\u00", "", "", "cut?", false, false },
		{ "[[[[[[[[\"a\"]]]]]]]]]]]]]]]{\"error\":\"x\"", "", "", "x", false, false },
		{ "\"", "", "", "", false, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		struct api_error e;

		api_error_read(span_of(bodies[i].text), &e);
		CHECK_STR(e.type, bodies[i].type);
		CHECK_STR(e.code, bodies[i].code);
		CHECK_STR(e.message, bodies[i].message);
		CHECK_INT(e.is_api, bodies[i].is_api);
		CHECK_INT(e.has_request, bodies[i].has_request);
	}
}

/* Every beginning of a body is one; none is read beyond its end (copies of exact size, for ASan). */
static void test_cut_anywhere(void)
{
	const char *body =
		"{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":"
		"\"a\\u00e9\\\\b\",\"details\":{\"error_code\":\"c\"}},\"request_id\":"
		"\"req_1\"}";

	for (size_t n = 0; n <= strlen(body); n++) {
		char *copy = xmalloc(n + !n);
		struct api_error e;

		memcpy(copy, body, n);
		api_error_read((struct span){ copy, n }, &e);
		CHECK(strlen(e.type) <= strlen("rate_limit_error"));
		free(copy);
	}
}

int main(void)
{
	test_rows();
	test_reading();
	test_hostile_fields();
	test_names();
	test_bodies();
	test_cut_anywhere();
	return check_done();
}
