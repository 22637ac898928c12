/*
 * queries.c - queries and orders as calls of scripts.
 *
 *      query ──> query_run ──> call, call, call ──the last one answered──> reply
 *
 * A run outlives a query that is cancelled, as its calls are on their way.
 */
#include "queue/redis/queries.h"

#include <errno.h>
#include <inttypes.h>

#include "base/clock.h"
#include "queue/redis/view.h"

enum {
	PULSE_EVERY_MS = 800,
	LOOK_FAILED = -1, /* as the turns of a view */
};

struct query_run {
	struct list link;
	struct redis_queries *owner;
	struct query_reply *reply;
	int64_t offset, limit; /* of a list */
	size_t open;           /* calls under way */
	int error;
	size_t failed;  /* looks */
	int look_error; /* of one of them */
	char *claim_over;
};

struct query_call {
	struct redis_call call;
	struct query_run *run;
	size_t view; /* which view of the reply it is about */
};

/* --- runs --------------------------------------------------------------------------- */

/* An account's node being down doesn't take the others off the page. */
static void leave_out_failed(struct query_run *run)
{
	struct lock_answer *a = &run->reply->answer;
	size_t kept = 0;

	if (!run->failed)
		return;
	if (run->failed == a->count || !run->owner->names->cluster) {
		run->error = run->look_error;
		return;
	}
	for (size_t i = 0; i < a->count; i++) {
		if (a->views[i].turns == LOOK_FAILED)
			query_view_clear(&a->views[i]);
		else
			a->views[kept++] = a->views[i];
	}
	a->count = kept;
}

static void run_free(struct query_run *run)
{
	list_remove(&run->link);
	free(run->claim_over);
	free(run);
}

static void run_end(struct query_run *run)
{
	struct query_reply *reply = run->reply;
	int error;

	leave_out_failed(run);
	error = run->error;

	run_free(run);
	query_reply_now(reply, error);
}

static void call_ended(struct query_call *c)
{
	struct query_run *run = c->run;

	redis_call_free(&c->call);
	if (--run->open == 0)
		run_end(run);
}

static struct query_call *new_call(struct query_run *run, enum script script,
				   void (*done)(struct redis_call *, const redisReply *))
{
	struct query_call *c = xcalloc(1, sizeof *c);

	c->run = run;
	c->call.script = script_get(script);
	c->call.form = script_form(script);
	c->call.done = done;
	return c;
}

static struct query_call *new_command(struct query_run *run, redis_form_fn form,
				      void (*done)(struct redis_call *, const redisReply *))
{
	struct query_call *c = new_call(run, SCRIPT_NONE, done);

	c->call.form = form;
	return c;
}

static struct query_call *new_account_call(struct query_run *run, enum script script,
					   const char *account,
					   void (*done)(struct redis_call *, const redisReply *))
{
	struct query_call *c = new_call(run, script, done);

	script_account(&c->call.command, run->owner->names, account);
	return c;
}

/* -ENOTCONN: it is freed. */
static int try_call(struct query_call *c)
{
	struct query_run *run = c->run;
	int r = redis_call_send(run->owner->caller, &c->call);

	if (r == 0)
		run->open++;
	else
		redis_call_free(&c->call);
	return r;
}

static void send_call(struct query_call *c)
{
	struct query_run *run = c->run;
	int r = try_call(c);

	if (r < 0)
		run->error = r;
}

static int error_of(const redisReply *reply)
{
	return reply ? -EIO : -ENOTCONN;
}

/* --- looking at accounts ----------------------------------------------------------------- */

static void look_failed(struct query_run *run, size_t view, int error)
{
	run->reply->answer.views[view].turns = LOOK_FAILED;
	run->failed++;
	run->look_error = error;
}

static void looked(struct redis_call *call, const redisReply *reply)
{
	struct query_call *c = container_of(call, struct query_call, call);

	if (!redis_view_read(reply, &c->run->reply->answer.views[c->view]))
		look_failed(c->run, c->view, error_of(reply));
	call_ended(c);
}

static void send_look(struct query_run *run, size_t view, bool whole)
{
	const char *account = run->reply->answer.views[view].account;
	struct query_call *c = new_account_call(run, SCRIPT_LOOK, account, looked);
	int r;

	c->view = view;
	redis_arg_int(&c->call.command, whole ? LOCK_WAITERS_MAX : 1);
	redis_arg_int(&c->call.command, whole ? LOCK_SAMPLES_MAX : 0);
	r = try_call(c);
	if (r < 0)
		look_failed(run, view, r);
}

/* --- the list ---------------------------------------------------------------------------- */

static bool is_watched(const struct query_run *run, size_t view)
{
	const struct query_reply *r = run->reply;

	return r->q && query_watches(r->q, span_of(r->answer.views[view].account));
}

static bool has_view(const struct query_reply *r, const char *account)
{
	for (size_t i = 0; i < r->answer.count; i++) {
		if (!strcmp(r->answer.views[i].account, account))
			return true;
	}
	return false;
}

/* Those that are watched are part of a survey wherever they are in the index, or not. */
static void add_watched(struct query_reply *r)
{
	for (size_t i = 0; r->q && i < r->q->watched_count; i++) {
		if (!has_view(r, r->q->watched[i]))
			query_reply_view(r, r->q->watched[i]);
	}
}

/* One name more than the page has says that there is a next one. */
static void read_page(struct query_run *run, const redisReply *names)
{
	size_t count = MIN(names->elements, (size_t)run->limit);

	for (size_t i = 0; i < count; i++) {
		CLEANUP(freep)
		char *name = xasprintf("%.*s", SPAN_ARG(redis_text(names->element[i])));

		query_reply_view(run->reply, name);
	}
	if (names->elements > count)
		run->reply->answer.next = run->offset + run->limit;
	add_watched(run->reply);
	for (size_t i = 0; i < run->reply->answer.count; i++)
		send_look(run, i, is_watched(run, i));
}

static void index_read(struct redis_call *call, const redisReply *reply)
{
	struct query_call *c = container_of(call, struct query_call, call);

	if (reply && reply->type == REDIS_REPLY_ARRAY)
		read_page(c->run, reply);
	else
		c->run->error = error_of(reply);
	call_ended(c);
}

static void send_list(struct query_run *run)
{
	struct query_call *c = new_command(run, redis_is_texts, index_read);
	CLEANUP(freep) char *index = xasprintf("%s_index", run->owner->names->prefix);

	redis_arg_str(&c->call.command, "ZREVRANGE");
	redis_arg_key(&c->call.command, index);
	redis_arg_int(&c->call.command, run->offset);
	redis_arg_int(&c->call.command, run->offset + run->limit);
	send_call(c);
}

/* --- the survey -------------------------------------------------------------------------- */

static void surveyed(struct redis_call *call, const redisReply *reply)
{
	struct query_call *c = container_of(call, struct query_call, call);

	if (!redis_survey_read(reply, c->run->reply))
		c->run->error = error_of(reply);
	call_ended(c);
}

static void add_key(struct query_call *c, const char *kind, const char *name)
{
	CLEANUP(freep) char *key = xasprintf("%s_%s%s", c->run->owner->names->prefix, kind, name);

	redis_arg_str(&c->call.command, key);
}

static void send_survey(struct query_run *run, const struct lock_query *q)
{
	struct query_call *c = new_call(run, SCRIPT_SURVEY, surveyed);
	struct redis_command *command = &c->call.command;

	redis_arg_int(command, 2);
	add_key(c, "index", "");
	add_key(c, "notes", "");
	redis_arg_str(command, run->owner->names->prefix);
	redis_arg_int(command, LOCK_SURVEY_MAX);
	redis_arg_int(command, LOCK_WAITERS_MAX);
	redis_arg_int(command, LOCK_SAMPLES_MAX);
	for (size_t i = 0; i < q->watched_count; i++)
		redis_arg_str(command, q->watched[i]);
	send_call(c);
}

static void counted(struct redis_call *call, const redisReply *reply)
{
	struct query_call *c = container_of(call, struct query_call, call);

	if (reply && reply->type == REDIS_REPLY_INTEGER)
		c->run->reply->answer.known = reply->integer;
	else
		c->run->error = error_of(reply);
	call_ended(c);
}

static void send_count(struct query_run *run)
{
	struct query_call *c = new_command(run, redis_is_int, counted);
	CLEANUP(freep) char *index = xasprintf("%s_index", run->owner->names->prefix);

	redis_arg_str(&c->call.command, "ZCARD");
	redis_arg_key(&c->call.command, index);
	send_call(c);
}

/* A cluster's accounts are in several places: a query each, and no beacons. */
static void send_survey_of_cluster(struct query_run *run)
{
	run->offset = 0;
	run->limit = LOCK_LIST_MAX;
	send_count(run);
	send_list(run);
}

static void stored(struct redis_call *call, const redisReply *reply)
{
	struct query_call *c = container_of(call, struct query_call, call);

	if (!reply || reply->type == REDIS_REPLY_ERROR)
		c->run->error = error_of(reply);
	call_ended(c);
}

static void send_beacon(struct query_run *run, const struct lock_query *q)
{
	struct query_call *c = new_call(run, SCRIPT_BEACON, stored);
	CLEANUP(freep) char *name = xasprintf(":%s", run->owner->names->owner);

	redis_arg_int(&c->call.command, 2);
	add_key(c, "notes", "");
	add_key(c, "note", name);
	redis_arg_str(&c->call.command, run->owner->names->owner);
	redis_arg_str(&c->call.command, q->beacon);
	redis_arg_int(&c->call.command, LOCK_BEACON_MS);
	send_call(c);
}

/* --- claims ------------------------------------------------------------------------------ */

static void send_claim_command(struct query_run *run, const char *verb, const char *claim,
			       int64_t for_ms, redis_form_fn form,
			       void (*done)(struct redis_call *, const redisReply *))
{
	CLEANUP(freep) char *key = xasprintf("%s_told:%s", run->owner->names->prefix, claim);
	struct query_call *c = new_command(run, form, done);
	struct redis_command *command = &c->call.command;

	redis_arg_str(command, verb);
	redis_arg_key(command, key);
	if (for_ms) {
		redis_arg_str(command, run->owner->names->owner);
		redis_arg_str(command, "NX");
		redis_arg_str(command, "PX");
		redis_arg_int(command, for_ms);
	}
	send_call(c);
}

static void claimed(struct redis_call *call, const redisReply *reply)
{
	struct query_call *c = container_of(call, struct query_call, call);

	if (!reply || reply->type == REDIS_REPLY_ERROR)
		c->run->error = error_of(reply);
	else if (reply->type == REDIS_REPLY_NIL)
		c->run->error = -EBUSY;
	else if (c->run->claim_over)
		send_claim_command(c->run, "DEL", c->run->claim_over, 0, redis_is_int, stored);
	call_ended(c);
}

static void send_claim(struct query_run *run, const struct lock_query *q)
{
	run->claim_over = q->claim_over ? xstrdup(q->claim_over) : NULL;
	send_claim_command(run, "SET", q->claim, q->claim_ms, redis_is_set, claimed);
}

/* --- orders ------------------------------------------------------------------------------ */

static void ordered(struct redis_call *call, const redisReply *reply)
{
	struct query_call *c = container_of(call, struct query_call, call);
	struct redis_queries *a = c->run->owner;
	struct script_answer answer;

	if (script_answer_read(reply, &answer)) {
		if (span_eq(answer.what, SPAN("unknown")))
			c->run->error = -ENOENT;
		else if (span_eq(answer.what, SPAN("busy")))
			c->run->error = -EBUSY;
		a->fn(a->arg, &answer);
	} else {
		c->run->error = error_of(reply);
	}
	call_ended(c);
}

static void send_order(struct query_run *run, enum script script, const struct lock_query *q)
{
	struct query_call *c = new_account_call(run, script, q->account, ordered);

	if (q->verb == LOCK_PAUSE || q->verb == LOCK_RESUME)
		redis_arg_int(&c->call.command, q->verb == LOCK_PAUSE);
	if (q->verb == LOCK_REMOVE || q->verb == LOCK_FORCE)
		redis_arg_str(&c->call.command, q->ticket ? q->ticket : "");
	if (q->verb == LOCK_RELEASE)
		redis_arg_int(&c->call.command, UINT32_MAX); /* of all families */
	if (q->verb == LOCK_PAUSE)
		redis_presence_show(run->owner->presence, q->account); /* so that it is listed */
	send_call(c);
}

/* --- settings ---------------------------------------------------------------------------- */

static void pulse(void *arg);

static void send_settings(struct query_run *run, const struct lock_query *q, bool deleted)
{
	CLEANUP(freep) char *key = xasprintf("%s_config", run->owner->names->prefix);
	struct query_call *c = new_command(run, redis_is_int, stored);
	size_t n = 0;

	redis_arg_str(&c->call.command, deleted ? "HDEL" : "HSET");
	redis_arg_key(&c->call.command, key);
	for (size_t i = 0; i < q->setting_count; i++) {
		if (deleted != !q->settings[i].value)
			continue;
		n++;
		redis_arg_str(&c->call.command, q->settings[i].name);
		if (!deleted)
			redis_arg_str(&c->call.command, q->settings[i].value);
	}
	if (n)
		send_call(c);
	else
		redis_call_free(&c->call);
}

static void pulse_answered(struct redis_call *call, const redisReply *reply)
{
	struct query_call *c = container_of(call, struct query_call, call);
	struct redis_queries *a = c->run->owner;
	CLEANUP(freep) struct runtime_setting *all = NULL;
	size_t n = 0;

	a->pulsing = false;
	if (reply && reply->type == REDIS_REPLY_ARRAY) {
		a->round_trip_us = clock_us() - a->pulsed_us;
		histogram_add(&a->round_trips, a->round_trip_us);
		all = xcalloc(reply->elements / 2 + 1, sizeof *all);
		for (size_t i = 0; i + 1 < reply->elements; i += 2)
			all[n++] =
				(struct runtime_setting){ redis_text(reply->element[i]).ptr,
							  redis_text(reply->element[i + 1]).ptr };
		settings_replace(&a->settings, all, n);
	}
	if (reply)
		timer_start(a->pulse, PULSE_EVERY_MS);
	call_ended(c);
}

static struct query_run *new_run(struct redis_queries *a, struct lock_query *q)
{
	struct query_run *run = xcalloc(1, sizeof *run);

	run->owner = a;
	run->reply = query_reply_new(q);
	list_append(&a->runs, &run->link);
	return run;
}

static void run_drop(struct query_run *run)
{
	query_reply_free(run->reply);
	run_free(run);
}

static void pulse(void *arg)
{
	struct redis_queries *a = arg;
	CLEANUP(freep) char *key = xasprintf("%s_config", a->names->prefix);
	struct query_run *run;
	struct query_call *c;

	if (a->pulsing)
		return;
	run = new_run(a, NULL);
	c = new_command(run, redis_is_texts, pulse_answered);
	redis_arg_str(&c->call.command, "HGETALL");
	redis_arg_key(&c->call.command, key);
	a->pulsed_us = clock_us();
	send_call(c);
	a->pulsing = run->open;
	if (!run->open)
		run_drop(run);
}

/* --- the interface ----------------------------------------------------------------------- */

static void send_all(struct query_run *run, const struct lock_query *q)
{
	switch (q->verb) {
	case LOCK_LIST:
		send_list(run);
		break;
	case LOCK_LOOK:
		query_reply_view(run->reply, q->account);
		send_look(run, 0, true);
		break;
	case LOCK_FORCE:
		send_order(run, SCRIPT_FORCE, q);
		break;
	case LOCK_PAUSE:
	case LOCK_RESUME:
		send_order(run, SCRIPT_PAUSE, q);
		break;
	case LOCK_RELEASE:
		send_order(run, SCRIPT_RELEASE, q);
		break;
	case LOCK_REMOVE:
		send_order(run, SCRIPT_REMOVE, q);
		break;
	case LOCK_SETTINGS:
		send_settings(run, q, false);
		send_settings(run, q, true);
		timer_start(run->owner->pulse, 0); /* sent behind them, so it sees them */
		break;
	case LOCK_SURVEY:
		if (run->owner->names->cluster)
			send_survey_of_cluster(run);
		else
			send_survey(run, q);
		break;
	case LOCK_CLAIM:
		send_claim(run, q);
		break;
	case LOCK_BEACON:
		if (!run->owner->names->cluster && strlen(q->beacon) <= LOCK_BEACON_MAX)
			send_beacon(run, q);
		break;
	}
}

void redis_queries_ask(struct redis_queries *a, struct lock_query *q)
{
	struct query_run *run = new_run(a, q);

	q->entry = run->reply;
	run->offset = q->offset;
	run->limit = MIN(q->limit, LOCK_LIST_MAX);
	if (redis_nodes_any_up(a->caller->nodes))
		send_all(run, q);
	else
		run->error = -ENOTCONN;
	if (run->open)
		return;
	leave_out_failed(run);
	query_reply_send(run->reply, a->loop, run->error);
	run_free(run);
}

void redis_queries_cancel(struct lock_query *q)
{
	struct query_reply *r = q->entry;

	if (r->job.run) { /* on its way: there is no query_run any more */
		query_reply_free(r);
		return;
	}
	r->q = NULL;
	q->entry = NULL;
}

void redis_queries_link_up(struct redis_queries *a)
{
	pulse(a);
}

void redis_queries_link_down(struct redis_queries *a)
{
	a->round_trip_us = -1;
	timer_stop(a->pulse);
}

void redis_queries_open(struct redis_queries *a)
{
	list_init(&a->runs);
	a->round_trip_us = -1;
	a->round_trips.scale = &histogram_quick;
	a->pulse = timer_new(a->loop, pulse, a);
}

void redis_queries_close(struct redis_queries *a)
{
	struct query_run *run;

	timer_clear(&a->pulse);
	settings_clear(&a->settings);
	while ((run = list_first(&a->runs, struct query_run, link)))
		run_drop(run);
}
