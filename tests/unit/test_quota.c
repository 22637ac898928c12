/*
 * test_quota.c - what the upstream has said of each account: the latest reading of each window, for as
 * long as the window lasts, and the answers of the last hours.
 */
#include "proxy/quota.h"

#include "check.h"

#define UNIFIED "anthropic-ratelimit-unified-"
#define NOW     INT64_C(1796040000000) /* 2026-11-30T12:00:00Z */
#define HOUR_MS INT64_C(3600000)

static struct quotas *quotas;
static struct limit_window changed;

/* A response with these fields, "name", "value", …, NULL; whether a status is another one. */
static bool answer(const char *account, int64_t now_ms, const char *const *texts)
{
	struct header fields[16];
	size_t n = 0;

	for (; *texts; texts += 2)
		fields[n++] = (struct header){ span_of(texts[0]), span_of(texts[1]) };
	return quotas_read(quotas, account, &(struct headers){ fields, n }, now_ms, &changed);
}

static struct quota get(const char *account, int64_t now_ms)
{
	struct quota q;

	quotas_get(quotas, account, now_ms, &q);
	return q;
}

#define FIELDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* 5h until 13:00, 7d until tomorrow; then a family's alone; then nothing of windows. */
static void test_readings(void)
{
	struct quota q;

	CHECK(!answer("a", NOW, FIELDS("content-type", "x")));
	CHECK_INT(get("a", NOW).reading.count, 0);
	CHECK(!answer("a", NOW,
		      FIELDS(UNIFIED "status", "allowed", UNIFIED "5h-utilization", "0.5",
			     UNIFIED "5h-reset", "1796043600", UNIFIED "5h-status", "allowed",
			     UNIFIED "7d-utilization", "0.25", UNIFIED "7d-reset", "1796126400")));
	CHECK(answer("a", NOW + 1000,
		     FIELDS(UNIFIED "status", "rejected", UNIFIED "7d_opus-utilization", "1.02",
			    UNIFIED "7d_opus-reset", "1796126400", UNIFIED "7d_opus-status",
			    "rejected")));
	CHECK_STR(changed.name, "7d_opus");
	CHECK_INT(changed.status, LIMIT_REJECTED);
	CHECK(!answer("a", NOW + 2000, FIELDS("content-type", "x")));
	q = get("a", NOW + 2000);
	CHECK_INT(q.reading.count, 3);
	CHECK_INT(q.reading.status, LIMIT_REJECTED);
	CHECK_STR(q.reading.windows[0].name, "7d_opus");
	CHECK_INT(q.reading.windows[0].at_ms, NOW + 1000);
	CHECK_STR(q.reading.windows[1].name, "5h");
	CHECK(q.reading.windows[1].utilisation == 0.5);
	CHECK_INT(q.reading.windows[1].at_ms, NOW);
	/* what is over says nothing of the next one */
	q = get("a", NOW + HOUR_MS);
	CHECK_INT(q.reading.count, 2);
	CHECK_INT(get("a", NOW + 25 * HOUR_MS).reading.count, 0);
	CHECK_INT(get("b", NOW).reading.count, 0);
}

/* A status is told when it is another one, but once a minute. */
static void test_changes(void)
{
	const char *const *fine = FIELDS(UNIFIED "5h-status", "allowed");
	const char *const *warned = FIELDS(UNIFIED "5h-status", "allowed_warning");

	CHECK(!answer("c", NOW, fine));
	CHECK(answer("c", NOW, warned));
	CHECK(!answer("c", NOW + 1000, warned));
	CHECK(!answer("c", NOW + 2000, fine));
	CHECK(!answer("c", NOW + 3000, warned));
	CHECK(answer("c", NOW + 61000, fine));
	CHECK(answer("d", NOW + 61000, warned));
}

/* Buckets of API keys, and a window of which no end is said. */
static void test_buckets(void)
{
	struct quota q;

	CHECK(!answer("e", NOW,
		      FIELDS("anthropic-ratelimit-requests-limit", "50",
			     "anthropic-ratelimit-requests-remaining", "10",
			     "anthropic-ratelimit-requests-reset", "2026-11-30T12:01:00Z",
			     "anthropic-ratelimit-tokens-limit", "0",
			     "anthropic-ratelimit-tokens-remaining", "5", UNIFIED "5h-utilization",
			     "0.1")));
	q = get("e", NOW);
	CHECK_INT(q.reading.count, 2);
	CHECK_STR(q.reading.windows[1].name, "requests");
	CHECK(q.reading.windows[1].utilisation > 0.79 && q.reading.windows[1].utilisation < 0.81);
	CHECK_INT(q.reading.windows[1].reset_ms, NOW + 60000);
	CHECK_INT(get("e", NOW + 60000).reading.count, 1);
	CHECK_INT(get("e", NOW + HOUR_MS).reading.count, 0);
}

/* A hostile upstream: names that aren't, and more windows than there is room for. */
static void test_hostile(void)
{
	char names[16][64];
	const char *texts[33] = { 0 };

	answer("f", NOW,
	       FIELDS(UNIFIED "5\"h-utilization", "0.5", UNIFIED "5\nh-reset", "1796126400",
		      UNIFIED "-reset", "1796126400", UNIFIED "5h-utilization", "nan"));
	for (size_t i = 0; i < get("f", NOW).reading.count; i++)
		CHECK(!strpbrk(get("f", NOW).reading.windows[i].name, "\"\n"));
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 16; i++) {
			snprintf(names[i], sizeof names[i], UNIFIED "%dh-reset", 16 * round + i);
			texts[2 * i] = names[i];
			texts[2 * i + 1] = "1796126400";
		}
		answer("f", NOW, texts);
		CHECK_INT(get("f", NOW).reading.count, LIMIT_WINDOWS);
		CHECK(!strncmp(get("f", NOW).reading.windows[0].name, names[0] + strlen(UNIFIED),
			       2));
	}
}

/* The last 24 hours count. */
static void test_answers(void)
{
	CHECK_INT(quota_answer_of(200, LIMIT_NONE), QUOTA_OK);
	CHECK_INT(quota_answer_of(429, LIMIT_THROTTLE), QUOTA_THROTTLE);
	CHECK_INT(quota_answer_of(529, LIMIT_OVERLOADED), QUOTA_OVERLOADED);
	CHECK_INT(quota_answer_of(404, LIMIT_NONE), QUOTA_REFUSED);
	CHECK_INT(quota_answer_of(502, LIMIT_NONE), QUOTA_FAILED);
	quotas_count(quotas, "g", QUOTA_REFUSED, NOW); /* a made-up key */
	CHECK_INT(get("g", NOW).answers[QUOTA_REFUSED], 0);
	for (int hour = 0; hour < 30; hour++)
		quotas_count(quotas, "g", QUOTA_THROTTLE, NOW + hour * HOUR_MS);
	quotas_count(quotas, "g", QUOTA_REFUSED, NOW + 29 * HOUR_MS);
	CHECK_INT(get("g", NOW + 29 * HOUR_MS).answers[QUOTA_THROTTLE], 24);
	CHECK_INT(get("g", NOW + 29 * HOUR_MS).answers[QUOTA_REFUSED], 1);
	CHECK_INT(get("g", NOW + 40 * HOUR_MS).answers[QUOTA_THROTTLE], 13);
	CHECK_INT(get("g", NOW + 60 * HOUR_MS).answers[QUOTA_THROTTLE], 0);
	quotas_count(quotas, "g", QUOTA_OK, NOW); /* the clock was set back: no hour is lost */
	CHECK_INT(get("g", NOW + 29 * HOUR_MS).answers[QUOTA_THROTTLE], 24);
	quotas_count(quotas, "g", QUOTA_OK, NOW + 400 * HOUR_MS);
	CHECK_INT(get("g", NOW + 400 * HOUR_MS).answers[QUOTA_THROTTLE], 0);
	CHECK_INT(get("g", NOW + 400 * HOUR_MS).answers[QUOTA_OK], 1);
}

/* The one of which nothing was heard for longest makes room. */
static void test_room(void)
{
	char name[16];

	quotas_count(quotas, "old", QUOTA_OK, NOW);
	quotas_count(quotas, "used", QUOTA_OK, NOW);
	for (int i = 0; i < QUOTAS_MAX - 1; i++) {
		snprintf(name, sizeof name, "n%d", i);
		quotas_count(quotas, name, QUOTA_OK, NOW);
		quotas_count(quotas, "used", QUOTA_OK, NOW);
	}
	CHECK_INT(get("old", NOW).answers[QUOTA_OK], 0);
	CHECK_INT(get("used", NOW).answers[QUOTA_OK], QUOTAS_MAX);
	CHECK_INT(get(name, NOW).answers[QUOTA_OK], 1);
}

int main(void)
{
	quotas = quotas_new();
	test_readings();
	test_changes();
	test_buckets();
	test_hostile();
	test_answers();
	test_room();
	quotas_free(quotas);
	quotas_free(NULL);
	return check_done();
}
