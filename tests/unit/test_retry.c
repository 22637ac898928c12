/*
 * test_retry.c - a request of which the upstream has done nothing is sent again, with the turn that it
 * has: one that couldn't be sent (upstream.connect_retry_ms), and one that was refused (queue.retry).
 */
#include "exchange_world.h"

static const char sse[] = "Content-Type: text/event-stream\n";

/* --- an upstream that can't be reached -------------------------------------------------------- */

static void cant_connect(enum upstream_error error)
{
	world.upstream.down_since_ms = clock_ms();
	world.transfer->unsent = true;
	answer_end(error, "no connection");
}

static void comes_back(void)
{
	world.upstream.down_since_ms = 0;
	world.upstream.back(world.upstream.arg);
	CHECK(RUN_UNTIL(&world.loop, world.transfer, 2000));
}

/* Nothing was sent, so the delay needn't run. */
static void check_unreachable(void)
{
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_UPSTREAM_UNREACHABLE);
	CHECK_INT(world.request.status, 502);
	CHECK_INT(world.queue.used, 0);
	CHECK_INT(world.queue.kept, 1); /* whoever sends it again is where it was */
	CHECK(strstr(buf_str(&world.request.names), "retry-after: "));
	world_close();
}

static void test_cant_connect(enum upstream_error error, const char *retry)
{
	const char *const overrides[] = { retry, NULL };

	world_open(overrides);
	message_is_forwarded();
	cant_connect(error);
	check_unreachable();
}

/* It keeps its turn, and is sent when the upstream is back: once, and whole. */
static void test_comes_back(void)
{
	world_open(NULL);
	message_is_forwarded();
	for (int tries = 2; tries <= 3; tries++) {
		cant_connect(UPSTREAM_UNREACHABLE);
		CHECK(!world.transfer && !world.queue.left);
		comes_back();
		CHECK_INT(world.transfers, tries);
		CHECK_STR(buf_str(&world.transfer->whole), message);
	}
	answer(200, sse);
	answer_end(UPSTREAM_OK, "");
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_ANSWERED);
	CHECK_INT(world.queue.used, 1);
	world_close();
}

static void test_leaves_parked(void)
{
	world_open(NULL);
	message_is_forwarded();
	cant_connect(UPSTREAM_UNREACHABLE);
	world_hang_up();
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_CLIENT_GONE);
	CHECK_INT(world.queue.used, 0);
	world_close();
}

/* Somebody else may have the turn: then it isn't sent, whatever queue.on_lock_lost says. */
static void test_lost_parked(void)
{
	world_open(NULL);
	message_is_forwarded();
	cant_connect(UPSTREAM_UNREACHABLE);
	place(PLACE_LOST);
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_LOCK_LOST);
	CHECK_INT(world.transfers, 1);
	world_close();
}

/* --- refused, and sent again (queue.retry) ------------------------------------------------------ */

static const char *const retries[] = { "queue.retry=throttle, overloaded", NULL };
static const char throttled[] = "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\"}}";

/* The upstream refuses it, with a pause of a second. */
static void refused(int status, const char *fields)
{
	answer(status, fields);
	CHECK(answer_bytes(
		status == 429 ? throttled
			      : "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}"));
	answer_end(UPSTREAM_OK, "");
}

/* It keeps its turn, nothing of the refusal is told, and it is sent again: whole, and alone. */
static void test_retry(int status)
{
	int64_t refused_ms;

	world_open(retries);
	message_is_forwarded();
	refused(status, "Retry-After: 1\n");
	refused_ms = clock_ms();
	CHECK(!world.transfer && !world.queue.left && !world.request.status);
	CHECK_INT(world.queue.holds, status == 429);
	CHECK(RUN_UNTIL(&world.loop, world.transfer, 5000));
	CHECK(clock_ms() - refused_ms >= 999);
	CHECK_STR(buf_str(&world.transfer->whole), message);
	answer(200, sse);
	settle();
	CHECK_INT(world.queue.releases, 1);
	CHECK(answer_bytes("event: a\n\n"));
	answer_end(UPSTREAM_OK, "");
	world_check_over();
	CHECK_STR(buf_str(&world.request.got), "event: a\n\n");
	CHECK_INT(world.request.status, 200);
	CHECK_INT(world.queue.used, 1);
	CHECK_INT(proxy_counters(world.proxy)->retries[LIMIT_THROTTLE], status == 429);
	CHECK_INT(proxy_counters(world.proxy)->retries[LIMIT_OVERLOADED], status != 429);
	world_close();
}

/* Twice at most; then the client hears the last refusal as it is. */
static void test_retries_run_out(void)
{
	world_open(retries);
	message_is_forwarded();
	for (int tries = 1; tries <= 3; tries++) {
		CHECK(RUN_UNTIL(&world.loop, world.transfer, 5000));
		CHECK_INT(world.transfers, tries);
		refused(429, "Retry-After: 1\nX-A: b\n");
	}
	world_check_over();
	CHECK_INT(world.request.status, 429);
	CHECK(strstr(buf_str(&world.request.names), "X-A: b\n"));
	CHECK_STR(buf_str(&world.request.got), throttled);
	CHECK_INT(world.queue.holds, 3);
	CHECK_INT(proxy_counters(world.proxy)->upstream_responses[4], 3);
	world_close();
}

/* What isn't to be sent again goes to the client at once. */
static void test_no_retry(const char *option, int status, const char *fields)
{
	const char *const overrides[] = { option, "queue.timeout_ms=5000", NULL };

	world_open(overrides);
	message_is_forwarded();
	refused(status, fields);
	world_check_over();
	CHECK_INT(world.request.status, status);
	CHECK_INT(world.transfers, 1);
	world_close();
}

static void test_no_retries(void)
{
	test_no_retry("queue.retry=", 429, "Retry-After: 1\n");
	test_no_retry("queue.retry=overloaded", 429, "Retry-After: 1\n");
	test_no_retry("queue.retry=throttle", 529, "Retry-After: 1\n");
	test_no_retry(retries[0], 429, "Retry-After: 1\nX-Should-Retry: false\n");
	test_no_retry(retries[0], 429, "Retry-After: 11\n");
	test_no_retry(retries[0], 429, "Retry-After: 6\n"); /* longer than it would have waited */
	test_no_retry(retries[0], 500, "Retry-After: 1\n"); /* it may have been at work */
	test_no_retry(retries[0], 504, "Retry-After: 1\n");
	test_no_retry(retries[0], 401, "Retry-After: 1\n");
	test_no_retry(retries[0], 429,
		      "Retry-After: 1\nanthropic-ratelimit-unified-5h-status: rejected\n");
}

/* Without a word of how long: 2 s. One that is longer than 1 KiB needn't end. */
static void test_retry_unsaid(void)
{
	int64_t refused_ms;

	world_open(retries);
	message_is_forwarded();
	answer(529, "");
	settle();
	CHECK(!world.request.status && world.transfer);
	for (int i = 0; i < 64; i++)
		CHECK(answer_bytes("                "));
	settle();
	CHECK(!world.transfer);
	refused_ms = clock_ms();
	CHECK(RUN_UNTIL(&world.loop, world.transfer, 5000));
	CHECK(clock_ms() - refused_ms >= 1999);
	answer(200, sse);
	answer_end(UPSTREAM_OK, "");
	world_check_over();
	CHECK_STR(buf_str(&world.request.got), "");
	world_close();
}

/* A refusal whose body doesn't come isn't waited for: its client hears what there is. */
static void test_refusal_stalls(void)
{
	world_open(retries);
	message_is_forwarded();
	answer(429, "Content-Length: 90\n");
	settle();
	CHECK(RUN_UNTIL(&world.loop, world.request.status, 5000));
	CHECK_INT(world.request.status, 429);
	answer_end(UPSTREAM_BROKEN, "cut");
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_UPSTREAM_BROKEN);
	CHECK(world.request.truncated);
	world_close();
}

/* Whoever leaves, and whoever has lost the turn, is never sent again. */
static void test_refused_ends(bool leaves)
{
	world_open(retries);
	message_is_forwarded();
	refused(529, "Retry-After: 1\n");
	if (leaves)
		world_hang_up();
	else
		place(PLACE_LOST);
	world_check_over();
	CHECK_INT(world_outcome(), leaves ? OUTCOME_CLIENT_GONE : OUTCOME_LOCK_LOST);
	CHECK_INT(world.transfers, 1);
	CHECK_INT(world.queue.used, 1); /* it was sent */
	world_close();
}

/* A process that was stopped for longer than its lease: nothing is sent before it hears so. */
static void test_stopped_meanwhile(void)
{
	world_open(retries);
	message_is_forwarded();
	refused(529, "Retry-After: 1\n");
	world.queue.lease_is_over = true;
	RUN_FOR(&world.loop, 1500);
	CHECK(!world.transfer);
	place(PLACE_LOST);
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_LOCK_LOST);
	world_close();
}

/* The upstream is away when it is to be sent again: that has its own time. */
static void test_refused_then_away(void)
{
	static const char *const overrides[] = { "queue.retry=overloaded",
						 "upstream.connect_retry_ms=1000", NULL };

	world_open(overrides);
	message_is_forwarded();
	refused(529, "Retry-After: 1\n");
	CHECK(RUN_UNTIL(&world.loop, world.transfer, 5000));
	cant_connect(UPSTREAM_UNREACHABLE);
	CHECK(!world.transfer && !world.queue.left);
	comes_back();
	answer(200, sse);
	answer_end(UPSTREAM_OK, "");
	world_check_over();
	CHECK_INT(world.request.status, 200);
	world_close();
}

int main(void)
{
	test_cant_connect(UPSTREAM_UNREACHABLE, "upstream.connect_retry_ms=0");
	test_cant_connect(UPSTREAM_UNREACHABLE, "upstream.connect_retry_ms=100");
	test_cant_connect(UPSTREAM_DENIED, "upstream.connect_retry_ms=60000");
	test_comes_back();
	test_leaves_parked();
	test_lost_parked();
	test_retry(429);
	test_retry(529);
	test_retry(503);
	test_retries_run_out();
	test_no_retries();
	test_retry_unsaid();
	test_refusal_stalls();
	test_refused_ends(true);
	test_refused_ends(false);
	test_stopped_meanwhile();
	test_refused_then_away();
	return check_done();
}
