/*
 * keeper.c - the renewal thread.
 *
 * The table is shared; a round copies out what is due, talks to Redis without the mutex, and
 * reports by id. Whatever was dropped from the table meanwhile is no longer found, and ignored.
 *
 *      loop    keeper_hold/wait/drop ──> table ──due──> round: pipelined calls ──> Redis
 *      loop    fn(news) <── uv_async ── news  <──────── answers
 *
 * The thread is woken only if something is due earlier than it would wake by itself: a short turn
 * costs two visits to the table and no system call, but for one that is to be confirmed soon.
 *
 * When Redis can't be asked, each round tries again. A turn whose lease has run out by our clock
 * meanwhile (it was counted from before the renewal was sent, so it ends no later here than in
 * Redis) is reported as LOST, once.
 */
#include "queue/redis/keeper.h"

#include <pthread.h>
#include <signal.h>

#include "base/clock.h"
#include "queue/redis/keeper_mail.h"
#include "queue/redis/keeper_table.h"
#include "queue/redis/keeper_wire.h"

enum {
	RENEW_MIN_MS = 250,
	LIVE_MIN_MS = 25,
	RETRY_MS = 250,
	IO_MIN_MS = 50,
	IO_MAX_MS = 1000,
	TOUCH_MAX = 500, /* tickets in one call: Lua unpacks and Redis blocks no longer than that */
};

struct keeper {
	struct keeper_mail *mail;
	const struct redis_names *names;
	struct keeper_wire *wire;
	pthread_t thread;

	pthread_mutex_t mutex; /* guards what follows, up to the blank line */
	pthread_cond_t wake;
	struct keeper_table table;
	enum keeper_shows shows;
	int64_t renewals, wake_at_ms, timeout_ms;
	int64_t live_at_ms, answered_ms;
	bool stopping, rest_asked;

	struct list calls; /* of the round; the thread's own */
};

int64_t keeper_interval_ms(int64_t ttl_ms)
{
	return MAX(ttl_ms / 3, RENEW_MIN_MS);
}

/* --- under the mutex --------------------------------------------------------------------- */

static void wake_by(struct keeper *k, int64_t at_ms)
{
	if (at_ms < k->wake_at_ms) {
		k->wake_at_ms = at_ms;
		pthread_cond_signal(&k->wake);
	}
}

static struct keeper_kept *get(struct keeper *k, const char *account, const char *id)
{
	if (!k->table.by_id) { /* the live key is fresh: lock_redis.c sets it before it enters */
		k->answered_ms = clock_ms();
		k->live_at_ms = k->answered_ms + KEEPER_LIVE_EVERY_MS;
	}
	return keeper_table_get(&k->table, account, id);
}

static void mail(struct keeper *k, const char *id, struct keeper_news news)
{
	snprintf(news.id, sizeof news.id, "%s", id);
	keeper_mail_put(k->mail, &news);
}

/* When the thread has to do something next; INT64_MAX: only when told to. */
static int64_t next_due_ms(const struct keeper *k)
{
	int64_t due = keeper_table_due_ms(&k->table);

	return k->table.by_id || k->shows == KEEPER_SHOWS_ALWAYS ? MIN(due, k->live_at_ms) : due;
}

/* --- one round --------------------------------------------------------------------------- */

static struct keeper_call *new_call(struct keeper *k, enum script script, const char *account)
{
	struct keeper_call *c = xcalloc(1, sizeof *c);

	c->script = script;
	snprintf(c->account, sizeof c->account, "%s", account);
	script_account(&c->command, k->names, account);
	list_append(&k->calls, &c->link);
	return c;
}

static void add_turn(struct keeper_call *c, const char *id)
{
	c->turns = xrealloc(c->turns, (c->turn_count + 1) * sizeof *c->turns);
	snprintf(c->turns[c->turn_count++], sizeof *c->turns, "%s", id);
}

/* Those that aren't to run out, see collect_renewals(). */
static void add_turns(struct keeper_call *c, const struct keeper_account *a, int64_t now)
{
	CLEANUP(redis_command_clear) struct redis_command turns = { 0 };
	struct keeper_kept *e;

	list_for_each (e, &a->turns, link) {
		if (now >= e->turn.hold_until_ms)
			continue;
		add_turn(c, e->id);
		redis_arg_str(&turns, e->id);
		redis_arg_int(&turns, e->turn.ttl_ms);
	}
	redis_arg_int(&c->command, (int64_t)c->turn_count);
	redis_command_append(&c->command, &turns);
}

/* The first call has the turns. */
static void collect_touches(struct keeper *k, struct keeper_account *a, int64_t now)
{
	struct keeper_call *c = NULL;
	struct keeper_kept *e;
	int n = 0;

	list_for_each (e, &a->waiters, link) {
		if (n % TOUCH_MAX == 0)
			c = new_call(k, SCRIPT_TOUCH, a->name);
		if (n == 0)
			add_turns(c, a, now);
		else if (n % TOUCH_MAX == 0)
			redis_arg_int(&c->command, 0);
		redis_arg_str(&c->command, e->id);
		n++;
	}
}

static void collect_renewal(struct keeper *k, struct keeper_kept *e, int64_t now)
{
	struct keeper_call *c;

	if (now < e->turn.renew_at_ms)
		return;
	if (now >= e->turn.hold_until_ms) {
		e->turn.renew_at_ms = INT64_MAX; /* now it runs out */
		return;
	}
	c = new_call(k, SCRIPT_RENEW, e->account->name);
	add_turn(c, e->id);
	redis_arg_str(&c->command, e->id);
	redis_arg_int(&c->command, e->turn.ttl_ms);
	redis_arg_int(&c->command, 1); /* in use */
	e->turn.renew_at_ms = now + RETRY_MS;
}

static void collect_renewals(struct keeper *k, int64_t now)
{
	for (struct keeper_account *a = k->table.accounts; a; a = a->hh.next) {
		struct keeper_kept *e;

		list_for_each (e, &a->turns, link)
			collect_renewal(k, e, now);
	}
}

/*
 * Copies out what is due; what is tried now is due again after the pause for a failure. Turns come
 * first: where Redis has lost its data, a holder is to be there again before a waiter is.
 */
static void collect(struct keeper *k, int64_t now)
{
	collect_renewals(k, now);
	for (struct keeper_account *a = k->table.accounts; a; a = a->hh.next) {
		if (list_empty(&a->waiters) || now < a->touch_at_ms)
			continue;
		collect_touches(k, a, now);
		a->tried_at_ms = now;
		a->touch_at_ms = now + RETRY_MS;
	}
}

static void report_lost(struct keeper *k)
{
	int64_t now = clock_ms();
	struct keeper_kept *e;

	while ((e = keeper_table_lapsed(&k->table, now))) {
		mail(k, e->id, (struct keeper_news){ KEEPER_LOST, .cause = "over" });
		keeper_table_drop(&k->table, e);
	}
}

static void report_stray(struct keeper *k, const struct keeper_call *c, const char *id)
{
	struct keeper_news news = { KEEPER_STRAY };

	memcpy(news.account, c->account, sizeof news.account);
	mail(k, id, news);
}

static void extend(struct keeper *k, struct keeper_kept *e, int64_t sent_ms)
{
	k->renewals++;
	e->turn.lease_until_ms = sent_ms + e->turn.ttl_ms;
	e->turn.renew_at_ms = sent_ms + keeper_interval_ms(e->turn.ttl_ms);
}

/* `cause`: why it is lost, or what has happened to it, or nothing. */
static void renewed(struct keeper *k, const struct keeper_call *c, const char *id, bool still_ours,
		    struct span cause, int64_t sent_ms)
{
	struct keeper_kept *e = keeper_table_find(&k->table, id);
	struct keeper_news news = { still_ours ? KEEPER_BROKEN : KEEPER_LOST };

	snprintf(news.cause, sizeof news.cause, "%.*s", SPAN_ARG(cause));
	if (!e && still_ours)
		report_stray(k, c, id);
	if (!e || !keeper_kept_is_turn(e))
		return;
	if (still_ours)
		extend(k, e, sent_ms);
	if (!still_ours || cause.len)
		mail(k, id, news);
	if (!still_ours)
		keeper_table_drop(&k->table, e);
}

/* Each change once; that nothing has been missed is keeper_refresh()'s. */
static void report_limit(struct keeper *k, const char *account, int64_t windows)
{
	struct keeper_news news = { KEEPER_LIMITED, .count = windows };
	struct keeper_account *a;

	HASH_FIND_STR(k->table.accounts, account, a);
	if (!a || a->windows == windows)
		return;
	a->windows = windows;
	snprintf(news.account, sizeof news.account, "%s", account);
	if (windows)
		mail(k, "", news);
}

static void touched(struct keeper *k, const struct keeper_call *c, const struct script_answer *a,
		    int64_t sent_ms)
{
	const redisReply *unknown = a->more[0], *turns = a->more[1];

	for (size_t i = 0; i + 2 < turns->elements; i += 3) {
		redisReply **e = &turns->element[i];

		renewed(k, c, e[0]->str, span_eq(span_of(e[1]->str), SPAN("renewed")),
			(struct span){ e[2]->str, e[2]->len }, sent_ms);
	}
	for (size_t i = 0; i < unknown->elements; i++)
		mail(k, unknown->element[i]->str, (struct keeper_news){ KEEPER_UNKNOWN });
	report_limit(k, c->account, a->number);
}

static void take_answer(void *arg, struct keeper_call *c, const struct script_answer *a,
			int64_t sent_ms)
{
	struct keeper *k = arg;

	pthread_mutex_lock(&k->mutex);
	for (size_t i = 0; i < a->granted_count; i++)
		mail(k, a->granted[3 * i]->str, (struct keeper_news){ KEEPER_HAS });
	if (a->dropped)
		mail(k, "", (struct keeper_news){ KEEPER_DROPPED, .count = a->dropped });
	if (c->script == SCRIPT_RENEW)
		renewed(k, c, c->turns[0], span_eq(a->what, SPAN("renewed")), script_text(a, 0),
			sent_ms);
	else
		touched(k, c, a, sent_ms);
	pthread_mutex_unlock(&k->mutex);
}

/* Waiters whose lease can't be renewed (Redis is out of memory, say) will be dropped. */
static void report_refused_touch(struct keeper *k, const struct keeper_call *c,
				 const struct keeper_news *news)
{
	struct keeper_account *a;
	struct keeper_kept *e;

	HASH_FIND_STR(k->table.accounts, c->account, a);
	if (!a)
		return;
	a->tried_at_ms = 0; /* so that it is due again soon */
	list_for_each (e, &a->waiters, link)
		mail(k, e->id, *news);
}

/* It may have been heard, if it was sent twice. */
static void report_refused_turn(struct keeper *k, const struct keeper_call *c, const char *id,
				struct keeper_news *news)
{
	enum redis_redirect to = redis_redirect_of(c->refusal);

	if (!c->answered && !keeper_table_find(&k->table, id)) {
		report_stray(k, c, id);
	} else if (to == REDIRECT_ASK || to == REDIRECT_LATER) {
		news->kind = KEEPER_ADRIFT;
		mail(k, id, *news);
	} else if (to == REDIRECT_MOVED) {
		news->kind = KEEPER_REFUSED;
		mail(k, id, *news);
	}
}

static void report_refused(struct keeper *k)
{
	struct keeper_call *c;

	list_for_each (c, &k->calls, link) {
		struct keeper_news news = { KEEPER_REFUSED };
		enum redis_redirect to = redis_redirect_of(c->refusal);

		memcpy(news.account, c->account, sizeof news.account);
		memcpy(news.refusal, c->refusal, sizeof news.refusal);
		for (size_t i = 0; i < c->turn_count; i++)
			report_refused_turn(k, c, c->turns[i], &news);
		news.kind = KEEPER_REFUSED;
		if (c->script != SCRIPT_TOUCH) {
			/* that is all */
		} else if (to == REDIRECT_ASK || to == REDIRECT_LATER) {
			news.kind = KEEPER_ADRIFT;
			mail(k, "", news);
		} else if (*c->refusal) {
			report_refused_touch(k, c, &news);
		}
	}
}

/* Accounts whose touch was answered have time until the next; the others are due again soon. */
static void settle(struct keeper *k, bool ok, int64_t now)
{
	if (ok) {
		k->answered_ms = clock_ms();
		for (struct keeper_account *a = k->table.accounts; a; a = a->hh.next) {
			if (a->tried_at_ms == now && a->touch_at_ms == now + RETRY_MS)
				a->touch_at_ms = now + KEEPER_TOUCH_MS;
		}
	} else {
		mail(k, "", (struct keeper_news){ KEEPER_TROUBLE, .answered_ms = k->answered_ms });
	}
	report_lost(k);
}

/* Called and left with the mutex held. */
static void run_round(struct keeper *k)
{
	/* A silent server is found out within the timeout: by one pause, and half of it for I/O. */
	int64_t every_ms = MAX(MIN(k->timeout_ms / 4, KEEPER_LIVE_EVERY_MS), LIVE_MIN_MS);
	int64_t now = clock_ms(), io_ms = MIN(MAX(k->timeout_ms / 2, IO_MIN_MS), IO_MAX_MS);
	bool live = k->shows != KEEPER_SHOWS_NOTHING, ok;

	k->live_at_ms = now + every_ms;
	report_lost(k); /* what ran out while this process was stopped isn't taken again */
	collect(k, now);
	pthread_mutex_unlock(&k->mutex);
	ok = keeper_wire_talk(k->wire, io_ms, live, &k->calls, take_answer, k);
	pthread_mutex_lock(&k->mutex);
	report_refused(k);
	keeper_calls_free(&k->calls);
	settle(k, ok, now);
}

static void sleep_until(struct keeper *k, int64_t at_ms)
{
	struct timespec at = { at_ms / 1000, at_ms % 1000 * 1000000 };

	if (at_ms == INT64_MAX)
		pthread_cond_wait(&k->wake, &k->mutex);
	else
		pthread_cond_timedwait(&k->wake, &k->mutex, &at);
}

static void *run(void *arg)
{
	struct keeper *k = arg;

	pthread_mutex_lock(&k->mutex);
	while (!k->stopping) {
		if (k->rest_asked)
			mail(k, "", (struct keeper_news){ KEEPER_RESTS });
		k->rest_asked = false;
		k->wake_at_ms = next_due_ms(k);
		if (k->wake_at_ms <= clock_ms())
			run_round(k);
		else
			sleep_until(k, k->wake_at_ms);
	}
	pthread_mutex_unlock(&k->mutex);
	return NULL;
}

/* --- the loop's side --------------------------------------------------------------------- */

void keeper_aim(struct keeper *k, const struct redis_endpoint *endpoint)
{
	keeper_wire_aim(k->wire, endpoint);
}

void keeper_set_timeout(struct keeper *k, int64_t timeout_ms)
{
	pthread_mutex_lock(&k->mutex);
	k->timeout_ms = timeout_ms;
	pthread_mutex_unlock(&k->mutex);
}

void keeper_show_life(struct keeper *k, enum keeper_shows shows)
{
	pthread_mutex_lock(&k->mutex);
	if (shows == KEEPER_SHOWS_ALWAYS && k->shows != shows) {
		k->live_at_ms = k->answered_ms = clock_ms();
		wake_by(k, k->live_at_ms);
	}
	k->shows = shows;
	pthread_mutex_unlock(&k->mutex);
}

void keeper_hold(struct keeper *k, const char *account, const char *id,
		 const struct keeper_turn *turn)
{
	pthread_mutex_lock(&k->mutex);
	keeper_table_hold(&k->table, get(k, account, id), turn);
	wake_by(k, MIN(turn->renew_at_ms, clock_ms() + KEEPER_LIVE_EVERY_MS));
	pthread_mutex_unlock(&k->mutex);
}

void keeper_wait(struct keeper *k, const char *account, const char *id)
{
	pthread_mutex_lock(&k->mutex);
	keeper_table_wait(&k->table, get(k, account, id));
	wake_by(k, clock_ms() + KEEPER_LIVE_EVERY_MS);
	pthread_mutex_unlock(&k->mutex);
}

void keeper_drop(struct keeper *k, const char *id)
{
	struct keeper_kept *e;

	pthread_mutex_lock(&k->mutex);
	e = keeper_table_find(&k->table, id);
	if (e)
		keeper_table_drop(&k->table, e);
	pthread_mutex_unlock(&k->mutex);
}

void keeper_renewed(struct keeper *k, const char *id, int64_t sent_ms)
{
	struct keeper_kept *e;

	pthread_mutex_lock(&k->mutex);
	e = keeper_table_find(&k->table, id);
	if (e && keeper_kept_is_turn(e) && sent_ms + e->turn.ttl_ms > e->turn.lease_until_ms)
		extend(k, e, sent_ms);
	pthread_mutex_unlock(&k->mutex);
}

bool keeper_take(struct keeper *k, const char *id, struct keeper_turn *ret)
{
	struct keeper_kept *e;
	bool found;

	pthread_mutex_lock(&k->mutex);
	e = keeper_table_find(&k->table, id);
	found = e && keeper_kept_is_turn(e);
	if (found) {
		*ret = e->turn;
		keeper_table_drop(&k->table, e);
	}
	pthread_mutex_unlock(&k->mutex);
	return found;
}

void keeper_rest(struct keeper *k)
{
	pthread_mutex_lock(&k->mutex);
	k->rest_asked = true;
	pthread_cond_signal(&k->wake);
	pthread_mutex_unlock(&k->mutex);
}

void keeper_refresh(struct keeper *k)
{
	pthread_mutex_lock(&k->mutex);
	for (struct keeper_account *a = k->table.accounts; a; a = a->hh.next) {
		a->touch_at_ms = clock_ms();
		a->windows = 0;
	}
	for (struct keeper_kept *e = k->table.by_id; e; e = e->hh.next)
		e->turn.renew_at_ms = MIN(e->turn.renew_at_ms, clock_ms());
	if (k->table.by_id)
		wake_by(k, clock_ms());
	pthread_mutex_unlock(&k->mutex);
}

bool keeper_lease_lasts(struct keeper *k, const char *id)
{
	struct keeper_kept *e;
	bool lasts;

	pthread_mutex_lock(&k->mutex);
	e = keeper_table_find(&k->table, id);
	lasts = e && keeper_kept_is_turn(e) && clock_ms() < e->turn.lease_until_ms;
	pthread_mutex_unlock(&k->mutex);
	return lasts;
}

int64_t keeper_held(struct keeper *k)
{
	int64_t held;

	pthread_mutex_lock(&k->mutex);
	held = k->table.held;
	pthread_mutex_unlock(&k->mutex);
	return held;
}

int64_t keeper_renewals(struct keeper *k)
{
	int64_t renewals;

	pthread_mutex_lock(&k->mutex);
	renewals = k->renewals;
	pthread_mutex_unlock(&k->mutex);
	return renewals;
}

/* Signals are the loop's; SIGPIPE from hiredis' write() would end the process. */
static void start_thread(struct keeper *k)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	must(pthread_create(&k->thread, NULL, run, k) == 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct keeper *keeper_new(struct loop *loop, const struct redis_address *address,
			  struct redis_tls *tls, const struct redis_names *names, keeper_fn fn,
			  void *arg)
{
	struct keeper *k = xcalloc(1, sizeof *k);
	pthread_condattr_t monotonic;

	k->mail = keeper_mail_new(loop, fn, arg);
	k->names = names;
	k->wire = keeper_wire_new(address, tls, names);
	k->timeout_ms = 2 * IO_MAX_MS;
	k->wake_at_ms = INT64_MAX;
	list_init(&k->calls);
	pthread_mutex_init(&k->mutex, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&k->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	start_thread(k);
	return k;
}

static void clear(struct keeper *k)
{
	keeper_table_clear(&k->table);
	pthread_cond_destroy(&k->wake);
	pthread_mutex_destroy(&k->mutex);
	keeper_wire_free(k->wire);
	keeper_mail_free(k->mail);
	free(k);
}

void keeper_stop(struct keeper *k)
{
	pthread_mutex_lock(&k->mutex);
	k->stopping = true;
	pthread_cond_signal(&k->wake);
	pthread_mutex_unlock(&k->mutex);
	keeper_wire_cut(k->wire);
}

void keeper_free(struct keeper *k)
{
	if (!k)
		return;
	keeper_stop(k);
	pthread_join(k->thread, NULL);
	clear(k);
}
