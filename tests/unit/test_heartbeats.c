/*
 * test_heartbeats.c - a client that waits for a stream is told so: pings until its turn, then the
 * upstream's events untouched, or one error event; and nobody else hears any of it.
 */
#include "exchange_world.h"

#define PING "event: ping\ndata: {\"type\": \"ping\"}\n\n"

/* From one ping to the next: longer than this machine may stop a process between two steps of a test. */
static int64_t beat_ms = 100;
static char every[40] = "queue.heartbeat_ms=100";
static const char *const beating[] = { "queue.heartbeat_after_ms=10", every,
				       "queue.timeout_ms=86400000", NULL };
static const char sse[] = "Content-Type: text/event-stream; charset=utf-8\n";
static const char streaming[] =
	"{\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";

static const char *got(void)
{
	return buf_str(&world.request.got);
}

/* How many pings the client has; -1: what it has isn't pings only. */
static int pings(void)
{
	const char *at = got();
	int n = 0;

	for (; !strncmp(at, PING, strlen(PING)); n++)
		at += strlen(PING);
	return *at ? -1 : n;
}

static void wait_for_pings(int n)
{
	CHECK(RUN_UNTIL(&world.loop, pings() >= n, 5000));
}

static void begin_with(const char *const *overrides)
{
	world_open(overrides);
	world_message_with(streaming);
	wait_for_pings(1);
	CHECK_INT(world.request.status, 200);
	CHECK(strstr(buf_str(&world.request.names), "content-type: text/event-stream"));
	CHECK_INT(exchange()->told, TOLD_PINGS);
}

static void begin(void)
{
	begin_with(beating);
}

/* Forgets what has come so far, pings only. */
static void forget_pings(void)
{
	CHECK(pings() >= 0);
	world.request.got.len = 0;
}

/* The client has heard this and the end, and the exchange is counted so. */
static void check_end(enum outcome outcome, const char *text)
{
	world_check_over();
	CHECK_INT(world_outcome(), outcome);
	CHECK_STR(got(), text);
	CHECK(world.request.ended && world.request.sent);
	CHECK_INT(proxy_counters(world.proxy)->heartbeat_responses, 1);
	CHECK(proxy_counters(world.proxy)->heartbeats >= 1);
}

/* Refused and sent again (queue.retry): pings go on, and nothing of the refusal is heard. */
static void test_retried(void)
{
	static const char *const overrides[] = { "queue.heartbeat_after_ms=10", every,
						 "queue.retry=overloaded", NULL };

	begin_with(overrides);
	place(PLACE_TURN);
	answer(529, "Content-Type: application/json\nRetry-After: 1\n");
	CHECK(answer_bytes("{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}"));
	answer_end(UPSTREAM_OK, "");
	CHECK(!world.transfer);
	wait_for_pings(pings() + 3);
	CHECK(RUN_UNTIL(&world.loop, world.transfer, 5000));
	wait_for_pings(pings() + 2);
	forget_pings();
	answer(200, sse);
	CHECK(answer_bytes("event: a\n\n"));
	answer_end(UPSTREAM_OK, "");
	check_end(OUTCOME_ANSWERED, "event: a\n\n");
	world_close();
}

/* --- the turn comes --------------------------------------------------------------------------- */

/* They go on until the upstream answers: it may take as long as the line did. */
static void test_answered(void)
{
	begin();
	place(PLACE_PACING);
	wait_for_pings(pings() + 1);
	place(PLACE_TURN);
	CHECK_INT(exchange()->state, X_FORWARDING);
	wait_for_pings(pings() + 2);
	forget_pings();
	answer(200, sse);
	CHECK(answer_bytes("event: a\nda")); /* before the head was looked at; a part of an event */
	settle();
	RUN_FOR(&world.loop, beat_ms * 3 / 2); /* no ping comes in between */
	CHECK_STR(got(), "event: a\nda");
	CHECK(answer_bytes("ta: b\n\n"));
	answer_end(UPSTREAM_OK, "");
	check_end(OUTCOME_ANSWERED, "event: a\ndata: b\n\n");
	CHECK_INT(proxy_refusals(world.proxy)->count, 0);
	world_close();
}

/* Nothing between the upstream's head and its first byte either. */
static void test_silent_upstream(void)
{
	begin();
	place(PLACE_TURN);
	answer(200, sse);
	settle();
	forget_pings();
	RUN_FOR(&world.loop, beat_ms * 3 / 2);
	CHECK_STR(got(), "");
	CHECK(answer_bytes("event: a\n\n"));
	answer_end(UPSTREAM_OK, "");
	check_end(OUTCOME_ANSWERED, "event: a\n\n");
	world_close();
}

/* A cut upstream must not look complete. */
static void test_cut(bool looked_at)
{
	begin();
	place(PLACE_TURN);
	answer(200, sse);
	if (looked_at)
		settle();
	CHECK(answer_bytes("event: a\nda"));
	answer_end(UPSTREAM_BROKEN, "reset");
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_UPSTREAM_BROKEN);
	CHECK(world.request.truncated && !world.request.ended);
	CHECK(!strstr(got(), "event: error"));
	CHECK(strstr(got(), "event: a\nda"));
	world_close();
}

/* The lease is lost when bytes of the upstream's are on their way, and nobody has looked yet. */
static void test_lost_behind_bytes(void)
{
	static const char *const aborting[] = { "queue.heartbeat_after_ms=10", every,
						"queue.on_lock_lost=abort", NULL };

	world_open(aborting);
	world_message_with(streaming);
	wait_for_pings(1);
	place(PLACE_TURN);
	answer(200, sse);
	CHECK(answer_bytes("event: a\nda"));
	place(PLACE_LOST);
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_LOCK_LOST);
	CHECK(world.request.truncated);
	CHECK(!strstr(got(), "event: error"));
	world_close();
}

/* The turn is given back at the response's head, where that is wanted; the events still go through. */
static void test_release_on_headers(void)
{
	static const char *const early[] = { "queue.heartbeat_after_ms=10", every,
					     "queue.release_on=headers", NULL };

	world_open(early);
	world_message_with(streaming);
	wait_for_pings(1);
	place(PLACE_TURN);
	answer(200, sse);
	settle();
	CHECK_INT(world.queue.used, 1);
	forget_pings();
	CHECK(answer_bytes("event: a\n\n"));
	answer_end(UPSTREAM_OK, "");
	check_end(OUTCOME_ANSWERED, "event: a\n\n");
	world_close();
}

/* --- errors ----------------------------------------------------------------------------------- */

static void test_upstream_error(int status, const char *fields, const char *body, const char *data)
{
	CLEANUP(freep) char *event = xasprintf("event: error\ndata: %s\n\n", data);

	begin();
	CHECK(strstr(buf_str(&world.request.names), "cache-control: no-cache\n"));
	place(PLACE_TURN);
	forget_pings();
	answer(status, fields);
	CHECK(answer_bytes(body));
	settle();
	RUN_FOR(&world.loop, beat_ms * 3 / 2); /* no ping beside it */
	answer_end(UPSTREAM_OK, "");
	if (!strchr(data, '*'))
		check_end(OUTCOME_ANSWERED, event);
	else
		CHECK(strstr(got(),
			     "\"type\":\"api_error\",\"message\":\"the upstream answered 502\""));
	CHECK_INT(proxy_counters(world.proxy)->upstream_responses[status / 100], 1);
	CHECK_INT(proxy_refusals(world.proxy)->count, 0);
	world_close();
}

static void test_upstream_errors(void)
{
	static const char json[] = "Content-Type: application/json\n";
	static const char overloaded[] =
		"{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"M\"}}";
	static char large[80 * 1024];

	test_upstream_error(529, json, overloaded, overloaded);
	test_upstream_error(429, json, "{\"error\":\r\n  \"a relay's\"\n}",
			    "{\"error\":\ndata: \ndata:   \"a relay's\"\ndata: }");
	test_upstream_error(502, "Content-Type: text/html\n", "<html>", "*");
	test_upstream_error(502, json, "", "*");
	test_upstream_error(502, json, "{\"message\":\"no\"}", "*");
	memset(large, ' ', sizeof large - 1);
	memcpy(large, "{\"error\":1}", 11);
	test_upstream_error(502, json, large, "*");
}

/* Behind 200 nobody can be told what isn't events. */
static void test_no_events(const char *fields)
{
	begin();
	place(PLACE_TURN);
	forget_pings();
	answer(200, fields);
	CHECK(answer_bytes("{\"type\":\"message\"}"));
	settle();
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_UPSTREAM_BROKEN);
	CHECK(!strncmp(got(), "event: error\ndata: {\"type\":\"error\"", 33));
	CHECK(!strstr(got(), "\"message\"}"));
	CHECK(world.request.ended);
	CHECK_INT(proxy_refusals(world.proxy)->count, 1);
	world_close();
}

/* What would have been an error of ours. */
static void test_own_error(enum place_state to, enum outcome outcome)
{
	CLEANUP(buf_clear) struct buf body = { 0 };
	CLEANUP(freep)
	char *type = xasprintf("\"error\":{\"type\":\"%s\"", outcome_info[outcome].type);

	begin();
	forget_pings();
	place(to);
	world_check_over();
	CHECK_INT(world_outcome(), outcome);
	CHECK(!strncmp(got(), "event: error\ndata: {", 20));
	CHECK(strstr(got(), type));
	CHECK(!strcmp(got() + strlen(got()) - 3, "}\n\n"));
	CHECK(world.request.ended && world.request.sent);
	CHECK_INT(world.request.status, 200);
	CHECK_INT(proxy_refusals(world.proxy)->count, 1);
	CHECK_INT(world.transfers, 0);
	world_close();
}

/* The upstream fails before it has answered. */
static void test_upstream_fails(enum upstream_error error, enum outcome outcome)
{
	static const char *const at_once[] = { "queue.heartbeat_after_ms=10", every,
					       "upstream.connect_retry_ms=0", NULL };

	begin_with(at_once);
	place(PLACE_TURN);
	forget_pings();
	world.transfer->unsent = error == UPSTREAM_UNREACHABLE;
	answer_end(error, "refused");
	world_check_over();
	CHECK_INT(world_outcome(), outcome);
	CHECK(!strncmp(got(), "event: error\ndata: {", 20));
	CHECK(world.request.ended);
	world_close();
}

/* An upstream that is away costs time only: the client goes on hearing that. */
static void test_upstream_away(void)
{
	begin();
	place(PLACE_TURN);
	world.upstream.down_since_ms = clock_ms();
	world.transfer->unsent = true;
	answer_end(UPSTREAM_UNREACHABLE, "refused");
	CHECK_INT(exchange()->state, X_FORWARDING);
	CHECK(!world.transfer);
	wait_for_pings(pings() + 2);
	forget_pings();
	world_hang_up();
	world_close();
}

/* Its error's body is cut short: then it is our error, and what came of it is told to nobody. */
static void test_error_cut(void)
{
	begin();
	place(PLACE_TURN);
	forget_pings();
	answer(529, "Content-Type: application/json\n");
	CHECK(answer_bytes("{\"error\":{\"ty"));
	settle();
	world_reads(); /* nothing of it goes out as it comes */
	CHECK_STR(got(), "");
	answer_end(UPSTREAM_BROKEN, "reset");
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_UPSTREAM_BROKEN);
	CHECK(!strstr(got(), "{\"ty\n"));
	CHECK(strstr(got(), "\"api_error\""));
	CHECK(world.request.ended);
	world_close();
}

/* --- clients ---------------------------------------------------------------------------------- */

/* One that hangs up, in mid-wait, or while an error's body comes. */
static void test_left(bool late)
{
	begin();
	if (late) {
		place(PLACE_TURN);
		answer(529, "Content-Type: application/json\n");
		CHECK(answer_bytes("{}"));
		settle();
	}
	forget_pings();
	world_hang_up();
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_CLIENT_GONE);
	CHECK_STR(got(), "");
	CHECK(!world.request.ended);
	world_close();
}

/* One that doesn't read gets no second ping on top of the first, and keeps nobody's turn. */
static void test_slow_reader(void)
{
	world_open(beating);
	world.request.reads = false;
	world_message_with(streaming);
	CHECK(RUN_UNTIL(&world.loop, proxy_counters(world.proxy)->heartbeats == 1, 5000));
	RUN_FOR(&world.loop, beat_ms * 7 / 2);
	CHECK_INT(proxy_counters(world.proxy)->heartbeats, 1);
	place(PLACE_TURN);
	answer(200, sse);
	CHECK(answer_bytes("event: a\n\n"));
	answer_end(UPSTREAM_OK, "");
	CHECK_INT(world.queue.used, 1);
	world_reads();
	world_check_over();
	CHECK_STR(got(), PING "event: a\n\n");
	world_close();
}

/* A ping that goes out is no progress of an upstream that says nothing. */
static void test_silence_is_silence(void)
{
	static const char *const impatient[] = { "queue.heartbeat_after_ms=10",
						 "queue.heartbeat_ms=100",
						 "upstream.request_timeout_ms=1000", NULL };

	world_open(impatient);
	world_message_with(streaming);
	wait_for_pings(1);
	place(PLACE_TURN);
	CHECK(RUN_UNTIL(&world.loop, world.request.over, 5000));
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_UPSTREAM_TIMEOUT);
	CHECK(strstr(
		got(),
		"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"timeout_error\""));
	world_close();
}

/* --- nobody else ------------------------------------------------------------------------------ */

static void test_none(const char *const *overrides, const char *body, bool waits)
{
	world_open(overrides);
	world_message_with(body);
	if (!waits)
		CHECK_INT(exchange()->state, X_FORWARDING);
	RUN_FOR(&world.loop, beat_ms * 3 / 2);
	CHECK_INT(world.request.responses, 0);
	if (waits)
		place(PLACE_TURN);
	RUN_FOR(&world.loop, beat_ms * 3 / 2);
	CHECK_INT(world.request.responses, 0);
	answer(200, sse);
	answer_end(UPSTREAM_OK, "");
	world_check_over();
	CHECK_STR(got(), "");
	CHECK_INT(proxy_counters(world.proxy)->heartbeats, 0);
	world_close();
}

static void test_nobody_else(void)
{
	static const char *const observing[] = { "queue.heartbeat_after_ms=10",
						 "queue.mode=observe", NULL };
	static const char *const off[] = { every, NULL };

	test_none(beating, message, true); /* no stream asked for */
	test_none(beating, "{\"stream\":false,\"messages\":[{\"role\":\"user\"}]}", true);
	test_none(beating, "{\"stream\":\"true\",\"messages\":[{\"role\":\"user\"}]}", true);
	test_none(beating, "{\"stream\":true,\"messages\":[{\"role\":\"assistant\"}]}", false);
	test_none(off, streaming, true);
	test_none(observing, streaming, false);
}

/* A turn that comes before queue.heartbeat_after_ms is over: the upstream's own status is told. */
static void test_turn_in_time(void)
{
	static const char *const late[] = { "queue.heartbeat_after_ms=1000", every, NULL };

	world_open(late);
	world_message_with(streaming);
	place(PLACE_TURN);
	RUN_FOR(&world.loop, 1000 + beat_ms);
	CHECK_INT(world.request.responses, 0);
	answer(529, "Content-Type: application/json\n");
	answer_end(UPSTREAM_OK, "");
	CHECK_INT(world.request.status, 529);
	world_close();
}

/* --- how long --------------------------------------------------------------------------------- */

/* Its own patience doesn't count where it hears something; what waits in silence waits 300 s. */
static void test_patience(const char *says, const char *body, int64_t timeout_ms)
{
	CLEANUP(freep)
	char *lines = xasprintf("Host: h\nContent-Type: application/json\n"
				"%sContent-Length: %zu\n",
				says, strlen(body));

	world_open(beating);
	world_request("POST", "/v1/messages", lines);
	CHECK(world_body(body, strlen(body)) == strlen(body));
	world_received();
	CHECK(exchange()->terms.timeout_ms <= timeout_ms);
	CHECK(exchange()->terms.timeout_ms > timeout_ms - timeout_ms / 10);
	place(PLACE_REMOVED);
	world_close();
}

/* What was encoded couldn't follow our head, which says nothing of it. */
static void test_no_coding(bool pinged)
{
	CLEANUP(freep)
	char *lines = xasprintf("Host: h\nAccept-Encoding: gzip, br\n"
				"Content-Length: %zu\n",
				strlen(streaming));

	world_open(beating);
	world_request("POST", "/v1/messages", lines);
	CHECK(world_body(streaming, strlen(streaming)) == strlen(streaming));
	world_received();
	if (pinged)
		wait_for_pings(1);
	place(PLACE_TURN);
	CHECK(strstr(buf_str(&world.transfer->names),
		     pinged ? "Accept-Encoding: identity\n" : "Accept-Encoding: gzip, br\n"));
	world_hang_up();
	world_close();
}

int main(void)
{
	beat_ms = MIN(scaled_ms(beat_ms), 1000);
	snprintf(every, sizeof every, "queue.heartbeat_ms=%lld", (long long)beat_ms);
	test_retried();
	test_answered();
	test_silent_upstream();
	test_cut(false);
	test_cut(true);
	test_lost_behind_bytes();
	test_release_on_headers();
	test_upstream_errors();
	test_no_events("Content-Type: application/json\n");
	test_no_events("Content-Type: text/event-stream\nContent-Encoding: gzip\n");
	test_no_events("Content-Type: text/event-streams\n");
	test_own_error(PLACE_TIMED_OUT, OUTCOME_QUEUE_TIMEOUT);
	test_own_error(PLACE_REMOVED, OUTCOME_QUEUE_REMOVED);
	test_own_error(PLACE_FAILED, OUTCOME_BACKEND_ERROR);
	test_own_error(PLACE_LOST, OUTCOME_LOCK_LOST);
	test_own_error(PLACE_HELD, OUTCOME_ACCOUNT_LIMITED);
	test_upstream_fails(UPSTREAM_UNREACHABLE, OUTCOME_UPSTREAM_UNREACHABLE);
	test_upstream_fails(UPSTREAM_BROKEN, OUTCOME_UPSTREAM_BROKEN);
	test_upstream_away();
	test_error_cut();
	test_left(false);
	test_left(true);
	test_slow_reader();
	test_silence_is_silence();
	test_nobody_else();
	test_turn_in_time();
	test_patience("", streaming, 86400000);
	test_patience("X-Stainless-Timeout: 600\n", streaming, 86400000);
	test_patience("", message, 300000);
	test_patience("X-Stainless-Timeout: 60\n", message, 60000);
	test_no_coding(false);
	test_no_coding(true);
	return check_done();
}
