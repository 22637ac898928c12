/*
 * sweep.c - start-up and periodic cleaning.
 *
 *      index ──> accounts ──visit──> orphans released; at start-up: whose left-overs are there?
 *                                      │
 *      left-overs (account, owner) <───┘
 *          └─ live key gone? ──> visit again, with the owner named: released
 *                 └─ still there: asked once more when it would have expired
 *
 * One run at a time; at most BATCH calls are open and PAGE names are read at a time, so that a
 * large index delays nobody. It is read from its end, where those listed last are: so what is listed
 * anew or dropped meanwhile makes it read some names twice, but pass over none but those just
 * listed. What can't be asked, as its link is down, is left out; a run at start-up is then begun
 * again when a link is back.
 */
#include "queue/redis/sweep.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/accounts.h"
#include "queue/lock.h"
#include "queue/redis/keeper.h"

enum { BATCH = 64, PAGE = 500 };

enum run { IDLE, STARTUP, PERIODIC };

/* An account, or an owner's left-overs in one. */
struct target {
	char account[LOCK_ACCOUNT_MAX];
	char owner[LOCK_TICKET_MAX]; /* empty: a first visit */
};

struct stop {
	struct list link;
	struct target target;
};

struct visit {
	struct redis_call call;
	struct sweep *sweep;
	struct target target;
};

struct sweep {
	struct loop *loop;
	const struct config *config;
	const struct redis_names *names;
	struct redis_caller *caller;
	sweep_fn fn;
	void *arg;
	struct timer *period, *recheck;
	enum run run;
	bool startup_done, second_round, incomplete;
	bool again;        /* more can be asked than when this run began */
	struct list stops; /* to go to */
	int64_t unread;    /* how many names of the index come before those that were read */
	struct list alive; /* left-overs of an owner that seemed to live */
	int open;
	int64_t orphans, released;
};

static void pump(struct sweep *s);
static void read_page(struct sweep *s);
static void begin(struct sweep *s, enum run run);

static void add_stop(struct list *to, const char *account, const char *owner)
{
	struct stop *stop = xcalloc(1, sizeof *stop);

	snprintf(stop->target.account, sizeof stop->target.account, "%s", account);
	snprintf(stop->target.owner, sizeof stop->target.owner, "%s", owner);
	list_append(to, &stop->link);
}

static void free_stops(struct list *stops)
{
	struct stop *stop;

	while ((stop = list_first(stops, struct stop, link))) {
		list_remove(&stop->link);
		free(stop);
	}
}

static void end_run(struct sweep *s)
{
	if (s->orphans)
		log_warn("released locks that had no lease", LOG_INT("locks", s->orphans));
	if (s->released)
		log_info("released what earlier runs left", LOG_INT("tickets", s->released));
	s->startup_done |= s->run == STARTUP && !s->incomplete;
	s->run = IDLE;
	s->orphans = s->released = s->unread = 0;
	s->second_round = s->incomplete = false;
	free_stops(&s->stops);
	free_stops(&s->alive);
	timer_stop(s->recheck);
	if (s->again && !s->startup_done)
		begin(s, STARTUP);
}

/* --- calls ------------------------------------------------------------------------------- */

static struct visit *new_visit(struct sweep *s, enum script script, const struct target *target,
			       void (*done)(struct redis_call *, const redisReply *))
{
	struct visit *v = xcalloc(1, sizeof *v);

	v->sweep = s;
	v->target = *target;
	v->call.script = script_get(script);
	v->call.form = script_form(script);
	v->call.done = done;
	return v;
}

static void send_visit(struct visit *v)
{
	struct sweep *s = v->sweep;

	if (redis_call_send(s->caller, &v->call) < 0) {
		redis_call_free(&v->call);
		s->incomplete = true;
		return;
	}
	s->open++;
}

/* Takes the call apart; NULL if there is no answer, as its link went down. */
static struct sweep *arrived(struct redis_call *call, const redisReply *reply,
			     struct target *ret_target)
{
	struct visit *v = container_of(call, struct visit, call);
	struct sweep *s = v->sweep;

	*ret_target = v->target;
	redis_call_free(call);
	s->open--;
	if (reply)
		return s;
	s->incomplete = true;
	pump(s);
	return NULL;
}

static void unindexed(struct redis_call *call, const redisReply *reply)
{
	struct target target;
	struct sweep *s = arrived(call, reply, &target);

	if (s)
		pump(s);
}

static void unindex(struct sweep *s, const struct target *target)
{
	struct visit *v = new_visit(s, SCRIPT_UNINDEX, target, unindexed);
	CLEANUP(freep) char *index = xasprintf("%s_index", s->names->prefix);

	redis_arg_int(&v->call.command, 1);
	redis_arg_key(&v->call.command, index);
	redis_arg_str(&v->call.command, target->account);
	send_visit(v);
}

static void swept(struct redis_call *call, const redisReply *reply)
{
	struct script_answer a;
	struct target target;
	struct sweep *s = arrived(call, reply, &target);

	if (!s)
		return;
	if (script_answer_read(reply, &a)) {
		s->orphans += a.more[0]->integer;
		s->released += a.more[1]->integer;
		for (size_t i = 3; i < a.more_count; i++)
			add_stop(&s->stops, target.account, a.more[i]->str);
		s->fn(s->arg, target.account, &a);
		if (a.number && s->run == PERIODIC)
			unindex(s, &target);
	}
	pump(s);
}

/* Whose tickets are looked for on a first visit: see sweep.lua. */
static const char *whose(const struct sweep *s)
{
	if (s->run != STARTUP)
		return "";
	return s->config->queue.startup_cleanup == STARTUP_CLEANUP_ALL ? "*"
								       : s->config->redis.instance;
}

/* Visits an account; releases what target->owner has there, if one is named. */
static void sweep_account(struct sweep *s, const struct target *target)
{
	struct visit *v = new_visit(s, SCRIPT_SWEEP, target, swept);

	script_account(&v->call.command, s->names, target->account);
	redis_arg_str(&v->call.command, *target->owner ? "" : whose(s));
	if (*target->owner)
		redis_arg_str(&v->call.command, target->owner);
	send_visit(v);
}

static void live_key_looked_up(struct redis_call *call, const redisReply *reply)
{
	struct target target;
	struct sweep *s = arrived(call, reply, &target);

	if (!s)
		return;
	if (reply->type == REDIS_REPLY_INTEGER && !reply->integer)
		sweep_account(s, &target);
	else if (reply->type == REDIS_REPLY_INTEGER && !s->second_round)
		add_stop(&s->alive, target.account, target.owner);
	pump(s);
}

static void look_up_live_key(struct sweep *s, const struct target *target)
{
	struct visit *v = new_visit(s, SCRIPT_NONE, target, live_key_looked_up);
	CLEANUP(freep) char *key = xasprintf("%s_live:%s", s->names->prefix, target->owner);

	v->call.form = redis_is_int;
	redis_arg_str(&v->call.command, "EXISTS");
	redis_arg_key(&v->call.command, key);
	send_visit(v);
}

/* Goes on while there is where to go. */
static void pump(struct sweep *s)
{
	struct stop *stop;

	while (s->run != IDLE && s->open < BATCH &&
	       (stop = list_first(&s->stops, struct stop, link))) {
		struct target target = stop->target;

		list_remove(&stop->link);
		free(stop);
		if (*target.owner)
			look_up_live_key(s, &target);
		else
			sweep_account(s, &target);
	}
	while (s->run != IDLE && !s->open && s->unread)
		read_page(s);
	if (s->run == IDLE || s->open)
		return;
	if (list_empty(&s->alive))
		end_run(s);
	else
		timer_start(s->recheck, KEEPER_LIVE_MS + 50);
}

static void second_round(void *arg)
{
	struct sweep *s = arg;
	struct stop *stop;

	s->second_round = true;
	while ((stop = list_first(&s->alive, struct stop, link))) {
		list_remove(&stop->link);
		list_append(&s->stops, &stop->link);
	}
	pump(s);
}

/* --- runs -------------------------------------------------------------------------------- */

static struct visit *new_look(struct sweep *s, const char *verb, redis_form_fn form,
			      void (*done)(struct redis_call *, const redisReply *))
{
	struct visit *v = new_visit(s, SCRIPT_NONE, &(struct target){ 0 }, done);
	CLEANUP(freep) char *index = xasprintf("%s_index", s->names->prefix);

	v->call.form = form;
	redis_arg_str(&v->call.command, verb);
	redis_arg_key(&v->call.command, index);
	return v;
}

static void page_read(struct redis_call *call, const redisReply *reply)
{
	struct target target;
	struct sweep *s = arrived(call, reply, &target);

	if (!s)
		return;
	for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
		const redisReply *name = reply->element[i];

		if (name->len < LOCK_ACCOUNT_MAX)
			add_stop(&s->stops, name->str, "");
	}
	pump(s);
}

static void read_page(struct sweep *s)
{
	struct visit *v = new_look(s, "ZRANGE", redis_is_texts, page_read);
	int64_t end = s->unread;

	s->unread = MAX(end - PAGE, 0);
	redis_arg_int(&v->call.command, s->unread);
	redis_arg_int(&v->call.command, end - 1);
	send_visit(v);
}

static void index_counted(struct redis_call *call, const redisReply *reply)
{
	struct target target;
	struct sweep *s = arrived(call, reply, &target);

	if (!s)
		return;
	if (reply->type == REDIS_REPLY_INTEGER)
		s->unread = reply->integer;
	pump(s);
}

static void begin(struct sweep *s, enum run run)
{
	s->run = run;
	s->again = false;
	send_visit(new_look(s, "ZCARD", redis_is_int, index_counted));
	pump(s);
}

static void period_over(void *arg)
{
	struct sweep *s = arg;

	timer_start(s->period, s->config->queue.cleanup_interval_ms);
	if (s->run == IDLE && !s->open && config_queue_mode(s->config) != QUEUE_MODE_OFF)
		begin(s, PERIODIC);
}

void sweep_link_up(struct sweep *s)
{
	if (s->startup_done || s->config->queue.startup_cleanup == STARTUP_CLEANUP_OFF)
		return;
	if (s->run == IDLE)
		begin(s, STARTUP);
	else
		s->again = true;
}

struct sweep *sweep_new(struct loop *loop, const struct config *config,
			const struct redis_names *names, struct redis_caller *caller, sweep_fn fn,
			void *arg)
{
	struct sweep *s = xcalloc(1, sizeof *s);

	s->loop = loop;
	s->config = config;
	s->names = names;
	s->caller = caller;
	s->fn = fn;
	s->arg = arg;
	list_init(&s->stops);
	list_init(&s->alive);
	s->recheck = timer_new(loop, second_round, s);
	s->period = timer_new(loop, period_over, s);
	timer_start(s->period, config->queue.cleanup_interval_ms);
	return s;
}

void sweep_free(struct sweep *s)
{
	if (!s)
		return;
	free_stops(&s->stops);
	free_stops(&s->alive);
	timer_clear(&s->recheck);
	timer_clear(&s->period);
	free(s);
}
