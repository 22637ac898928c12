/*
 * lock_redis.c - turns of all processes that share a Redis: the connections and their ups and downs.
 *
 *      cmd link     calls of scripts          ┐
 *      sub link     messages: grants for us   ├──> redis_turns.c ──> tickets
 *      keeper       its own, in its thread    ┘
 *      sweep        over the cmd link: what crashes left
 *
 * The cmd link going down: enters without an answer fail; waiters have command_timeout_ms, from
 * the last sign of life, for it to come back. Then every waiter is touched: who has the turn learns
 * so, who has lost its place enters again. What couldn't be given back is owed and paid then, too,
 * until its lease has run out in Redis anyway.
 *
 * A server that falls silent while nothing is asked over the cmd link is noticed by the keeper,
 * which refreshes the live key four times a second; its complaint makes us probe the link.
 */
#include "queue/lock.h"

#include <errno.h>
#include <sys/random.h>

#include "base/clock.h"
#include "queue/redis_ask.h"
#include "queue/redis_turns.h"
#include "queue/sweep.h"

struct redis {
	struct lock_backend backend;
	struct loop *loop;
	const struct config *config;
	struct redis_address address;
	struct redis_tls *tls; /* NULL: without */
	struct redis_turns turns;
	struct redis_ask ask;
	struct redis_link *sub;
	struct sweep *sweep;
	struct timer *grace; /* waiters' patience while the link is down */
	int64_t answered_ms; /* the last answer before the keeper complained; 0: it hasn't */
	enum { RUNNING, STOPPING, STOPPED } state;
	struct timer *stop_limit;
	struct job stop_job;
	void (*stop_done)(void *arg);
	void *stop_arg;
};

/* --- up and down ------------------------------------------------------------------------- */

static void grace_over(void *arg)
{
	struct redis *r = arg;

	redis_turns_lose_patience(&r->turns);
}

static void cmd_up(void *arg)
{
	struct redis *r = arg;

	timer_stop(r->grace);
	r->answered_ms = 0;
	keeper_aim(r->turns.keeper, redis_link_place(r->turns.cmd.link));
	redis_turns_link_up(&r->turns);
	redis_ask_link_up(&r->ask);
	if (r->state == RUNNING)
		sweep_link_up(r->sweep);
}

/* Silence that the keeper noticed counts from the last answer, a closed connection from now. */
static void cmd_down(void *arg)
{
	struct redis *r = arg;
	int64_t now = clock_ms(), patience_ms = r->config->redis.command_timeout_ms;

	if (r->answered_ms && now - r->answered_ms < 2 * patience_ms)
		patience_ms -= now - r->answered_ms;
	timer_start(r->grace, patience_ms);
	redis_turns_link_down(&r->turns);
	redis_ask_link_down(&r->ask);
	redis_link_reset(r->sub, "the other link is down");
}

/* Messages may have been missed. */
static void sub_up(void *arg)
{
	struct redis *r = arg;

	keeper_refresh(r->turns.keeper);
}

static void sub_down(void *arg)
{
	(void)arg; /* touches tell what messages would have */
}

static void sub_message(void *arg, struct span payload)
{
	struct redis *r = arg;

	redis_turns_message(&r->turns, payload);
}

static void keeper_says(void *arg, const struct keeper_news *news)
{
	struct redis *r = arg;

	if (news->kind != KEEPER_TROUBLE) {
		redis_turns_keeper_news(&r->turns, news);
		return;
	}
	r->answered_ms = news->answered_ms;
	redis_link_probe(r->turns.cmd.link,
			 news->answered_ms + r->config->redis.command_timeout_ms - clock_ms());
}

static void swept(void *arg, const struct redis_answer *answer)
{
	struct redis *r = arg;

	redis_turns_answer(&r->turns, answer);
}

/* --- the table of lock.h ----------------------------------------------------------------- */

static void redis_enter(struct lock_backend *b, struct lock_ticket *t)
{
	struct redis *r = container_of(b, struct redis, backend);

	if (r->state == RUNNING)
		redis_turns_enter(&r->turns, t);
}

static void redis_give_back(struct lock_backend *b, struct lock_ticket *t, bool completed)
{
	struct redis *r = container_of(b, struct redis, backend);

	redis_turns_give_back(&r->turns, t, completed);
}

static bool redis_holds(struct lock_backend *b, struct lock_ticket *t)
{
	struct redis *r = container_of(b, struct redis, backend);

	return redis_turns_holds(&r->turns, t);
}

static void redis_stats(const struct lock_backend *b, struct lock_stats *ret)
{
	const struct redis *r = container_of(b, struct redis, backend);

	*ret = (struct lock_stats){
		.active_renewals = r->turns.keeper ? keeper_held(r->turns.keeper) : 0,
		.renewals = r->turns.keeper ? keeper_renewals(r->turns.keeper) : 0,
		.round_trip_us = r->ask.round_trip_us,
		.hand_offs = &r->turns.hand_offs,
		.round_trips = &r->ask.round_trips,
		.lost = r->turns.lost,
		.dropped_waiters = r->turns.dropped,
		.up = r->turns.cmd.link && redis_link_is_up(r->turns.cmd.link),
	};
}

static void redis_ask(struct lock_backend *b, struct lock_question *q)
{
	redis_ask_ask(&container_of(b, struct redis, backend)->ask, q);
}

static void redis_ask_forget(struct lock_backend *b, struct lock_question *q)
{
	(void)b;
	redis_ask_cancel(q);
}

static void redis_watch_settings(struct lock_backend *b, lock_settings_fn fn, void *arg)
{
	struct redis *r = container_of(b, struct redis, backend);

	settings_watch(&r->ask.settings, r->loop, fn, arg);
}

/* --- life -------------------------------------------------------------------------------- */

/* Everything that could still call back. */
static void shut(struct redis *r)
{
	timer_clear(&r->grace);
	timer_clear(&r->stop_limit);
	sweep_free(steal(&r->sweep));
	keeper_free(steal(&r->turns.keeper));
	redis_link_free(steal(&r->sub));
	redis_link_free(steal(&r->turns.cmd.link));
	redis_turns_close(&r->turns);
	redis_ask_close(&r->ask);
}

static void stopped(struct job *job)
{
	struct redis *r = container_of(job, struct redis, stop_job);

	if (r->state == STOPPED)
		return;
	r->state = STOPPED;
	shut(r);
	r->stop_done(r->stop_arg);
}

static void stop_limit_reached(void *arg)
{
	struct redis *r = arg;

	loop_defer(r->loop, &r->stop_job);
}

static void redis_stop(struct lock_backend *b, int64_t limit_ms, void (*done)(void *arg), void *arg)
{
	struct redis *r = container_of(b, struct redis, backend);

	must(r->state == RUNNING);
	r->state = STOPPING;
	r->stop_done = done;
	r->stop_arg = arg;
	r->stop_limit = timer_new(r->loop, stop_limit_reached, r);
	timer_start(r->stop_limit, limit_ms);
	redis_turns_settle(&r->turns, &r->stop_job);
}

static void redis_free(struct lock_backend *b)
{
	struct redis *r = container_of(b, struct redis, backend);

	shut(r);
	job_cancel(&r->stop_job);
	redis_address_clear(&r->address);
	redis_tls_free(r->tls);
	free(r);
}

static void open_sub(struct redis *r, struct redis_link_terms terms)
{
	CLEANUP(freep)
	char *channel = xasprintf("%s:%s", r->turns.names.prefix, r->turns.names.owner);

	terms.channel = channel;
	terms.on_up = sub_up;
	terms.on_down = sub_down;
	terms.on_message = sub_message;
	r->sub = redis_link_new(r->loop, &terms);
}

/* The greeting writes, so that a replica or a server that is loading is found out. */
static void open_cmd(struct redis *r, struct redis_link_terms terms)
{
	CLEANUP(redis_command_clear) struct redis_command greeting = { 0 };
	CLEANUP(buf_clear) struct buf bytes = { 0 };

	redis_presence_live_command(&r->turns.names, &greeting);
	redis_command_encode(&greeting, &bytes);
	terms.greeting = buf_span(&bytes);
	terms.on_up = cmd_up;
	terms.on_down = cmd_down;
	r->turns.cmd.link = redis_link_new(r->loop, &terms);
}

static void open_links(struct redis *r)
{
	CLEANUP(freep) char *name = xasprintf("turnstile:%s", r->turns.names.owner);
	struct redis_link_terms terms = {
		.address = &r->address,
		.tls = r->tls,
		.timeout_ms = &r->config->redis.command_timeout_ms,
		.name = name,
		.arg = r,
	};

	open_sub(r, terms);
	open_cmd(r, terms);
}

static int name_owner(const char *instance, struct buf *errors, char **ret)
{
	uint32_t boot;

	must(getrandom(&boot, sizeof boot, 0) == sizeof boot);
	/* Behind it: ".", boot, ":", UUID, NUL. */
	if (strlen(instance) + 1 + 8 + 1 + 36 + 1 > LOCK_TICKET_MAX || strchr(instance, ':')) {
		buf_printf(errors, "redis.instance: at most %d characters, no \":\"\n",
			   LOCK_TICKET_MAX - 47);
		return -EINVAL;
	}
	*ret = xasprintf("%s.%08x", instance, boot);
	return 0;
}

static const struct lock_ops redis_ops = {
	.name = "redis",
	.enter = redis_enter,
	.give_back = redis_give_back,
	.holds = redis_holds,
	.stats = redis_stats,
	.ask = redis_ask,
	.ask_cancel = redis_ask_forget,
	.watch_settings = redis_watch_settings,
	.stop = redis_stop,
	.free = redis_free,
};

int lock_redis_new(struct loop *loop, const struct config *config, struct buf *errors,
		   struct lock_backend **ret)
{
	struct redis_address address = { 0 };
	struct redis_tls *tls = NULL;
	char *owner = NULL;
	struct redis *r;

	if (redis_address_parse(config->redis.url, errors, &address) < 0)
		return -EINVAL;
	if ((address.tls && redis_tls_new(config, address.host, errors, &tls) < 0) ||
	    name_owner(config->redis.instance, errors, &owner) < 0) {
		redis_address_clear(&address);
		redis_tls_free(tls);
		return -EINVAL;
	}
	r = xcalloc(1, sizeof *r);
	r->backend.ops = &redis_ops;
	r->loop = loop;
	r->config = config;
	r->address = address;
	r->tls = tls;
	r->stop_job.run = stopped;
	r->grace = timer_new(loop, grace_over, r);
	redis_turns_open(&r->turns, loop,
			 (struct redis_names){ xstrdup(config->redis.key_prefix),
					       config->redis.cluster, owner });
	r->ask = (struct redis_ask){ .loop = loop,
				     .caller = &r->turns.cmd,
				     .names = &r->turns.names,
				     .presence = &r->turns.presence,
				     .fn = swept,
				     .arg = r };
	redis_ask_open(&r->ask);
	r->turns.keeper = keeper_new(loop, &r->address, r->tls, &r->turns.names, keeper_says, r);
	keeper_set_timeout(r->turns.keeper, config->redis.command_timeout_ms / 2);
	r->sweep = sweep_new(loop, config, &r->turns.names, &r->turns.cmd, swept, r);
	open_links(r);
	redis_turns_link_down(&r->turns);
	timer_start(r->grace, config->redis.command_timeout_ms);
	*ret = &r->backend;
	return 0;
}
