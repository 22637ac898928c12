/*
 * test_own_reply.c - what a client is told in place of a response: what is going on in its line, when
 * to come again, and all of it to scripts on a web page too.
 */
#include "exchange_world.h"

static const char *told(void)
{
	return buf_str(&world.request.got);
}

static bool has_field(const char *line)
{
	return strstr(buf_str(&world.request.names), line);
}

/* A user message that ends so; before, `before` others were in front of it. */
static void end_as(enum place_state to, int64_t before, bool kept, int64_t running_ms)
{
	world_open(NULL);
	world_message_with(message);
	world.running_ms = running_ms;
	world.place->before = before;
	world.place->kept = kept;
	world.place->joined_ms -= 280000;
	place(to);
	world_check_over();
}

static void check_message(const char *text)
{
	CLEANUP(freep) char *member = xasprintf("\"message\":\"%s\"}", text);

	if (!strstr(told(), member))
		CHECK_STR(told(), member); /* says what it is */
	world_close();
}

static void test_messages(void)
{
	end_as(PLACE_TIMED_OUT, 3, true, 45000);
	check_message("waited too long for the account's turn: 280 s so far, 3 requests before it "
		      "(about 61 s more), the present turn began 45 s ago, its place in line is "
		      "kept");
	end_as(PLACE_TIMED_OUT, 1, false, 3600000);
	check_message("waited too long for the account's turn: 280 s so far, 1 request before it "
		      "(about 61 s more), the present turn began 60 min ago");
	end_as(PLACE_TIMED_OUT, 0, false, -1);
	check_message("waited too long for the account's turn: 280 s so far, nobody before it");
	end_as(PLACE_FULL, 0, false, 9000000);
	check_message("too many requests wait for this account: room in about 7 s, the present "
		      "turn began 2 h 30 min ago");
	end_as(PLACE_REMOVED, 0, false, 1);
	check_message("an operator took the request out of the queue");
	end_as(PLACE_FAILED, 0, true, 1);
	check_message("the queue's backend can't be reached; try again: its place in line is kept");
}

/* An operator's or a limit's end is told as well, where the upstream's own words aren't known. */
static void test_limited(void)
{
	world_open(NULL);
	world_message_with(message);
	world.place->held_until_ms = clock_ms() + 7200 * 1000;
	place(PLACE_HELD);
	world_check_over();
	CHECK_INT(world.request.status, 429);
	CHECK(has_field("x-should-retry: false\n"));
	CHECK(has_field("retry-after: 7200\n"));
	check_message("the account's limit is reached, for longer than this request waits: 2 h 0 "
		      "min more");
}

/* Claude Code gives up on an overloaded_error after three tries, and hides its message. */
static void test_types(void)
{
	for (int o = 0; o < OUTCOME_COUNT; o++) {
		const struct outcome_info *info = &outcome_info[o];

		CHECK(!info->type || strcmp(info->type, "overloaded_error") != 0);
		CHECK(info->status != 529);
		CHECK(info->status != 503 || info->flags & OUTCOME_RETRY);
	}
}

/* --- scripts on a web page -------------------------------------------------------------------- */

static void ask_from(const char *lines)
{
	CLEANUP(freep)
	char *all = xasprintf("Host: h\nX-Api-Key: sk-test\n%sContent-Length: %zu\n", lines,
			      strlen(message));

	world_open(NULL);
	world_request("POST", "/v1/messages", all);
	CHECK(world_body(message, strlen(message)) == strlen(message));
	world_received();
}

static void test_cors(void)
{
	ask_from("Origin: https://example.org\n");
	place(PLACE_TIMED_OUT);
	world_check_over();
	CHECK(has_field("access-control-allow-origin: *\n"));
	CHECK(has_field("access-control-expose-headers: request-id, retry-after, x-should-retry, "
			"x-user-message-queue-error\n"));
	world_close();
	ask_from("");
	place(PLACE_TIMED_OUT);
	world_check_over();
	CHECK(!has_field("access-control"));
	world_close();
	/* the upstream's own answer is the upstream's */
	ask_from("Origin: https://example.org\n");
	place(PLACE_TURN);
	answer(200, "Access-Control-Allow-Origin: https://example.org\n");
	answer_end(UPSTREAM_OK, "");
	world_check_over();
	CHECK(has_field("Access-Control-Allow-Origin: https://example.org\n"));
	CHECK(!has_field("access-control-allow-origin"));
	world_close();
}

int main(void)
{
	test_messages();
	test_limited();
	test_types();
	test_cors();
	return check_done();
}
