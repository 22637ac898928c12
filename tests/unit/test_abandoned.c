/*
 * test_abandoned.c - upstream.finish_abandoned: a request goes on without its client, and its turn ends
 * with the upstream's response.
 */
#include "exchange_world.h"

static const char *const wanted[] = { "upstream.finish_abandoned=true", NULL };
static const char sse[] = "Content-Type: text/event-stream\n";

/* The client leaves; `parked`: between two of its reads, else with its connection. */
static void leave(bool parked)
{
	if (parked)
		world_hang_up();
	else
		world_break();
}

static void check_goes_on(void)
{
	CHECK(world.request.over); /* its connection is free */
	CHECK(world.transfer);
	CHECK_INT(world.queue.left, 0);
	CHECK_INT(proxy_counters(world.proxy)->abandoned, 1);
}

static void check_end(int used)
{
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_CLIENT_GONE);
	CHECK_INT(world.queue.used, used);
	world_close();
}

/* Before the upstream's answer, which is thrown away, however much it is. */
static void test_before_answer(bool parked)
{
	char piece[UPSTREAM_GIVE_MAX + 1];

	memset(piece, 'x', sizeof piece - 1);
	piece[sizeof piece - 1] = '\0';
	world_open(wanted);
	message_is_forwarded();
	leave(parked);
	check_goes_on();
	answer(200, sse);
	settle();
	CHECK_INT(world.queue.releases, 1);
	for (int i = 0; i < 50; i++)
		CHECK(answer_bytes(piece));
	settle();
	check_goes_on();
	answer_end(UPSTREAM_OK, "");
	check_end(1);
}

/* In the middle of it; also when the client had stopped reading, so that the upstream was held up. */
static void test_in_answer(bool held_up)
{
	char piece[UPSTREAM_GIVE_MAX + 1];

	memset(piece, 'x', sizeof piece - 1);
	piece[sizeof piece - 1] = '\0';
	world_open(wanted);
	message_is_forwarded();
	world.request.reads = !held_up;
	answer(200, sse);
	settle();
	CHECK(answer_bytes("event: a\n\n"));
	while (held_up && answer_bytes(piece))
		continue;
	settle();
	leave(true);
	check_goes_on();
	CHECK(world.transfer->resumes >= held_up);
	CHECK(answer_bytes(piece));
	answer_end(UPSTREAM_OK, "");
	check_end(1);
}

/* A limit is heard of all the same: nobody is sent into it. */
static void test_limit(void)
{
	world_open(wanted);
	message_is_forwarded();
	leave(true);
	answer(429, "Retry-After: 3\n");
	CHECK(answer_bytes("{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\"}}"));
	answer_end(UPSTREAM_OK, "");
	CHECK_INT(world.queue.holds, 1);
	CHECK_INT(world.transfers, 1);
	check_end(1);
}

static void test_breaks(void)
{
	world_open(wanted);
	message_is_forwarded();
	leave(false);
	answer_end(UPSTREAM_BROKEN, "cut");
	check_end(1);
}

/* Somebody else may have the turn: there is nothing to keep. */
static void test_lost(void)
{
	world_open(wanted);
	message_is_forwarded();
	leave(true);
	place(PLACE_LOST);
	check_end(1);
}

/* An upstream that falls silent doesn't keep the turn. */
static void test_silent(void)
{
	static const char *const overrides[] = { "upstream.finish_abandoned=true",
						 "upstream.request_timeout_ms=200", NULL };

	world_open(overrides);
	message_is_forwarded();
	leave(true);
	check_goes_on();
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_UPSTREAM_TIMEOUT);
	world_close();
}

static void on_idle(void *arg)
{
	(void)arg;
}

static void test_shutdown(void)
{
	world_open(wanted);
	message_is_forwarded();
	leave(true);
	proxy_drain(world.proxy, on_idle, NULL);
	settle();
	check_goes_on();
	proxy_cut(world.proxy);
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_SHUTTING_DOWN);
	world_close();
}

/* What ends at once: not wanted, nothing sent yet, no turn, or too many without a connection. */
static void test_ends(const char *option, bool unsent)
{
	const char *const overrides[] = { option, NULL };

	world_open(overrides);
	message_is_forwarded();
	world.transfer->unsent = unsent;
	leave(true);
	CHECK(!world.transfer);
	CHECK_INT(proxy_counters(world.proxy)->abandoned, 0);
	check_end(!unsent);
}

static void test_without_turn(void)
{
	world_open(wanted);
	world_request("GET", "/v1/models", "Host: h\n");
	world_received();
	CHECK(world.transfer);
	leave(true);
	CHECK(!world.transfer);
	world_check_over();
	world_close();
}

int main(void)
{
	test_before_answer(true);
	test_before_answer(false);
	test_in_answer(false);
	test_in_answer(true);
	test_limit();
	test_breaks();
	test_lost();
	test_silent();
	test_shutdown();
	test_ends("upstream.finish_abandoned=false", false);
	test_ends("upstream.finish_abandoned=true", true);
	test_without_turn();
	return check_done();
}
