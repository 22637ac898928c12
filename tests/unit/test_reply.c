/*
 * test_reply.c - how a response goes out: in one piece or as it comes, at the client's pace, and
 * never so that a part looks like all of it.
 */
#include "exchange_world.h"
#include "proxy/reply.h"

static void forward(void)
{
	world_message_with(message);
	place(PLACE_TURN);
}

/* All here before anybody looked: head and body go out together. */
static void test_one_piece(void)
{
	world_open(NULL);
	forward();
	answer(200, "Content-Type: application/json\nContent-Length: 5\nConnection: X\nX: y\n");
	CHECK(answer_bytes("hello"));
	answer_end(UPSTREAM_OK, "");
	CHECK(!world.request.streamed);
	CHECK_STR(buf_str(&world.request.got), "hello");
	CHECK(strstr(buf_str(&world.request.names), "Content-Type: application/json\n"));
	CHECK(!strstr(buf_str(&world.request.names), "X: y\n")); /* of that connection */
	world_check_over();
	CHECK_INT(proxy_counters(world.proxy)->bytes_out, 5);
	world_close();
}

/* What isn't all of it, or came with an error, is streamed, and cut where it ends. */
static void test_not_one_piece(const char *lines, enum upstream_error error)
{
	world_open(NULL);
	forward();
	answer(200, lines);
	CHECK(answer_bytes("hell"));
	answer_end(error, "");
	CHECK(world.request.streamed);
	CHECK_STR(buf_str(&world.request.got), "hell");
	CHECK_INT(world.request.ended, !error);
	CHECK_INT(world.request.truncated, error != UPSTREAM_OK);
	world_close();
}

/* A client that doesn't read holds the upstream up, and nothing is lost. */
static void test_pace(void)
{
	char piece[UPSTREAM_GIVE_MAX + 1];
	int given = 0;

	memset(piece, 'x', sizeof piece - 1);
	piece[sizeof piece - 1] = '\0';
	world_open(NULL);
	world.request.reads = false;
	forward();
	answer(200, "Content-Type: text/event-stream\n");
	settle();
	while (answer_bytes(piece))
		given++;
	CHECK_INT(given, PIPE_MAX / UPSTREAM_GIVE_MAX);
	CHECK_INT(world.transfer->resumes, 0);
	world_reads();
	CHECK(world.transfer->resumes > 0);
	CHECK(answer_bytes(piece));
	answer_end(UPSTREAM_OK, "");
	world_check_over();
	CHECK_INT((int64_t)world.request.got.len, (given + 1) * (int64_t)UPSTREAM_GIVE_MAX);
	CHECK(world.request.ended);
	world_close();
}

/* Slow, but steady: as long as bytes go out, nothing stalls. */
static void test_steady(void)
{
	static const char *const overrides[] = { "listen.stall_timeout_ms=1000", NULL };
	char piece[PIPE_MAX / 8 + 1];

	memset(piece, 'x', sizeof piece - 1);
	piece[sizeof piece - 1] = '\0';
	world_open(overrides);
	world.request.reads = false;
	forward();
	answer(200, "Content-Type: text/event-stream\n");
	settle();
	for (int i = 0; i < 8; i++)
		CHECK(answer_bytes(piece));
	for (int i = 0; i < 8; i++) {
		RUN_FOR(&world.loop, 250);
		CHECK_INT(reply_read(exchange(), piece, sizeof piece - 1), sizeof piece - 1);
	}
	CHECK(!world.request.over);
	answer_end(UPSTREAM_OK, "");
	world_reads();
	CHECK(world.request.ended);
	world_close();
}

/* What had come before the upstream broke still goes out, then the client is cut. */
static void test_rest_goes_out(void)
{
	world_open(NULL);
	world.request.reads = false;
	forward();
	answer(200, "Content-Type: text/event-stream\n");
	settle();
	CHECK(answer_bytes("event: a\n\n"));
	answer_end(UPSTREAM_BROKEN, "");
	CHECK(!world.request.over);
	world_reads();
	CHECK_STR(buf_str(&world.request.got), "event: a\n\n");
	CHECK(world.request.truncated);
	world_close();
}

/* A response whose client is gone by then: nobody is told anything. */
static void test_nobody_there(void)
{
	world_open(NULL);
	forward();
	answer(200, "Content-Length: 5\n");
	world_hang_up();
	CHECK_INT(world.request.responses, 0);
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_CLIENT_GONE);
	world_close();
}

/* The end wakes a client that was parked with nothing left to read. */
static void test_end_wakes(void)
{
	world_open(NULL);
	forward();
	answer(200, "Content-Type: text/event-stream\n");
	settle();
	CHECK(answer_bytes("a"));
	settle();
	CHECK_STR(buf_str(&world.request.got), "a");
	world.request.wakes = 0;
	answer_end(UPSTREAM_OK, "");
	CHECK_INT(world.request.wakes, 1);
	CHECK(world.request.ended);
	world_close();
}

int main(void)
{
	test_one_piece();
	test_not_one_piece("Content-Length: 5\n", UPSTREAM_BROKEN);
	test_not_one_piece("Content-Length: 4\n", UPSTREAM_BROKEN);
	test_not_one_piece("Content-Type: text/plain\n", UPSTREAM_OK);
	test_pace();
	test_steady();
	test_rest_goes_out();
	test_nobody_there();
	test_end_wakes();
	return check_done();
}
