/*
 * redis_ask.c - questions and orders as calls of scripts.
 *
 *      question ──> inquiry ──> call, call, call ──the last one answered──> reply
 *
 * An inquiry outlives a question that is cancelled, as its calls are on their way.
 */
#include "queue/redis_ask.h"

#include <errno.h>
#include <inttypes.h>

#include "base/clock.h"
#include "queue/redis_view.h"

enum {
	PULSE_EVERY_MS = 800,
	LOOK_FAILED = -3, /* as ttl_raw_ms: less than Redis' own */
};

struct inquiry {
	struct list link;
	struct redis_ask *owner;
	struct ask_reply *reply;
	int64_t offset, limit; /* of a list */
	size_t open;           /* calls under way */
	int error;
	size_t failed;  /* looks */
	int look_error; /* of one of them */
};

struct inquiry_call {
	struct redis_call call;
	struct inquiry *in;
	size_t view; /* which view of the reply it is about */
};

/* --- inquiries --------------------------------------------------------------------------- */

/* An account's node being down doesn't take the others off the page. */
static void leave_out_failed(struct inquiry *in)
{
	struct lock_answer *a = &in->reply->answer;
	size_t kept = 0;

	if (!in->failed)
		return;
	if (in->failed == a->count || !in->owner->names->cluster) {
		in->error = in->look_error;
		return;
	}
	for (size_t i = 0; i < a->count; i++) {
		if (a->views[i].ttl_raw_ms != LOOK_FAILED)
			a->views[kept++] = a->views[i];
	}
	a->count = kept;
}

static void inquiry_end(struct inquiry *in)
{
	struct ask_reply *reply = in->reply;
	int error;

	leave_out_failed(in);
	error = in->error;

	list_remove(&in->link);
	free(in);
	ask_reply_now(reply, error);
}

static void call_ended(struct inquiry_call *c)
{
	struct inquiry *in = c->in;

	redis_call_free(&c->call);
	if (--in->open == 0)
		inquiry_end(in);
}

static struct inquiry_call *new_call(struct inquiry *in, enum redis_script script,
				     void (*done)(struct redis_call *, const redisReply *))
{
	struct inquiry_call *c = xcalloc(1, sizeof *c);

	c->in = in;
	c->call.script = script;
	c->call.done = done;
	return c;
}

static struct inquiry_call *new_account_call(struct inquiry *in, enum redis_script script,
					     const char *account,
					     void (*done)(struct redis_call *, const redisReply *))
{
	struct inquiry_call *c = new_call(in, script, done);

	redis_script_account(&c->call.command, in->owner->names, account);
	return c;
}

/* -ENOTCONN: it is freed. */
static int try_call(struct inquiry_call *c)
{
	struct inquiry *in = c->in;
	int r = redis_call_send(in->owner->caller, &c->call);

	if (r == 0)
		in->open++;
	else
		redis_call_free(&c->call);
	return r;
}

static void send_call(struct inquiry_call *c)
{
	struct inquiry *in = c->in;
	int r = try_call(c);

	if (r < 0)
		in->error = r;
}

static int error_of(const redisReply *reply)
{
	return reply ? -EIO : -ENOTCONN;
}

/* --- looking at accounts ----------------------------------------------------------------- */

static void look_failed(struct inquiry *in, size_t view, int error)
{
	in->reply->answer.views[view].ttl_raw_ms = LOOK_FAILED;
	in->failed++;
	in->look_error = error;
}

static void looked(struct redis_call *call, const redisReply *reply)
{
	struct inquiry_call *c = container_of(call, struct inquiry_call, call);

	if (!redis_view_read(reply, &c->in->reply->answer.views[c->view]))
		look_failed(c->in, c->view, error_of(reply));
	call_ended(c);
}

static void send_look(struct inquiry *in, size_t view, bool whole)
{
	const char *account = in->reply->answer.views[view].account;
	struct inquiry_call *c = new_account_call(in, SCRIPT_LOOK, account, looked);
	int r;

	c->view = view;
	redis_arg_int(&c->call.command, whole ? LOCK_WAITERS_MAX : 1);
	redis_arg_int(&c->call.command, whole ? LOCK_SAMPLES_MAX : 0);
	r = try_call(c);
	if (r < 0)
		look_failed(in, view, r);
}

/* --- the list ---------------------------------------------------------------------------- */

static bool is_watched(const struct inquiry *in, size_t view)
{
	const struct ask_reply *r = in->reply;

	return r->q && ask_is_watched(r->q, span_of(r->answer.views[view].account));
}

static bool has_view(const struct ask_reply *r, const char *account)
{
	for (size_t i = 0; i < r->answer.count; i++) {
		if (!strcmp(r->answer.views[i].account, account))
			return true;
	}
	return false;
}

/* Those that are watched are part of a survey wherever they are in the index, or not. */
static void add_watched(struct ask_reply *r)
{
	for (size_t i = 0; r->q && i < r->q->watched_count; i++) {
		if (!has_view(r, r->q->watched[i]))
			ask_reply_view(r, r->q->watched[i]);
	}
}

/* One name more than the page has says that there is a next one. */
static void read_page(struct inquiry *in, const redisReply *names)
{
	size_t count = MIN(names->elements, (size_t)in->limit);

	for (size_t i = 0; i < count; i++) {
		CLEANUP(freep)
		char *name = xasprintf("%.*s", SPAN_ARG(redis_text(names->element[i])));

		ask_reply_view(in->reply, name);
	}
	if (names->elements > count)
		in->reply->answer.next = in->offset + in->limit;
	add_watched(in->reply);
	for (size_t i = 0; i < in->reply->answer.count; i++)
		send_look(in, i, is_watched(in, i));
}

static void index_read(struct redis_call *call, const redisReply *reply)
{
	struct inquiry_call *c = container_of(call, struct inquiry_call, call);

	if (reply && reply->type == REDIS_REPLY_ARRAY)
		read_page(c->in, reply);
	else
		c->in->error = error_of(reply);
	call_ended(c);
}

static void send_list(struct inquiry *in)
{
	struct inquiry_call *c = new_call(in, SCRIPT_COUNT, index_read);
	CLEANUP(freep) char *index = xasprintf("%s_index", in->owner->names->prefix);

	redis_arg_str(&c->call.command, "ZREVRANGE");
	redis_arg_key(&c->call.command, index);
	redis_arg_int(&c->call.command, in->offset);
	redis_arg_int(&c->call.command, in->offset + in->limit);
	send_call(c);
}

/* --- the survey -------------------------------------------------------------------------- */

static void surveyed(struct redis_call *call, const redisReply *reply)
{
	struct inquiry_call *c = container_of(call, struct inquiry_call, call);

	if (!redis_survey_read(reply, c->in->reply))
		c->in->error = error_of(reply);
	call_ended(c);
}

static void add_key(struct inquiry_call *c, const char *kind, const char *name)
{
	CLEANUP(freep) char *key = xasprintf("%s_%s%s", c->in->owner->names->prefix, kind, name);

	redis_arg_str(&c->call.command, key);
}

static void send_survey(struct inquiry *in, const struct lock_question *q)
{
	struct inquiry_call *c = new_call(in, SCRIPT_SURVEY, surveyed);
	struct redis_command *command = &c->call.command;

	redis_arg_int(command, 2);
	add_key(c, "index", "");
	add_key(c, "notes", "");
	redis_arg_str(command, in->owner->names->prefix);
	redis_arg_int(command, LOCK_SURVEY_MAX);
	redis_arg_int(command, LOCK_WAITERS_MAX);
	redis_arg_int(command, LOCK_SAMPLES_MAX);
	for (size_t i = 0; i < q->watched_count; i++)
		redis_arg_str(command, q->watched[i]);
	send_call(c);
}

static void counted(struct redis_call *call, const redisReply *reply)
{
	struct inquiry_call *c = container_of(call, struct inquiry_call, call);

	if (reply && reply->type == REDIS_REPLY_INTEGER)
		c->in->reply->answer.known = reply->integer;
	else
		c->in->error = error_of(reply);
	call_ended(c);
}

static void send_count(struct inquiry *in)
{
	struct inquiry_call *c = new_call(in, SCRIPT_COUNT, counted);
	CLEANUP(freep) char *index = xasprintf("%s_index", in->owner->names->prefix);

	redis_arg_str(&c->call.command, "ZCARD");
	redis_arg_key(&c->call.command, index);
	send_call(c);
}

/* A cluster's accounts are in several places: a question each, and no notes. */
static void send_survey_of_cluster(struct inquiry *in)
{
	in->offset = 0;
	in->limit = LOCK_LIST_MAX;
	send_count(in);
	send_list(in);
}

static void stored(struct redis_call *call, const redisReply *reply)
{
	struct inquiry_call *c = container_of(call, struct inquiry_call, call);

	if (!reply || reply->type == REDIS_REPLY_ERROR)
		c->in->error = error_of(reply);
	call_ended(c);
}

static void send_note(struct inquiry *in, const struct lock_question *q)
{
	struct inquiry_call *c = new_call(in, SCRIPT_NOTE, stored);
	CLEANUP(freep) char *name = xasprintf(":%s", in->owner->names->owner);

	redis_arg_int(&c->call.command, 2);
	add_key(c, "notes", "");
	add_key(c, "note", name);
	redis_arg_str(&c->call.command, in->owner->names->owner);
	redis_arg_str(&c->call.command, q->note);
	redis_arg_int(&c->call.command, LOCK_NOTE_MS);
	send_call(c);
}

/* --- orders ------------------------------------------------------------------------------ */

static void ordered(struct redis_call *call, const redisReply *reply)
{
	struct inquiry_call *c = container_of(call, struct inquiry_call, call);
	struct redis_ask *a = c->in->owner;
	struct redis_answer answer;

	if (redis_answer_read(reply, &answer)) {
		if (span_eq(answer.what, SPAN("unknown")))
			c->in->error = -ENOENT;
		else if (span_eq(answer.what, SPAN("busy")))
			c->in->error = -EBUSY;
		a->fn(a->arg, &answer);
	} else {
		c->in->error = error_of(reply);
	}
	call_ended(c);
}

static void send_order(struct inquiry *in, enum redis_script script, const struct lock_question *q)
{
	struct inquiry_call *c = new_account_call(in, script, q->account, ordered);

	if (q->verb == LOCK_PAUSE || q->verb == LOCK_RESUME)
		redis_arg_int(&c->call.command, q->verb == LOCK_PAUSE);
	if (q->verb == LOCK_REMOVE)
		redis_arg_str(&c->call.command, q->ticket);
	if (q->verb == LOCK_PAUSE)
		redis_presence_note(in->owner->presence, q->account); /* so that it is listed */
	send_call(c);
}

/* --- settings ---------------------------------------------------------------------------- */

static void pulse(void *arg);

static void send_settings(struct inquiry *in, const struct lock_question *q, bool deleted)
{
	CLEANUP(freep) char *key = xasprintf("%s_config", in->owner->names->prefix);
	struct inquiry_call *c = new_call(in, SCRIPT_COUNT, stored);
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
	struct inquiry_call *c = container_of(call, struct inquiry_call, call);
	struct redis_ask *a = c->in->owner;
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

static struct inquiry *new_inquiry(struct redis_ask *a, struct lock_question *q)
{
	struct inquiry *in = xcalloc(1, sizeof *in);

	in->owner = a;
	in->reply = ask_reply_new(q);
	list_append(&a->inquiries, &in->link);
	return in;
}

static void inquiry_drop(struct inquiry *in)
{
	list_remove(&in->link);
	ask_reply_free(in->reply);
	free(in);
}

static void pulse(void *arg)
{
	struct redis_ask *a = arg;
	CLEANUP(freep) char *key = xasprintf("%s_config", a->names->prefix);
	struct inquiry *in;
	struct inquiry_call *c;

	if (a->pulsing)
		return;
	in = new_inquiry(a, NULL);
	c = new_call(in, SCRIPT_COUNT, pulse_answered);
	redis_arg_str(&c->call.command, "HGETALL");
	redis_arg_key(&c->call.command, key);
	a->pulsed_us = clock_us();
	send_call(c);
	a->pulsing = in->open;
	if (!in->open)
		inquiry_drop(in);
}

/* --- the interface ----------------------------------------------------------------------- */

static void send_all(struct inquiry *in, const struct lock_question *q)
{
	switch (q->verb) {
	case LOCK_LIST:
		send_list(in);
		break;
	case LOCK_LOOK:
		ask_reply_view(in->reply, q->account);
		send_look(in, 0, true);
		break;
	case LOCK_FORCE:
		send_order(in, SCRIPT_FORCE, q);
		break;
	case LOCK_PAUSE:
	case LOCK_RESUME:
		send_order(in, SCRIPT_PAUSE, q);
		break;
	case LOCK_REMOVE:
		send_order(in, SCRIPT_REMOVE, q);
		break;
	case LOCK_SETTINGS:
		send_settings(in, q, false);
		send_settings(in, q, true);
		timer_start(in->owner->pulse, 0); /* sent behind them, so it sees them */
		break;
	case LOCK_SURVEY:
		if (in->owner->names->cluster)
			send_survey_of_cluster(in);
		else
			send_survey(in, q);
		break;
	case LOCK_NOTE:
		if (!in->owner->names->cluster && strlen(q->note) <= LOCK_NOTE_MAX)
			send_note(in, q);
		break;
	}
}

void redis_ask_ask(struct redis_ask *a, struct lock_question *q)
{
	struct inquiry *in = new_inquiry(a, q);

	q->entry = in->reply;
	in->offset = q->offset;
	in->limit = MIN(q->limit, LOCK_LIST_MAX);
	if (redis_nodes_any_up(a->caller->nodes))
		send_all(in, q);
	else
		in->error = -ENOTCONN;
	if (in->open)
		return;
	leave_out_failed(in);
	list_remove(&in->link);
	ask_reply_send(in->reply, a->loop, in->error);
	free(in);
}

void redis_ask_cancel(struct lock_question *q)
{
	struct ask_reply *r = q->entry;

	if (r->job.run) { /* on its way: there is no inquiry any more */
		ask_reply_free(r);
		return;
	}
	r->q = NULL;
	q->entry = NULL;
}

void redis_ask_link_up(struct redis_ask *a)
{
	pulse(a);
}

void redis_ask_link_down(struct redis_ask *a)
{
	a->round_trip_us = -1;
	timer_stop(a->pulse);
}

void redis_ask_open(struct redis_ask *a)
{
	list_init(&a->inquiries);
	a->round_trip_us = -1;
	a->round_trips.scale = &histogram_quick;
	a->pulse = timer_new(a->loop, pulse, a);
}

void redis_ask_close(struct redis_ask *a)
{
	struct inquiry *in;

	timer_clear(&a->pulse);
	settings_clear(&a->settings);
	while ((in = list_first(&a->inquiries, struct inquiry, link)))
		inquiry_drop(in);
}
