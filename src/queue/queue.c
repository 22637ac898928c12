/*
 * queue.c - whose turn is it? Policy only: timeouts, pacing, failures of the backend.
 *
 * One struct queue_place per gated exchange. Its state is what the last event of the backend or
 * its timer made it; the one who owns the place hears of it by a job, never in the middle of
 * somebody else's give-back.
 *
 *      joined ─────────────────────────────── deadline (terms.timeout_ms)
 *              GRANTED ── delay left ── go
 *
 * There is one timer a place: while it waits, for the deadline; while it paces, for what comes
 * first. So a waiter whose delay would end after its deadline ends at its deadline.
 *
 * With queue.on_backend_error = local, a place that the shared backend fails is entered in the
 * memory backend of this process instead, so that at least its own requests stay in line.
 */
#include "queue/queue.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "queue/pace.h"

enum { RETRY_AFTER_MIN_S = 1, RETRY_AFTER_MAX_S = 60 };

struct queue {
	struct loop *loop;
	const struct config *config;
	struct lock_backend *backend; /* by redis.url */
	struct lock_backend *local;   /* for on_backend_error = local; NULL while not needed */
	struct list places;           /* of struct queue_place, those that have joined */
	struct pace *pace;
};

static void tell_owner(struct job *job)
{
	struct queue_place *p = container_of(job, struct queue_place, tell);

	p->changed(p->x);
}

static void move(struct queue_place *p, enum place_state state)
{
	p->state = state;
	loop_defer(p->queue->loop, &p->tell);
}

static bool is_kept(const struct queue_place *p, enum lock_end end)
{
	return end == LOCK_KEEP && p->ticket.standing.keep_key[0] &&
	       p->ticket.terms.keep_place_ms > 0;
}

/* Out of the backend; what is left of the place is what its owner reads. */
static void give_back(struct queue_place *p, enum lock_end end)
{
	struct lock_backend *backend = steal(&p->backend);

	if (backend) {
		p->before = lock_position(backend, &p->ticket);
		p->kept = is_kept(p, end);
		lock_give_back(backend, &p->ticket, end);
	}
	timer_clear(&p->timer);
}

static int64_t left_ms(const struct queue_place *p)
{
	return p->joined_ms + p->terms.timeout_ms - clock_ms();
}

/* A process that was stopped during the delay may have lost its turn: LOCK_LOST comes instead. */
static void start_turn(struct queue_place *p)
{
	if (!lock_holds(p->backend, &p->ticket))
		return;
	timer_clear(&p->timer);
	p->turn_ms = clock_ms();
	pace_began(p->queue->pace, p->ticket.account, p->turn_ms);
	move(p, PLACE_TURN);
}

/* However long a lost one goes on: it is no account's turn any more. */
static void end_turn(struct queue_place *p, bool used)
{
	pace_ended(p->queue->pace, p->ticket.account, p->turn_ms, clock_ms(), used);
}

static void on_timer(void *arg)
{
	struct queue_place *p = arg;

	if (left_ms(p) <= 0) {
		give_back(p, LOCK_KEEP);
		move(p, PLACE_TIMED_OUT);
	} else if (p->state == PLACE_PACING) {
		start_turn(p); /* the delay is over */
	} else {
		timer_start(p->timer, left_ms(p));
	}
}

static void on_granted(struct queue_place *p, int64_t delay_ms)
{
	if (delay_ms <= 0) {
		start_turn(p);
		return;
	}
	move(p, PLACE_PACING);
	timer_start(p->timer, MIN(delay_ms, left_ms(p)));
}

static void enter(struct queue_place *p, struct lock_backend *backend);

static struct lock_backend *local_backend(struct queue *q)
{
	if (!q->local)
		q->local = lock_memory_new(q->loop, "local");
	return q->local;
}

static void on_failed(struct queue_place *p)
{
	enum on_backend_error policy = p->queue->config->queue.on_backend_error;

	if (policy == ON_BACKEND_ERROR_LOCAL && p->backend != p->queue->local) {
		lock_give_back(steal(&p->backend), &p->ticket, LOCK_UNUSED);
		enter(p, local_backend(p->queue));
		return;
	}
	give_back(p, LOCK_KEEP);
	move(p, policy == ON_BACKEND_ERROR_FORWARD ? PLACE_PASS : PLACE_FAILED);
}

/* Before its owner was told of the turn nothing is lost: it joins again, with its old rank. */
static void on_lost(struct queue_place *p, const char *cause)
{
	struct lock_backend *backend = p->backend;
	bool used = p->state == PLACE_TURN && list_empty(&p->tell.link);

	log_warn(used ? "a turn was lost" : "a turn was lost before it was used: joining again",
		 LOG_STR("account", p->ticket.account), LOG_STR("ticket", p->ticket.id),
		 LOG_STR("cause", cause ? cause : "an operator ended it, or its time was over"));
	if (p->state == PLACE_TURN)
		end_turn(p, false);
	if (used) {
		alert(ALERT_TURN_LOST, p->ticket.account, 0);
		give_back(p, LOCK_UNUSED);
		move(p, PLACE_LOST);
		return;
	}
	lock_give_back(steal(&p->backend), &p->ticket, LOCK_KEEP);
	move(p, PLACE_WAITING);
	if (!p->timer)
		p->timer = timer_new(p->queue->loop, on_timer, p);
	timer_start(p->timer, left_ms(p));
	enter(p, backend);
}

/* Whoever would wait in vain hears at once what the upstream said. */
static void on_held(struct queue_place *p, const struct lock_news *news)
{
	if (news->held_ms <= left_ms(p))
		return;
	p->held_until_ms = clock_ms() + news->held_ms;
	p->refusal = news->refusal[0] ? xstrdup(news->refusal) : NULL;
	give_back(p, LOCK_UNUSED);
	move(p, PLACE_HELD);
}

static void on_lock_event(struct lock_ticket *ticket, const struct lock_news *news)
{
	struct queue_place *p = container_of(ticket, struct queue_place, ticket);

	switch (news->event) {
	case LOCK_WAITING:
		p->position = news->position;
		p->rank = news->rank;
		alert(ALERT_LINE_LONG, ticket->account, news->position);
		break;
	case LOCK_GRANTED:
		p->probe = news->probe;
		on_granted(p, news->delay_ms);
		break;
	case LOCK_FULL:
		p->position = 0; /* of a place that was lost */
		p->full = true;
		give_back(p, LOCK_UNUSED);
		move(p, PLACE_FULL);
		break;
	case LOCK_LOST:
		on_lost(p, news->cause);
		break;
	case LOCK_REMOVED:
		give_back(p, LOCK_UNUSED);
		move(p, PLACE_REMOVED);
		break;
	case LOCK_HELD:
		on_held(p, news);
		break;
	case LOCK_FAILED:
		on_failed(p);
		break;
	}
}

static void enter(struct queue_place *p, struct lock_backend *backend)
{
	const struct config *c = p->queue->config;
	struct lock_ticket t = {
		.standing = p->standing,
		.terms = { .delay_ms = p->terms.delay_ms,
			   .ttl_ms = c->queue.lock_ttl_ms,
			   .max_hold_ms = c->queue.max_hold_ms,
			   .max_waiting = p->terms.max_waiting,
			   .turns = p->terms.turns,
			   .interval_ms = p->terms.interval_ms,
			   .max_waiting_per_share = p->terms.max_waiting_per_share,
			   .yield_rounds = c->queue.yield_rounds,
			   .keep_place_ms = c->queue.keep_place_ms,
			   .order = c->queue.order },
		.on_event = on_lock_event,
	};

	memcpy(t.account, p->ticket.account, sizeof t.account);
	snprintf(t.client, sizeof t.client, "%s", p->client ? p->client : "");
	p->ticket = t;
	p->backend = backend;
	lock_enter(backend, &p->ticket);
}

void queue_join(struct queue *q, struct queue_place *p, const char *account,
		const struct account_terms *terms)
{
	must(p->state == PLACE_NONE && strlen(account) < LOCK_ACCOUNT_MAX);
	strcpy(p->ticket.account, account);
	p->terms = *terms;
	p->queue = q;
	p->state = PLACE_WAITING;
	p->tell.run = tell_owner;
	p->joined_ms = clock_ms();
	list_append(&q->places, &p->link);
	p->timer = timer_new(q->loop, on_timer, p);
	timer_start(p->timer, terms->timeout_ms);
	enter(p, q->backend);
}

void queue_leave(struct queue_place *p, enum lock_end end)
{
	bool had_turn = p->state == PLACE_TURN;

	if (p->state == PLACE_NONE)
		return;
	p->state = PLACE_NONE;
	job_cancel(&p->tell);
	list_remove(&p->link);
	give_back(p, end);
	free(steal(&p->refusal));
	if (had_turn)
		end_turn(p, end == LOCK_USED);
}

void queue_hold(struct queue_place *p, const struct lock_limit *limit)
{
	if (!p->backend)
		return;
	p->probe = true;
	lock_hold(p->backend, p->ticket.account, limit);
}

bool queue_holds(const struct queue_place *p)
{
	return p->state == PLACE_TURN && lock_holds(p->backend, (struct lock_ticket *)&p->ticket);
}

void queue_release(struct queue_place *p)
{
	if (!p->backend || !p->probe)
		return;
	lock_release(p->backend, p->ticket.account, p->standing.families);
	alert(ALERT_FREED, p->ticket.account, 0);
}

static void retune(struct queue_place *p)
{
	struct account_terms now;

	account_terms_of(p->queue->config, p->configured_as ? p->configured_as : p->ticket.account,
			 &now);
	if (now.turns == p->terms.turns && now.interval_ms == p->terms.interval_ms)
		return;
	p->terms.turns = p->ticket.terms.turns = now.turns;
	p->terms.interval_ms = p->ticket.terms.interval_ms = now.interval_ms;
	lock_retune(p->backend, p->ticket.account, &p->ticket.terms);
}

void queue_reconfigured(struct queue *q)
{
	struct queue_place *p;

	list_for_each (p, &q->places, link) {
		if (p->state == PLACE_WAITING)
			retune(p);
	}
}

static int64_t before(const struct queue_place *p)
{
	return p->backend ? lock_position(p->backend, &p->ticket) : p->before;
}

static int64_t estimate_ms(const struct queue_place *p, int64_t before)
{
	return pace_estimate_ms(p->queue->pace, &(struct pace_question){
							.account = p->ticket.account,
							.before = before,
							.turns = p->ticket.terms.turns,
							.delay_ms = p->terms.delay_ms,
							.interval_ms = p->terms.interval_ms,
							.now_ms = clock_ms(),
						});
}

int64_t queue_estimate_ms(const struct queue_place *p)
{
	return p->joined_ms && before(p) ? estimate_ms(p, before(p)) : 0;
}

int64_t queue_turn_ms(const struct queue *q, const char *account)
{
	return pace_turn_ms(q->pace, account);
}

int64_t queue_running_ms(const struct queue_place *p)
{
	int64_t since_ms = p->queue ? pace_running_since_ms(p->queue->pace, p->ticket.account) : 0;

	return since_ms ? clock_ms() - since_ms : -1;
}

int queue_retry_after_s(const struct queue *q, const struct queue_place *p)
{
	int64_t ms;

	if (!p || !p->joined_ms)
		ms = pace_turn_ms(q->pace, "") + q->config->queue.delay_ms;
	else if (p->kept)
		return RETRY_AFTER_MIN_S;
	else if (p->full)
		ms = estimate_ms(p, 1); /* whoever is next makes room */
	else
		ms = queue_estimate_ms(p);
	return (int)MAX(RETRY_AFTER_MIN_S, MIN(RETRY_AFTER_MAX_S, (ms + 999) / 1000));
}

void queue_stats(const struct queue *q, struct lock_stats *ret)
{
	q->backend->ops->stats(q->backend, ret);
}

void queue_watch_settings(struct queue *q, lock_settings_fn fn, void *arg)
{
	q->backend->ops->watch_settings(q->backend, fn, arg);
}

struct lock_backend *queue_backend(const struct queue *q)
{
	return q->backend;
}

const char *queue_backend_name(const struct queue *q)
{
	return q->backend->ops->name;
}

int queue_check(const struct config *config, struct buf *errors)
{
	return config->redis.url[0] ? lock_redis_check(config, errors) : 0;
}

void queue_advise(const struct config *config, struct buf *to)
{
	if (config->redis.url[0])
		lock_redis_advise(config, to);
}

int queue_new(struct loop *loop, const struct config *config, struct buf *errors,
	      struct queue **ret)
{
	CLEANUP(freep) struct queue *q = xcalloc(1, sizeof *q);
	int r;

	q->loop = loop;
	q->config = config;
	q->pace = pace_new();
	list_init(&q->places);
	if (config->redis.url[0]) {
		r = lock_redis_new(loop, config, errors, &q->backend);
		if (r < 0)
			return r;
	} else {
		q->backend = lock_memory_new(loop, config->redis.instance);
	}
	*ret = steal(&q);
	return 0;
}

void queue_stop(struct queue *q, int64_t limit_ms, void (*done)(void *arg), void *arg)
{
	q->backend->ops->stop(q->backend, limit_ms, done, arg);
}

void queue_free(struct queue *q)
{
	if (!q)
		return;
	if (q->local)
		q->local->ops->free(q->local);
	if (q->backend)
		q->backend->ops->free(q->backend);
	pace_free(q->pace);
	free(q);
}
