/*
 * test_hold.c - an account that its upstream has limited: until when, and who asks first.
 */
#include "queue/hold.h"

#include "check.h"

static void test_free(void)
{
	struct hold h = { 0 };

	CHECK(hold_allows(&h, 0, 0));
	CHECK(hold_allows(&h, 5, 0));
}

/* What the upstream says counts; then one goes alone. */
static void test_throttle(void)
{
	struct hold h = { 0 };

	hold_refused(&h, HOLD_THROTTLE, 5000, 1000);
	CHECK_INT(h.since_ms, 1000);
	CHECK_INT(h.until_ms, 6000);
	CHECK(!hold_allows(&h, 0, 5999));
	CHECK(hold_allows(&h, 0, 6000));
	CHECK(!hold_allows(&h, 1, 6000));
	hold_refused(&h, HOLD_THROTTLE, 1000, 2000); /* shortens nothing */
	CHECK_INT(h.until_ms, 6000);
	hold_refused(&h, HOLD_THROTTLE, 9000, 2000);
	CHECK_INT(h.until_ms, 11000);
	CHECK_INT(h.since_ms, 1000);
	CHECK_INT(h.refusals, 3);
}

/* What is said may be made up: it is asked once a minute all the same, and for a day at most. */
static void test_long_throttle(void)
{
	struct hold h = { 0 };

	hold_refused(&h, HOLD_THROTTLE, INT64_MAX / 2, 1000);
	CHECK_INT(h.until_ms, 1000 + HOLD_MAX_MS);
	CHECK_INT(h.probe_ms, 1000 + HOLD_PROBE_MS);
	CHECK(hold_allows(&h, 0, 61000));
}

static void test_doubling(void)
{
	static const int64_t want[] = { 2000, 4000, 8000, 16000, 30000, 30000 };
	struct hold h = { 0 };
	int64_t now = 0;

	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		hold_refused(&h, HOLD_THROTTLE, 0, now);
		CHECK_INT(h.until_ms - now, want[i]);
		now = h.probe_ms;
	}
}

/* A window may be reset early, or paid for: it is asked once a minute. A throttle ends none. */
static void test_quota(void)
{
	struct hold h = { 0 };
	int64_t hour = 3600 * 1000;

	hold_refused(&h, HOLD_QUOTA, 5 * hour, 1000);
	CHECK_INT(h.until_ms, 5 * hour + 1000);
	CHECK_INT(h.probe_ms, 61000);
	CHECK(!hold_allows(&h, 0, 60999));
	CHECK(hold_allows(&h, 0, 61000));
	hold_refused(&h, HOLD_THROTTLE, 2000, 61000);
	CHECK_INT(h.kind, HOLD_QUOTA);
	CHECK_INT(h.until_ms, 5 * hour + 1000);
	CHECK_INT(h.probe_ms, 121000);
	hold_refused(&h, HOLD_QUOTA, 5 * hour, 5 * hour); /* the end comes before the next minute */
	CHECK_INT(h.probe_ms, 5 * hour + 60000);
	hold_refused(&h, HOLD_QUOTA, INT64_MAX / 2, 0);
	CHECK(h.until_ms <= HOLD_MAX_MS + 5 * hour + 61000);
}

int main(void)
{
	test_free();
	test_throttle();
	test_long_throttle();
	test_doubling();
	test_quota();
	return check_done();
}
