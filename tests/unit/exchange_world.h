/*
 * exchange_world.h - the proxy between fakes that do what the test says.
 *
 *      world_request(), world_body() … ──> intake ──> exchange ──> transfer_new(), queue_join()
 *      world.request.got, .status      <── reply  <──          <── answer(), place()
 */
#pragma once

#include "exchange_fakes.h"

/* --- what a test does ------------------------------------------------------------------------- */

/* Runs all jobs, and what they ask for; no timer is waited for. */
static inline void settle(void)
{
	for (int i = 0; i < 4; i++)
		uv_run(&world.loop.uv, UV_RUN_NOWAIT);
}

static inline struct exchange *exchange(void)
{
	return world.request.x;
}

/* "Name: value\n" lines to fields that point into a copy of them. */
static inline size_t parse_fields(const char *lines, char **text, struct header fields[FIELDS_MAX])
{
	struct span rest, line;
	size_t n = 0;

	*text = xstrdup(lines);
	rest = span_of(*text);
	while (span_next(&rest, '\n', &line)) {
		const char *colon = line.len ? memchr(line.ptr, ':', line.len) : NULL;

		if (!colon)
			continue;
		must(n < FIELDS_MAX);
		fields[n].name = (struct span){ line.ptr, (size_t)(colon - line.ptr) };
		fields[n++].value = span_trim(
			(struct span){ colon + 1, line.len - (size_t)(colon - line.ptr) - 1 });
	}
	return n;
}

/* A request's head has come in. */
static inline void world_request(const char *method, const char *target, const char *lines)
{
	struct http_request *r = &world.request;

	must(!r->x);
	r->pump.run = pump;
	r->head = (struct request_head){ .method = span_of(method),
					 .target = span_of(target),
					 .path = span_of(target),
					 .version = SPAN("HTTP/1.1"),
					 .fields = { r->fields, 0 },
					 .bytes = strlen(lines) + 100 };
	r->head.fields.count = parse_fields(lines, &r->text, r->fields);
	r->x = service()->begin(world.server.options.ctx, r);
}

/* A piece of its body; returns how much was taken. */
static inline size_t world_body(const char *data, size_t len)
{
	return service()->body(world.request.x, data, len);
}

static inline void world_received(void)
{
	service()->received(world.request.x);
	settle();
}

/* Its client hangs up while the request is parked; or its connection breaks while MHD has it. */
static inline void world_hang_up(void)
{
	service()->gone(world.request.x);
	settle();
}

static inline void world_break(void)
{
	done(&world.request, false);
	settle();
}

/* The client reads from now on. */
static inline void world_reads(void)
{
	world.request.reads = true;
	loop_defer_last(&world.loop, &world.request.pump);
	settle();
}

static const char message[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";

/* A user message: as far as waiting in line. */
static inline void world_message_with(const char *body)
{
	CLEANUP(freep)
	char *lines = xasprintf("Host: h\nX-Api-Key: sk-test\n"
				"Content-Type: application/json\n"
				"Content-Length: %zu\n",
				strlen(body));

	world_request("POST", "/v1/messages", lines);
	CHECK_INT((int64_t)world_body(body, strlen(body)), (int64_t)strlen(body));
	world_received();
}

/* The queue moves its place. */
static inline void place(enum place_state state)
{
	struct queue_place *p = world.place;

	must(p && p->state != PLACE_NONE);
	p->state = state;
	if (state == PLACE_TURN)
		p->turn_ms = clock_ms();
	p->changed(p->x);
	settle();
}

/* A user message: as far as the upstream, with its turn. */
static inline void message_is_forwarded(void)
{
	world_message_with(message);
	place(PLACE_PACING);
	place(PLACE_TURN);
}

/* The upstream answers: its head; bytes of its body; its end. */
static inline void answer(int status, const char *lines)
{
	struct transfer *t = world.transfer;

	must(t);
	t->headers = (struct headers){ t->fields, parse_fields(lines, &t->text, t->fields) };
	t->status = status;
	t->state = TRANSFER_ANSWERING;
	t->events->changed(t->x);
}

static inline bool answer_bytes(const char *data)
{
	return world.transfer->events->give(world.transfer->x, data, strlen(data));
}

static inline void answer_end(enum upstream_error error, const char *text)
{
	struct transfer *t = world.transfer;

	t->state = TRANSFER_ENDED;
	t->error = error;
	t->error_text = text;
	t->events->changed(t->x);
	settle();
}

/* The upstream takes up to `max` bytes of a streamed body, behind what it has. */
static inline ssize_t take(size_t max)
{
	struct transfer *t = world.transfer;
	ssize_t n = t->events->take(t->x, buf_reserve(&t->whole, max), max);

	if (n > 0)
		t->whole.len += (size_t)n;
	return n;
}

/* --- a world's beginning and end -------------------------------------------------------------- */

static inline void world_open(const char *const *overrides)
{
	const char *all[16] = { "upstream.url=http://upstream.test", "queue.mode=enforce" };
	struct config_sources sources = { .overrides = all };
	CLEANUP(buf_clear) struct buf errors = { 0 };

	for (size_t i = 2; overrides && *overrides; i++)
		all[i] = *overrides++;
	memset(&world, 0, sizeof world);
	log_setup(LOG_ERROR, LOG_TEXT);
	loop_open(&world.loop);
	if (config_load(&sources, &errors, &world.config) < 0)
		fputs(buf_str(&errors), stderr);
	must(world.config);
	must(!proxy_new(&world.loop, world.config, 10, &world.queue, NULL, &errors, &world.proxy));
	world.request.reads = true;
}

/* The exchange is over: all that it had is given back, and it is counted once. */
static inline void world_check_over_but_for(int64_t waiting_bytes)
{
	const struct proxy_counters *c = proxy_counters(world.proxy);
	int64_t ended = 0;

	CHECK(RUN_UNTIL(&world.loop, world.request.over && !proxy_exchanges(world.proxy), 2000));
	CHECK(!world.transfer);
	CHECK_INT(world.transfers_freed, world.transfers);
	CHECK_INT(world.queue.left, world.queue.joined);
	CHECK_INT(world.shadows_released, world.shadows);
	CHECK_INT(bodies_bytes(world.proxy->bodies), 0);
	CHECK_INT(world.proxy->waiting_bytes, waiting_bytes);
	for (int kind = 0; kind < KIND_COUNT; kind++) {
		for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++)
			ended += c->requests[kind][outcome];
	}
	CHECK_INT(ended, 1);
}

static inline void world_check_over(void)
{
	world_check_over_but_for(0);
}

/* With which outcome the one exchange has ended. */
static inline enum outcome world_outcome(void)
{
	const struct proxy_counters *c = proxy_counters(world.proxy);

	for (int kind = 0; kind < KIND_COUNT; kind++) {
		for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++) {
			if (c->requests[kind][outcome])
				return (enum outcome)outcome;
		}
	}
	return OUTCOME_COUNT;
}

static inline void world_close(void)
{
	if (world.request.x)
		world_check_over();
	proxy_free(world.proxy);
	config_free(world.config);
	free(world.request.text);
	buf_clear(&world.request.names);
	buf_clear(&world.request.got);
	loop_close(&world.loop);
}
