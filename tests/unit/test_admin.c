/*
 * test_admin.c - the pure parts of the operators' listener: which route, who may, and numbers.
 */
#include <errno.h>

#include "admin/changes.h"
#include "admin/guard.h"
#include "admin/lag.h"
#include "admin/route.h"
#include "admin/routes.h"
#include "base/histogram.h"
#include "check.h"
#include "proxy/tally.h"
#include "queue/memory/samples.h"
#include "queue/memory/share.h"

static void no_handler(struct call *call)
{
	(void)call;
}

static const struct route table[] = {
	{ "GET", "/a", ROUTE_READ, no_handler, "" },
	{ "PUT", "/a", ROUTE_WRITE, no_handler, "" },
	{ "GET", "/a/{x}", ROUTE_READ, no_handler, "" },
	{ "DELETE", "/a/{x}/b/{y}", ROUTE_WRITE, no_handler, "" },
};

static void test_routes(void)
{
	static const struct {
		const char *method, *target;
		int result, row;
		const char *first, *second, *allow;
	} cases[] = {
		{ "GET", "/a", 0, 0, "", "", "" },
		{ "HEAD", "/a", 0, 0, "", "", "" },
		{ "PUT", "/a?x=1", 0, 1, "", "", "" },
		{ "POST", "/a", -EACCES, 0, "", "", "GET, HEAD, PUT" },
		{ "get", "/a", -EACCES, 0, "", "", "GET, HEAD, PUT" },
		{ "GET", "/a/", -ENOENT, 0, "", "", "" },
		{ "GET", "/a/x", 0, 2, "x", "", "" },
		{ "GET", "/a/x?y/z", 0, 2, "x", "", "" },
		{ "GET", "/a/%41%3ab", 0, 2, "A:b", "", "" },
		{ "GET", "/a/x%2Fy", 0, 2, "x/y", "", "" },
		{ "GET", "/a/%4", -ENOENT, 0, "", "", "" },
		{ "GET", "/a/%zz", -ENOENT, 0, "", "", "" },
		{ "GET", "/a/%00", -ENOENT, 0, "", "", "" },
		{ "GET", "/a/x%0Ay", -ENOENT, 0, "", "", "" },
		{ "GET", "/a//b/y", -ENOENT, 0, "", "", "" },
		{ "DELETE", "/a/x/b/y", 0, 3, "x", "y", "" },
		{ "DELETE", "/a/x/b/", -ENOENT, 0, "", "", "" },
		{ "DELETE", "/a/x/b/y/", -ENOENT, 0, "", "", "" },
		{ "DELETE", "/a/x/c/y", -ENOENT, 0, "", "", "" },
		{ "GET", "/a/x/b/y", -EACCES, 0, "", "", "DELETE" },
		{ "GET", "", -ENOENT, 0, "", "", "" },
		{ "GET", "/", -ENOENT, 0, "", "", "" },
		{ "GET", "a", -ENOENT, 0, "", "", "" },
		{ "OPTIONS", "*", -ENOENT, 0, "", "", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP(buf_clear) struct buf allow = { 0 };
		const struct route *route = NULL;
		struct route_params params = { 0 };
		int r = route_find(table, ARRAY_SIZE(table), span_of(cases[i].method),
				   span_of(cases[i].target), &route, &params, &allow);

		CHECK_INT(r, cases[i].result);
		CHECK_STR(buf_str(&allow), cases[i].allow);
		if (r)
			continue;
		CHECK_INT(route - table, cases[i].row);
		CHECK_STR(params.text[0], cases[i].first);
		CHECK_STR(params.text[1], cases[i].second);
	}
}

static void test_long_params(void)
{
	struct route_params params;
	const struct route *route;
	struct buf allow = { 0 };
	char target[ROUTE_PARAM_MAX + 8] = "/a/";

	memset(target + 3, 'x', ROUTE_PARAM_MAX - 1);
	CHECK_INT(route_find(table, 3, SPAN("GET"), span_of(target), &route, &params, &allow), 0);
	target[3 + ROUTE_PARAM_MAX - 1] = 'x';
	CHECK_INT(route_find(table, 3, SPAN("GET"), span_of(target), &route, &params, &allow),
		  -ENOENT);
}

static void test_query(void)
{
	static const struct {
		const char *target, *name, *want;
	} cases[] = {
		{ "/a", "x", NULL },        { "/a?x=1", "x", "1" },     { "/a?xy=1", "x", NULL },
		{ "/a?y=2&x=1", "x", "1" }, { "/a?x=", "x", "" },       { "/a?x", "x", NULL },
		{ "/a?", "x", NULL },       { "/a?x=1&x=2", "x", "1" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct span got = route_query(span_of(cases[i].target), span_of(cases[i].name));

		CHECK(!got.ptr == !cases[i].want);
		CHECK(!cases[i].want || span_eq(got, span_of(cases[i].want)));
	}
}

/* Every route is reachable under its own path, and writes are what isn't GET. */
static void test_table(void)
{
	for (size_t i = 0; i < routes_count; i++) {
		struct buf allow = { 0 };
		struct route_params params;
		const struct route *route = NULL;

		CHECK_INT(route_find(routes, routes_count, span_of(routes[i].method),
				     span_of(routes[i].path), &route, &params, &allow),
			  0);
		CHECK(route == &routes[i]);
		CHECK_INT(routes[i].access == ROUTE_WRITE, strcmp(routes[i].method, "GET") != 0);
		CHECK(routes[i].help[0] != '\0');
	}
}

#define TOKEN "0123456789abcdef"

static const struct {
	enum guard_verdict want;
	enum route_access access;
	const char *token;
	bool has_body;
	const char *fields[8]; /* name, value, … */
} guard_cases[] = {
	{ GUARD_FINE, ROUTE_OPEN, TOKEN, false, { "Host", "evil.example" } },
	{ GUARD_FINE, ROUTE_READ, "", false, { "Host", "127.0.0.1:8081" } },
	{ GUARD_FINE, ROUTE_READ, "", false, { "Host", "localhost:1" } },
	{ GUARD_FINE, ROUTE_READ, "", false, { "Host", "[::1]:1" } },
	{ GUARD_FINE, ROUTE_READ, "", false, { NULL } },
	{ GUARD_WRONG_HOST, ROUTE_READ, "", false, { "Host", "evil.example:8081" } },
	{ GUARD_WRONG_HOST, ROUTE_READ, "", false, { "Host", "127.0.0.1.evil.example" } },
	{ GUARD_WRONG_HOST, ROUTE_WRITE, "", false, { "Host", "localhost.evil.example" } },
	{ GUARD_NO_TOKEN, ROUTE_READ, TOKEN, false, { "Host", "127.0.0.1" } },
	{ GUARD_NO_TOKEN, ROUTE_READ, TOKEN, false, { "Authorization", TOKEN } },
	{ GUARD_NO_TOKEN, ROUTE_READ, TOKEN, false, { "Authorization", "Basic " TOKEN } },
	{ GUARD_NO_TOKEN, ROUTE_READ, TOKEN, false, { "Authorization", "Bearer " } },
	{ GUARD_NO_TOKEN, ROUTE_READ, TOKEN, false, { "Authorization", "Bearer " TOKEN "0" } },
	{ GUARD_NO_TOKEN,
	  ROUTE_READ,
	  TOKEN,
	  false,
	  { "Authorization", "Bearer 0123456789abcdeF" } },
	{ GUARD_FINE,
	  ROUTE_READ,
	  TOKEN,
	  false,
	  { "Authorization", "bearer  " TOKEN, "Host", "any.example" } },
	{ GUARD_FINE, ROUTE_WRITE, "", false, { "Host", "127.0.0.1:1" } },
	{ GUARD_FINE,
	  ROUTE_WRITE,
	  "",
	  false,
	  { "Host", "127.0.0.1:1", "Origin", "http://127.0.0.1:1" } },
	{ GUARD_OTHER_SITE,
	  ROUTE_WRITE,
	  "",
	  false,
	  { "Host", "127.0.0.1:1", "Origin", "http://127.0.0.1:2" } },
	{ GUARD_OTHER_SITE, ROUTE_WRITE, "", false, { "Host", "127.0.0.1:1", "Origin", "null" } },
	{ GUARD_OTHER_SITE, ROUTE_WRITE, "", false, { "Origin", "http://" } },
	{ GUARD_OTHER_SITE,
	  ROUTE_WRITE,
	  "",
	  false,
	  { "Host", "127.0.0.1:1", "Sec-Fetch-Site", "cross-site" } },
	{ GUARD_OTHER_SITE,
	  ROUTE_WRITE,
	  "",
	  false,
	  { "Host", "127.0.0.1:1", "Sec-Fetch-Site", "same-site" } },
	{ GUARD_FINE,
	  ROUTE_WRITE,
	  "",
	  false,
	  { "Host", "127.0.0.1:1", "Sec-Fetch-Site", "same-origin" } },
	{ GUARD_FINE,
	  ROUTE_READ,
	  "",
	  false,
	  { "Host", "127.0.0.1:1", "Sec-Fetch-Site", "cross-site" } },
	{ GUARD_FINE,
	  ROUTE_WRITE,
	  TOKEN,
	  false,
	  { "Authorization", "Bearer " TOKEN, "Origin", "https://dash.example" } },
	{ GUARD_NOT_JSON, ROUTE_WRITE, "", true, { NULL } },
	{ GUARD_NOT_JSON,
	  ROUTE_WRITE,
	  "",
	  true,
	  { "Content-Type", "application/x-www-form-urlencoded" } },
	{ GUARD_NOT_JSON, ROUTE_WRITE, "", false, { "Content-Type", "text/plain" } },
	{ GUARD_NOT_JSON, ROUTE_WRITE, TOKEN, true, { "Authorization", "Bearer " TOKEN } },
	{ GUARD_FINE,
	  ROUTE_WRITE,
	  "",
	  true,
	  { "Content-Type", "Application/JSON; charset=utf-8" } },
};

static void test_guard(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(guard_cases); i++) {
		struct header fields[4];
		struct headers headers = { fields, 0 };
		struct guard_tokens tokens = { guard_cases[i].token, NULL };
		struct guard_person person = { .name = "?" };

		for (const char *const *f = guard_cases[i].fields; *f; f += 2)
			fields[headers.count++] = (struct header){ span_of(f[0]), span_of(f[1]) };
		CHECK_INT(guard_check(&headers, guard_cases[i].access, &tokens,
				      guard_cases[i].has_body, &person),
			  guard_cases[i].want);
		if (guard_cases[i].want != GUARD_FINE)
			CHECK_STR(person.name, "?");
	}
}

static void test_people(void)
{
	static const struct admin_token list[] = {
		{ (char *)"eye", (char *)"read-only-token-1", false },
		{ (char *)"hand", (char *)"read-write-token-2", true },
		{ NULL, NULL, false },
	};
	static const struct {
		enum guard_verdict want;
		enum route_access access;
		const char *token, *sent, *name;
		bool may_write;
	} cases[] = {
		{ GUARD_FINE, ROUTE_READ, TOKEN, "Bearer " TOKEN, "admin", true },
		{ GUARD_FINE, ROUTE_WRITE, TOKEN, "Bearer " TOKEN, "admin", true },
		{ GUARD_FINE, ROUTE_READ, "", "Bearer read-only-token-1", "eye", false },
		{ GUARD_READ_ONLY, ROUTE_WRITE, "", "Bearer read-only-token-1", "?", false },
		{ GUARD_FINE, ROUTE_WRITE, TOKEN, "Bearer read-write-token-2", "hand", true },
		{ GUARD_NO_TOKEN, ROUTE_READ, "", "Bearer ", "?", false },
		{ GUARD_NO_TOKEN, ROUTE_READ, "", "Bearer " TOKEN, "?", false },
		{ GUARD_NO_TOKEN, ROUTE_WRITE, TOKEN, "Bearer read-write-token-", "?", false },
		{ GUARD_FINE, ROUTE_OPEN, TOKEN, "Bearer x", "", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct guard_tokens tokens = { cases[i].token, list };
		struct header field = { SPAN("Authorization"), span_of(cases[i].sent) };
		struct headers headers = { &field, 1 };
		struct guard_person person = { .name = "?" };

		CHECK_INT(guard_check(&headers, cases[i].access, &tokens, false, &person),
			  cases[i].want);
		CHECK_STR(person.name, cases[i].name);
		CHECK_INT(person.may_write, cases[i].may_write);
	}
}

static void test_changes(void)
{
	struct changes changes = { 0 };
	cJSON *list = changes_json(&changes);
	char ticket[16];

	CHECK_INT(cJSON_GetArraySize(list), 0);
	cJSON_Delete(list);
	for (int i = 0; i < CHANGES_MAX + 2; i++) {
		snprintf(ticket, sizeof ticket, "t%d", i);
		changes_add(&changes, &(struct change){ .who = "hand", .ticket = ticket });
	}
	list = changes_json(&changes);
	CHECK_INT(cJSON_GetArraySize(list), CHANGES_MAX);
	CHECK_STR(cJSON_GetObjectItem(cJSON_GetArrayItem(list, 0), "ticket")->valuestring, "t201");
	CHECK_STR(cJSON_GetObjectItem(cJSON_GetArrayItem(list, CHANGES_MAX - 1), "ticket")
			  ->valuestring,
		  "t2");
	CHECK(cJSON_IsNull(cJSON_GetObjectItem(cJSON_GetArrayItem(list, 0), "before")));
	cJSON_Delete(list);
	changes_clear(&changes);
	CHECK_INT(changes.count, 0);
}

static void test_equal(void)
{
	CHECK(guard_equal(SPAN("abc"), SPAN("abc")));
	CHECK(!guard_equal(SPAN("abcabc"), SPAN("abc")));
	CHECK(!guard_equal(SPAN("ab"), SPAN("abc")));
	CHECK(!guard_equal(SPAN(""), SPAN("abc")));
	CHECK(!guard_equal(SPAN("abc"), SPAN("")));
	CHECK(!guard_equal(SPAN("abd"), SPAN("abc")));
	CHECK(!guard_equal(SPAN("bbc"), SPAN("abc")));
}

static void test_histogram(void)
{
	struct histogram h = { .scale = &histogram_waits };

	histogram_add(&h, -5);
	histogram_add(&h, 1000);
	histogram_add(&h, 1001);
	histogram_add(&h, 3600LL * 1000 * 1000);
	CHECK_INT(h.buckets[0], 2);
	CHECK_INT(h.buckets[1], 1);
	CHECK_INT(h.buckets[HISTOGRAM_BOUNDS], 1);
	CHECK_INT(h.sum_us, 2001 + 3600LL * 1000 * 1000);
	CHECK_INT(histogram_count(&h), 4);
	for (size_t i = 1; i < HISTOGRAM_BOUNDS; i++) {
		CHECK(histogram_waits.le_us[i] > histogram_waits.le_us[i - 1]);
		CHECK(histogram_quick.le_us[i] > histogram_quick.le_us[i - 1]);
	}
}

static void keep_busy(struct job *job)
{
	int64_t end = clock_us() + 400000;

	(void)job;
	while (clock_us() < end)
		;
}

static void beacon(void *arg)
{
	*(bool *)arg = true;
}

/* A new one that has looked for 600 ms at a loop with nothing to do. */
static struct lag *idle_lag(struct loop *loop)
{
	struct lag *lag = lag_new(loop);
	struct timer *patience;
	bool over = false;

	patience = timer_new(loop, beacon, &over);
	timer_start(patience, 600);
	while (!over)
		uv_run(&loop->uv, UV_RUN_ONCE);
	timer_clear(&patience);
	return lag;
}

/* What keeps the loop from running counts, waiting doesn't. */
static void test_lag(void)
{
	struct job job = { .run = keep_busy };
	struct loop loop = { 0 };
	int64_t before;
	struct lag *lag;

	loop_open(&loop);
	lag = idle_lag(&loop);
	/* A busy machine keeps it from running as well, but not in each of some rounds. */
	for (int i = 0; i < 9 && lag_longest_us(lag) >= 100000; i++) {
		lag_free(lag);
		lag = idle_lag(&loop);
	}
	CHECK(histogram_count(lag_delays(lag)) > 0);
	CHECK(lag_longest_us(lag) < 100000);
	loop_defer(&loop, &job);
	before = lag_longest_us(lag);
	RUN_UNTIL(&loop, lag_longest_us(lag) > before, 2000);
	CHECK(lag_longest_us(lag) >= 100000);
	lag_free(lag);
	loop_close(&loop);
}

static void put_row(void *arg, const struct tally_row *row)
{
	buf_printf(arg, "%s:%d:%d:%d:%d ", row->account, (int)row->turns, (int)row->refused,
		   (int)row->wait_us, (int)row->hold_us);
}

static void test_tally(void)
{
	CLEANUP(buf_clear) struct buf rows = { 0 };
	struct tally *none = tally_new(0), *two = tally_new(2);

	tally_add(none, "a", 1, 1);
	tally_each(none, put_row, &rows);
	CHECK_STR(buf_str(&rows), "");
	tally_add(two, "a", 1, 2);
	tally_add(two, "b", 3, -1);
	tally_add(two, "c", 4, 5);
	tally_add(two, "d", 6, -1);
	tally_add(two, "a", 7, 0);
	tally_each(two, put_row, &rows);
	CHECK_STR(buf_str(&rows), "a:2:0:8:2 b:0:1:3:0 other:1:1:10:5 ");
	tally_free(none);
	tally_free(two);
}

struct seen_samples {
	size_t count;
	int64_t last_at_ms;
};

static void see_sample(void *arg, const struct sample *s)
{
	struct seen_samples *seen = arg;

	CHECK(!seen->count || s->at_ms == seen->last_at_ms + 1); /* in order, without gaps */
	CHECK_INT(s->hold_ms, 2 * s->wait_ms);
	seen->last_at_ms = s->at_ms;
	seen->count++;
}

static struct seen_samples see_samples(const struct samples *s, int64_t since_ms)
{
	struct seen_samples seen = { 0 };

	samples_each(s, since_ms, see_sample, &seen);
	return seen;
}

static void test_samples(void)
{
	struct shares shares = { 0 };
	struct samples s = { 0 };
	int gone = 0;

	CHECK_INT(see_samples(&s, 0).count, 0);
	for (int i = 0; i < 3 * LOCK_SAMPLES_MAX; i++) {
		struct sample x = { i, i, 2 * i, shares_use(&shares, i % 2 ? "odd" : "even") };
		struct share *was = samples_add(&s, &x);

		gone += was != NULL;
		shares_drop(&shares, was);
		CHECK_INT(see_samples(&s, 0).last_at_ms, i);
	}
	CHECK_INT(gone, 2 * LOCK_SAMPLES_MAX);
	CHECK_INT(see_samples(&s, 0).count, LOCK_SAMPLES_MAX);
	CHECK_INT(see_samples(&s, 3 * LOCK_SAMPLES_MAX - 1).count, 1);
	for (size_t i = 0; i < s.count; i++)
		shares_drop(&shares, s.ring[i].share);
	CHECK(!shares.by_name);
	samples_clear(&s);
	samples_clear(&s);
}

int main(void)
{
	test_routes();
	test_long_params();
	test_query();
	test_table();
	test_guard();
	test_people();
	test_changes();
	test_equal();
	test_histogram();
	test_lag();
	test_tally();
	test_samples();
	return check_done();
}
