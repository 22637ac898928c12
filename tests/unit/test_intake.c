/*
 * test_intake.c - how a request comes in: what is refused by its head, which way its body takes, and
 * answers that come before its end.
 */
#include "exchange_world.h"

static const char json[] = "Host: h\nX-Api-Key: sk-test\nContent-Type: application/json\n";

/* --- by the head alone ------------------------------------------------------------------------ */

static void test_refused(const char *method, const char *target, const char *lines,
			 enum outcome outcome)
{
	static const char *const overrides[] = { "listen.max_target_bytes=100",
						 "listen.max_headers=5", NULL };

	world_open(overrides);
	world_request(method, target, lines);
	CHECK_INT(world.request.status, outcome_info[outcome].status);
	CHECK(world.request.refuses && world.request.in_begin);
	settle();
	world_check_over();
	CHECK_INT(world_outcome(), outcome);
	CHECK_INT(world.transfers, 0);
	world_close();
}

static void test_heads(void)
{
	char target[200] = "/";

	memset(target + 1, 'a', sizeof target - 2);
	test_refused("GET", "/", "Host: h\nHost: i\n", OUTCOME_BAD_REQUEST);
	test_refused("CONNECT", "h:1", "Host: h\n", OUTCOME_NOT_IMPLEMENTED);
	test_refused("GET", target, "Host: h\n", OUTCOME_TARGET_TOO_LONG);
	test_refused("GET", "/", "Host: h\nA: 1\nB: 1\nC: 1\nD: 1\nE: 1\n",
		     OUTCOME_HEADERS_TOO_LARGE);
}

static void test_draining(void)
{
	world_open(NULL);
	world.proxy->draining = true;
	world_request("GET", "/", "Host: h\n");
	settle();
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_SHUTTING_DOWN);
	world_close();
}

/* --- which way a body takes ------------------------------------------------------------------- */

static void answer_all(void)
{
	answer(200, "Content-Length: 2\n");
	CHECK(answer_bytes("ok"));
	answer_end(UPSTREAM_OK, "");
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_ANSWERED);
}

/* Asked when it is all in, in one piece. */
static void test_whole(const char *method, const char *target, const char *body)
{
	CLEANUP(freep)
	char *lines =
		xasprintf("%sContent-Length: %zu\n", body[0] ? json : "Host: h\n", strlen(body));

	world_open(NULL);
	world_request(method, target, body[0] ? lines : "Host: h\n");
	settle();
	CHECK_INT(world.transfers, 0);
	if (body[0])
		CHECK_INT((int64_t)world_body(body, strlen(body)), (int64_t)strlen(body));
	CHECK_INT(bodies_bytes(world.proxy->bodies), (int64_t)strlen(body));
	settle();
	CHECK_INT(world.transfers, 0);
	world_received();
	CHECK_INT(world.transfers, 1);
	CHECK(!world.transfer->is_stream);
	CHECK_STR(buf_str(&world.transfer->whole), body);
	answer_all();
	CHECK_INT(world.queue.joined, 0);
	world_close();
}

/* Asked at once; the body goes through as it comes, and back-pressure the other way. */
static void test_streamed(const char *lines, int64_t length)
{
	char piece[40 * 1024];
	size_t taken;

	memset(piece, 'x', sizeof piece);
	world_open(NULL);
	world_request("POST", "/v1/files", lines);
	CHECK_INT(world.transfers, 1);
	CHECK(world.transfer->is_stream);
	CHECK_INT(world.transfer->length, length);
	CHECK_INT(take(10), -EAGAIN);
	CHECK_INT((int64_t)world_body(piece, sizeof piece), sizeof piece);
	CHECK_INT(world.transfer->resumes, 1);
	taken = world_body(piece, sizeof piece);
	CHECK(taken < sizeof piece); /* MHD keeps the rest, and is parked */
	world.request.wakes = 0;
	CHECK_INT(take(1000), 1000);
	CHECK(world.request.wakes > 0); /* there is room again */
	CHECK(world_body(piece, 500) == 500);
	while (take(sizeof piece) > 0)
		continue;
	CHECK_INT((int64_t)world.transfer->whole.len, (int64_t)(sizeof piece + taken + 500));
	CHECK_INT(take(10), -EAGAIN);
	world_received();
	CHECK_INT(take(10), 0);
	CHECK_INT(bodies_bytes(world.proxy->bodies), 0);
	answer_all();
	world_close();
}

static void test_ways(void)
{
	test_whole("GET", "/v1/models", "");
	test_whole("POST", "/v1/messages/count_tokens", "{}");
	test_whole("POST", "/v1/messages", "{\"messages\":[{\"role\":\"assistant\"}]}");
	test_streamed("Host: h\nTransfer-Encoding: chunked\n", -1);
	test_streamed("Host: h\nContent-Length: 500000\n", 500000);
}

/* Its client leaves in the middle: what it sent must not look like all of it. */
static void test_streamed_and_left(void)
{
	world_open(NULL);
	world_request("POST", "/v1/files", "Host: h\nTransfer-Encoding: chunked\n");
	world_body("abc", 3);
	service()->gone(world.request.x);
	CHECK_INT(take(10), 3);
	CHECK_INT(take(10), -ECANCELED);
	settle();
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_CLIENT_GONE);
	world_close();
}

/* --- limits ----------------------------------------------------------------------------------- */

static const char *const small[] = { "listen.max_body_bytes=1024",
				     "listen.max_buffered_bytes=65536", NULL };
static const char *const small_observed[] = { "listen.max_body_bytes=1024",
					      "listen.max_buffered_bytes=65536",
					      "queue.mode=observe", NULL };

/* A gated body that is too large by its length, or by what has come of it. */
static void test_too_large(bool by_length, bool observed)
{
	CLEANUP(freep)
	char *lines =
		xasprintf("%s%s", json,
			  by_length ? "Content-Length: 2000\n" : "Transfer-Encoding: chunked\n");
	char piece[2000];

	memset(piece, ' ', sizeof piece);
	world_open(observed ? small_observed : small);
	world_request("POST", "/v1/messages", lines);
	if (!world.request.responses)
		CHECK(world_body(piece, sizeof piece) == sizeof piece);
	settle();
	if (observed) { /* who only observes is in nobody's way */
		CHECK(world.transfer && world.transfer->is_stream);
		CHECK_INT(take(sizeof piece), sizeof piece);
		world_received();
		CHECK_INT(take(10), 0);
		answer_all();
	} else {
		world_check_over();
		CHECK_INT(world_outcome(), OUTCOME_BODY_TOO_LARGE);
		CHECK_INT(world.request.status, 413);
		CHECK(!world.request.refuses);
		CHECK_INT(world.transfers, 0);
	}
	world_close();
}

/* The buffers are full: what is gated is refused, what isn't needn't be kept. */
static void test_buffers_full(bool gated)
{
	CLEANUP(freep) char *lines = xasprintf("%sContent-Length: 5\n", json);
	struct body_account others = { 0 };

	world_open(small);
	must(bodies_charge(world.proxy->bodies, &others, 65534) == BODIES_ROOM);
	world_request("POST", gated ? "/v1/messages" : "/v1/files", lines);
	CHECK_INT((int64_t)world_body("[1,2]", 5), 5);
	settle();
	if (gated) {
		CHECK_INT(world.request.status, 503);
	} else {
		world_received();
		CHECK_INT(take(10), 5);
		answer(200, "");
		answer_end(UPSTREAM_OK, "");
	}
	CHECK_INT(bodies_bytes(world.proxy->bodies), 65534);
	bodies_close(world.proxy->bodies, &others);
	world_check_over();
	CHECK_INT(world_outcome(), gated ? OUTCOME_BUFFERS_FULL : OUTCOME_ANSWERED);
	world_close();
}

/* Those in line leave a quarter of the room to others. */
static void test_room_to_wait(int64_t waiting_bytes, bool has_room)
{
	world_open(small);
	world.proxy->waiting_bytes = waiting_bytes;
	world_message_with(message);
	CHECK_INT(world.queue.joined, has_room);
	if (has_room)
		place(PLACE_REMOVED);
	world_check_over_but_for(waiting_bytes);
	CHECK_INT(world_outcome(), has_room ? OUTCOME_QUEUE_REMOVED : OUTCOME_BUFFERS_FULL);
	world.proxy->waiting_bytes = 0;
	world_close();
}

/* One may always wait, though its body takes more than what is left to those in line. */
static void test_one_may_wait(void)
{
	static const char *const overrides[] = { "listen.max_body_bytes=1024",
						 "listen.max_buffered_bytes=1024", NULL };
	char body[1001];

	memset(body, ' ', sizeof body - 1);
	memcpy(body, message, strlen(message));
	body[sizeof body - 1] = '\0';
	world_open(overrides);
	world_message_with(body);
	CHECK_INT(world.queue.joined, 1);
	place(PLACE_REMOVED);
	world_close();
}

/* Observed: it goes on at once, and its shadow stands in line instead. */
static void test_observed(void)
{
	static const char *const overrides[] = { "queue.mode=observe", NULL };

	world_open(overrides);
	world_message_with(message);
	CHECK_INT(world.shadows, 1);
	CHECK_INT(world.queue.joined, 0);
	CHECK_INT(world.transfers, 1);
	answer_all();
	CHECK(world.shadow_used);
	world_close();
}

/* --- answers that come early ------------------------------------------------------------------ */

/* The client hears it at once; what it still sends goes on as long as the upstream is there. */
static void test_early_answer(enum upstream_error error)
{
	world_open(NULL);
	world_request("POST", "/v1/files", "Host: h\nContent-Length: 500000\n");
	world_body("abc", 3);
	answer(413, "Content-Length: 5\n");
	settle();
	CHECK_INT(world.request.status, 413);
	CHECK_INT(exchange()->client, CLIENT_SENDING);
	CHECK_INT((int64_t)world_body("def", 3), 3);
	CHECK_INT(take(10), 6);
	CHECK(answer_bytes("large"));
	answer_end(error, "");
	if (!world.request.over)
		CHECK_INT((int64_t)world_body("ghi", 3), 3); /* thrown away */
	world_check_over();
	CHECK_INT(world_outcome(), error ? OUTCOME_UPSTREAM_BROKEN : OUTCOME_ANSWERED);
	CHECK_STR(buf_str(&world.request.got), "large");
	CHECK_INT(world.request.ended, !error);
	world_close();
}

/* It breaks before it has answered, while the body still comes. */
static void test_early_failure(void)
{
	world_open(NULL);
	world_request("POST", "/v1/files", "Host: h\nContent-Length: 500000\n");
	world_body("abc", 3);
	answer_end(UPSTREAM_BROKEN, "reset");
	CHECK_INT(world.request.status, 502);
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_UPSTREAM_BROKEN);
	world_close();
}

/* --- slow clients ----------------------------------------------------------------------------- */

static const char *const rate[] = { "listen.min_rate_bytes_s=1000", "listen.stall_timeout_ms=1000",
				    "upstream.request_timeout_ms=60000", NULL };

/* A byte now and then, for so long, or until the exchange is over. */
static void dribble(int64_t ms)
{
	for (int64_t start = clock_ms(); !world.request.over && clock_ms() < start + ms;) {
		world_body(" ", 1);
		if (world.transfer && world.transfer->is_stream)
			take(10);
		RUN_FOR(&world.loop, 50);
	}
}

/* It keeps no exchange alive. */
static void test_slow(const char *target)
{
	world_open(rate);
	world_request("POST", target, "Host: h\nContent-Length: 500000\n");
	dribble(10000);
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_CLIENT_SLOW);
	CHECK(world.request.cut);
	world_close();
}

/* While an answer is under way the client may be busy with that; behind it, nobody needs the rest. */
static void test_slow_beside_answer(void)
{
	world_open(rate);
	world.request.reads = false; /* MHD reads on as long as the body comes */
	world_request("POST", "/v1/files", "Host: h\nContent-Length: 500000\n");
	answer(413, "Content-Type: text/plain\n");
	settle();
	dribble(2500);
	CHECK(!world.request.over);
	CHECK_INT(exchange()->state, X_STREAMING);
	answer_end(UPSTREAM_OK, "");
	dribble(10000);
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_CLIENT_SLOW);
	world_close();
}

/* Where the upstream takes nothing, it isn't the client that is slow. */
static void test_held_up(void)
{
	char piece[PIPE_MAX];

	memset(piece, 'x', sizeof piece);
	world_open(rate);
	world_request("POST", "/v1/files", "Host: h\nContent-Length: 500000\n");
	CHECK(world_body(piece, sizeof piece) == sizeof piece);
	RUN_FOR(&world.loop, 1500);
	CHECK(!world.request.over);
	world_hang_up();
	world_close();
}

int main(void)
{
	test_heads();
	test_draining();
	test_ways();
	test_streamed_and_left();
	for (int i = 0; i < 4; i++)
		test_too_large(i & 1, i & 2);
	test_buffers_full(true);
	test_buffers_full(false);
	test_room_to_wait(0, true);
	test_room_to_wait(48 * 1024 - 10, false);
	test_one_may_wait();
	test_observed();
	test_early_answer(UPSTREAM_OK);
	test_early_answer(UPSTREAM_BROKEN);
	test_early_failure();
	test_slow("/v1/messages");
	test_slow("/v1/files");
	test_slow_beside_answer();
	test_held_up();
	return check_done();
}
