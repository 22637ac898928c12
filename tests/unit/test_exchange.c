/*
 * test_exchange.c - the states of an exchange: every outcome from every state, what moves it from
 * one to the next, and clients and upstreams that end it in between. Whatever happens, its turn is
 * given back once, its transfer is freed, and it is counted once: exchange_world.h checks that.
 */
#include "exchange_world.h"

static const char sse[] = "Content-Type: text/event-stream\n";

/* --- every outcome from every state ----------------------------------------------------------- */

static void message_comes(void)
{
	world_request("POST", "/v1/messages", "Host: h\nContent-Length: 1000\n");
	world_body("{\"messages\":[", 13);
}

static void message_waits(void)
{
	world_message_with(message);
}

static void message_paces(void)
{
	message_waits();
	place(PLACE_PACING);
}

static void message_is_answered(void)
{
	message_is_forwarded();
	answer(200, sse);
	settle();
}

static void message_streams(void)
{
	message_is_answered();
	CHECK(answer_bytes("event: a\n\n"));
	settle();
}

static void message_drains(void)
{
	world.request.reads = false;
	message_streams();
	answer_end(UPSTREAM_OK, "");
	world.request.reads = true; /* but nobody wakes it */
}

static const struct situation {
	const char *name;
	void (*reach)(void);
	enum exchange_state state;
	enum told told;
	bool has_turn, has_place;
} situations[] = {
	{ "reading", message_comes, X_READING, TOLD_NOTHING, false, false },
	{ "waiting", message_waits, X_WAITING, TOLD_NOTHING, false, true },
	{ "pacing", message_paces, X_PACING, TOLD_NOTHING, false, true },
	{ "forwarding", message_is_forwarded, X_FORWARDING, TOLD_NOTHING, true, true },
	{ "answered", message_is_answered, X_STREAMING, TOLD_HEAD, true, true },
	{ "streaming", message_streams, X_STREAMING, TOLD_HEAD, true, true },
	{ "draining", message_drains, X_DRAINING, TOLD_ALL, false, false },
};

static void reach(const struct situation *s)
{
	s->reach();
	CHECK_INT(exchange()->state, s->state);
	CHECK_INT(exchange()->told, s->told);
}

/* What the client must have heard of `outcome`, told in situation `s`. */
static void check_heard(const struct situation *s, enum outcome outcome)
{
	const struct outcome_info *o = &outcome_info[outcome];
	const struct http_request *r = &world.request;
	CLEANUP(freep) char *type = xasprintf("\"type\":\"%s\"", o->type ? o->type : "");

	CHECK(!r->sent == (s->told != TOLD_NOTHING || !o->type));
	CHECK(!r->ended); /* nothing of this may look complete */
	if (s->told != TOLD_NOTHING) {
		CHECK_INT(r->status, 200);
		CHECK(o->type ? r->truncated : r->cut);
	} else if (o->type) {
		CHECK_INT(r->status, o->status);
		CHECK(strstr(buf_str(&world.request.got), type));
		CHECK(!(o->flags & OUTCOME_RETRY) ==
		      !strstr(buf_str(&world.request.names), "retry-after: "));
	} else {
		CHECK_INT(r->responses, 0);
		CHECK(r->cut);
	}
}

static void test_outcome(const struct situation *s, enum outcome outcome)
{
	struct queue *q = &world.queue;
	bool refused = s->told == TOLD_NOTHING && outcome_info[outcome].type;
	int failures = check_failures;

	world_open(NULL);
	reach(s);
	exchange_finish(exchange(), outcome);
	CHECK_INT(exchange()->state, X_DYING);
	exchange_finish(exchange(), OUTCOME_SHUTTING_DOWN); /* only the first counts */
	settle();
	world_check_over();
	CHECK_INT(world_outcome(), outcome);
	check_heard(s, outcome);
	CHECK_INT(q->joined, s->state != X_READING);
	CHECK_INT(q->used, s->has_turn || s->state == X_DRAINING);
	CHECK_INT(q->kept, s->has_place && !s->has_turn);
	CHECK_INT(proxy_refusals(world.proxy)->count, refused);
	world_close();
	if (failures != check_failures)
		fprintf(stderr, "in %s, %s\n", s->name, outcome_info[outcome].word);
}

static void test_outcomes(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(situations); i++) {
		for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++)
			test_outcome(&situations[i], (enum outcome)outcome);
	}
}

/* --- clients that leave ----------------------------------------------------------------------- */

/* In each state, by a hang-up while it is parked, or by a connection that breaks. */
static void test_client_leaves(const struct situation *s, void (*leave)(void))
{
	int failures = check_failures;

	world_open(NULL);
	reach(s);
	leave();
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_CLIENT_GONE);
	CHECK(!world.request.sent);
	CHECK_INT(world.request.responses, s->told != TOLD_NOTHING);
	CHECK_INT(world.queue.used, s->has_turn || s->state == X_DRAINING);
	CHECK_INT(proxy_refusals(world.proxy)->count, 0);
	CHECK_INT(world.transfers, s->state >= X_FORWARDING); /* else the upstream never heard */
	world_close();
	if (failures != check_failures)
		fprintf(stderr, "in %s\n", s->name);
}

static void test_clients_leave(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(situations); i++) {
		test_client_leaves(&situations[i], world_hang_up);
		test_client_leaves(&situations[i], world_break);
	}
}

/* A client that hangs up when it is being refused: there is no second end. */
static void test_leaves_refused(void)
{
	world_open(NULL);
	world.request.reads = false;
	message_waits();
	place(PLACE_FULL);
	CHECK_INT(world.request.status, 503);
	world_hang_up();
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_QUEUE_FULL);
	CHECK(!world.request.sent);
	world_close();
}

/* It hung up, and before anybody has looked at that it is refused: it hears nothing any more. */
static void test_gone_meanwhile(void)
{
	world_open(NULL);
	message_waits();
	service()->gone(world.request.x);
	exchange_finish(exchange(), OUTCOME_SHUTTING_DOWN);
	settle();
	world_check_over();
	CHECK(world.request.cut);
	CHECK_INT(world.request.responses, 0);
	CHECK_INT(proxy_refusals(world.proxy)->count, 0);
	world_close();
}

/* --- the queue -------------------------------------------------------------------------------- */

static const struct {
	enum place_state place;
	enum outcome outcome; /* ANSWERED: it goes to the upstream */
} moves[] = {
	{ PLACE_TURN, OUTCOME_ANSWERED },        { PLACE_PASS, OUTCOME_ANSWERED },
	{ PLACE_LOST, OUTCOME_LOCK_LOST },       { PLACE_TIMED_OUT, OUTCOME_QUEUE_TIMEOUT },
	{ PLACE_FULL, OUTCOME_QUEUE_FULL },      { PLACE_REMOVED, OUTCOME_QUEUE_REMOVED },
	{ PLACE_FAILED, OUTCOME_BACKEND_ERROR }, { PLACE_HELD, OUTCOME_ACCOUNT_LIMITED },
};

static void test_place(bool paced, enum place_state to, enum outcome outcome)
{
	world_open(NULL);
	if (paced)
		message_paces();
	else
		message_waits();
	CHECK(world.proxy->waiting_bytes == (int64_t)strlen(message));
	place(to);
	if (outcome == OUTCOME_ANSWERED) {
		CHECK_INT(exchange()->state, X_FORWARDING);
		CHECK_INT(world.proxy->waiting_bytes, 0);
		CHECK(buf_span(&world.transfer->whole).len == strlen(message));
		answer(200, "Content-Length: 2\n");
		CHECK(answer_bytes("ok"));
		answer_end(UPSTREAM_OK, "");
		CHECK_STR(buf_str(&world.request.got), "ok");
	} else {
		CHECK_INT(world.transfers, 0);
		CHECK_INT(world.request.status, outcome_info[outcome].status);
	}
	world_check_over();
	CHECK_INT(world_outcome(), outcome);
	CHECK(strstr(buf_str(&world.request.names), "server-timing: queue;dur="));
	world_close();
}

static void test_places(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
		test_place(false, moves[i].place, moves[i].outcome);
		test_place(true, moves[i].place, moves[i].outcome);
	}
}

/* A lease that is over while the upstream is at work: what counts is queue.on_lock_lost. */
static void test_lost(const struct situation *s, bool abort)
{
	const char *overrides[] = { "queue.on_lock_lost=continue", NULL };

	if (abort)
		overrides[0] = "queue.on_lock_lost=abort";
	world_open(overrides);
	reach(s);
	place(PLACE_LOST);
	if (!abort) {
		if (s->told == TOLD_NOTHING)
			answer(200, sse);
		answer_end(UPSTREAM_OK, "");
	}
	world_check_over();
	CHECK_INT(world_outcome(), abort ? OUTCOME_LOCK_LOST : OUTCOME_ANSWERED);
	CHECK_INT(world.request.ended, !abort);
	CHECK_INT(world.request.truncated, abort && s->told == TOLD_HEAD);
	CHECK_INT(world.request.status, abort && s->told == TOLD_NOTHING ? 503 : 200);
	world_close();
}

/* --- the upstream ----------------------------------------------------------------------------- */

static void test_answered(void)
{
	world_open(NULL);
	message_is_forwarded();
	answer(200, sse);
	CHECK(answer_bytes("event: a\n\n")); /* before anybody has looked at the head */
	settle();
	CHECK_INT(world.queue.left, 0);
	CHECK(answer_bytes("event: b\n\n"));
	answer_end(UPSTREAM_OK, "");
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_ANSWERED);
	CHECK_STR(buf_str(&world.request.got), "event: a\n\nevent: b\n\n");
	CHECK(world.request.ended && world.request.sent);
	CHECK_INT(world.queue.used, 1);
	CHECK_INT(proxy_counters(world.proxy)->upstream_responses[2], 1);
	world_close();
}

/* Not before curl has sent it all: the response may come earlier. */
static void test_body_goes(bool is_sent)
{
	world_open(NULL);
	message_is_forwarded();
	CHECK_INT(bodies_bytes(world.proxy->bodies), strlen(message));
	world.transfer->body_is_sent = is_sent;
	answer(200, sse);
	settle();
	CHECK(exchange()->state == X_STREAMING);
	CHECK_INT((int64_t)exchange()->body.len, is_sent ? 0 : strlen(message));
	CHECK_INT(bodies_bytes(world.proxy->bodies), is_sent ? 0 : strlen(message));
	answer_end(UPSTREAM_OK, "");
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_ANSWERED);
	world_close();
}

/* Its own errors are answers. */
static void test_upstream_error(void)
{
	world_open(NULL);
	message_is_forwarded();
	answer(529, "Content-Type: application/json\nRetry-After: 3\n");
	CHECK(answer_bytes("{}"));
	answer_end(UPSTREAM_OK, "");
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_ANSWERED);
	CHECK_INT(world.request.status, 529);
	CHECK(strstr(buf_str(&world.request.names), "Retry-After: 3\n"));
	CHECK_INT(proxy_counters(world.proxy)->upstream_responses[5], 1);
	CHECK_INT(proxy_refusals(world.proxy)->count, 0);
	world_close();
}

/* A limit of the account is told to the queue while the turn is still held: nobody goes between. */
static void test_limited(int status)
{
	world_open(NULL);
	message_is_forwarded();
	answer(status, "Content-Type: application/json\nRetry-After: 3\n");
	settle();
	CHECK_INT(world.queue.releases, status < 400);
	CHECK(answer_bytes("{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\"}}"));
	CHECK_INT(world.queue.holds, 0);
	answer_end(UPSTREAM_OK, "");
	world_check_over();
	CHECK_INT(world.queue.holds, status == 429);
	CHECK_INT(world_outcome(), OUTCOME_ANSWERED);
	world_close();
}

/* A spent window holds where that is wanted: one of the account everybody, one of a family only requests for it. */
static void test_quota(const char *on_limit, const char *window, enum hold_kind kind)
{
	const char *const options[] = { on_limit, NULL };
	CLEANUP(freep)
	char *fields = xasprintf("Content-Type: application/json\n"
				 "anthropic-ratelimit-unified-status: rejected\n"
				 "anthropic-ratelimit-unified-%s-status: rejected\n"
				 "anthropic-ratelimit-unified-%s-reset: %" PRId64 "\n",
				 window, window, clock_wall_ms() / 1000 + 3600);

	world_open(options);
	message_is_forwarded();
	answer(429, fields);
	settle();
	CHECK(answer_bytes("{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\"}}"));
	answer_end(UPSTREAM_OK, "");
	world_check_over();
	CHECK_INT(world.queue.holds, kind != HOLD_NONE);
	CHECK_INT(world.queue.hold_kind, kind);
	world_close();
}

static void test_upstream_fails(const struct situation *s)
{
	world_open(NULL);
	reach(s);
	answer_end(UPSTREAM_BROKEN, "it broke");
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_UPSTREAM_BROKEN);
	CHECK_INT(world.request.status, s->told == TOLD_NOTHING ? 502 : 200);
	CHECK_INT(world.request.truncated, s->told != TOLD_NOTHING);
	CHECK_INT(world.queue.used, 1);
	world_close();
}

/* A caller's own refusal is no used turn. */
static void test_refused(int status, bool used)
{
	world_open(NULL);
	message_is_forwarded();
	answer(status, sse);
	answer_end(UPSTREAM_OK, "");
	world_check_over();
	CHECK_INT(world.queue.used, used);
	world_close();
}

/* The turn ends with the response's head, where that is wanted; the rest still goes through. */
static void test_release_on_headers(void)
{
	static const char *const overrides[] = { "queue.release_on=headers", NULL };

	world_open(overrides);
	message_is_forwarded();
	answer(200, sse);
	settle();
	CHECK_INT(world.queue.used, 1);
	CHECK(answer_bytes("event: a\n\n"));
	answer_end(UPSTREAM_OK, "");
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_ANSWERED);
	CHECK_STR(buf_str(&world.request.got), "event: a\n\n");
	world_close();
}

/* --- who must move ---------------------------------------------------------------------------- */

static const char *const impatient[] = { "upstream.request_timeout_ms=1000",
					 "listen.stall_timeout_ms=1000",
					 "listen.min_rate_bytes_s=0", NULL };

static void test_watchdog(const struct situation *s, enum outcome outcome)
{
	int64_t start;

	world_open(impatient);
	reach(s);
	start = clock_ms();
	CHECK(RUN_UNTIL(&world.loop, world.request.over, 5000));
	CHECK(clock_ms() - start >= 1000);
	world_check_over();
	CHECK_INT(world_outcome(), outcome);
	world_close();
}

/* A client that doesn't take what there is for it: not the upstream's fault. */
static void test_not_read(void)
{
	world_open(impatient);
	world.request.reads = false;
	message_streams();
	CHECK(RUN_UNTIL(&world.loop, world.request.over, 5000));
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_CLIENT_STALLED);
	world_close();
}

/* A streamed body that stops coming is the client's fault; one that isn't taken, the upstream's. */
static void test_not_sent(bool is_taken)
{
	world_open(impatient);
	world_request("POST", "/v1/files", "Host: h\nContent-Length: 500000\n");
	world_body("abc", 3);
	if (is_taken)
		CHECK_INT(take(10), 3);
	CHECK(RUN_UNTIL(&world.loop, world.request.over, 5000));
	world_check_over();
	CHECK_INT(world_outcome(), is_taken ? OUTCOME_CLIENT_STALLED : OUTCOME_UPSTREAM_TIMEOUT);
	world_close();
}

/* Whoever waits in line is in nobody's way, however long. */
static void test_waiting_is_no_stall(void)
{
	world_open(impatient);
	message_waits();
	RUN_FOR(&world.loop, 1300);
	CHECK(!world.request.over);
	place(PLACE_TIMED_OUT);
	world_close();
}

/* An error that isn't taken is cut off as well. */
static void test_error_not_taken(void)
{
	world_open(impatient);
	world.request.reads = false;
	message_waits();
	place(PLACE_FULL);
	CHECK(RUN_UNTIL(&world.loop, world.request.over, 5000));
	CHECK(!world.request.sent);
	CHECK_INT(proxy_refusals(world.proxy)->count, 1); /* it was refused all the same */
	world_close();
}

/* --- shutdown --------------------------------------------------------------------------------- */

static void on_idle(void *arg)
{
	++*(int *)arg;
}

/* Draining refuses who has no turn yet, cutting ends all; idle() comes once, when all are gone. */
static void test_shutdown(const struct situation *s, bool cut)
{
	bool ends = cut || s->state < X_FORWARDING;
	int idle = 0;

	world_open(NULL);
	reach(s);
	proxy_drain(world.proxy, on_idle, &idle);
	if (cut)
		proxy_cut(world.proxy);
	settle();
	CHECK_INT(world.request.over, ends);
	if (!ends) {
		CHECK_INT(idle, 0);
		if (s->state == X_FORWARDING)
			answer(200, sse);
		if (s->state != X_DRAINING)
			answer_end(UPSTREAM_OK, "");
		world_reads();
	}
	world_check_over();
	settle();
	CHECK_INT(idle, 1);
	CHECK_INT(world_outcome(), ends ? OUTCOME_SHUTTING_DOWN : OUTCOME_ANSWERED);
	CHECK_INT(world.request.ended, !ends);
	world_close();
}

int main(void)
{
	const struct situation *forwarding = &situations[3], *answered = &situations[4],
			       *streaming = &situations[5];

	test_outcomes();
	test_clients_leave();
	test_leaves_refused();
	test_places();
	test_gone_meanwhile();
	for (int abort = 0; abort < 2; abort++) {
		test_lost(forwarding, abort);
		test_lost(streaming, abort);
	}
	test_answered();
	test_body_goes(true);
	test_body_goes(false);
	test_upstream_error();
	test_limited(200);
	test_limited(429);
	test_limited(400);
	test_quota("queue.on_limit=quota", "5h", HOLD_QUOTA);
	test_quota("queue.on_limit=throttle", "5h", HOLD_NONE);
	test_quota("queue.on_limit=quota", "7d_opus", HOLD_QUOTA);
	test_quota("queue.on_limit=quota", "7d_nobody", HOLD_NONE);
	for (const struct situation *s = forwarding; s <= streaming; s++)
		test_upstream_fails(s);
	test_refused(401, false);
	test_refused(403, false);
	test_refused(400, true);
	test_release_on_headers();
	test_watchdog(&situations[0], OUTCOME_CLIENT_STALLED);
	test_watchdog(forwarding, OUTCOME_UPSTREAM_TIMEOUT);
	test_watchdog(answered, OUTCOME_UPSTREAM_TIMEOUT);
	test_watchdog(&situations[6], OUTCOME_CLIENT_STALLED);
	test_not_read();
	test_not_sent(true);
	test_not_sent(false);
	test_waiting_is_no_stall();
	test_error_not_taken();
	for (size_t i = 0; i < ARRAY_SIZE(situations); i++) {
		test_shutdown(&situations[i], false);
		test_shutdown(&situations[i], true);
	}
	return check_done();
}
