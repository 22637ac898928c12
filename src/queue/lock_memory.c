/*
 * lock_memory.c - turns within one process.
 *
 * An account exists while somebody holds or waits, and after that until its delay is over:
 *
 *      account "a1"   holder: p7      timer: p7 has had its turn for too long
 *                     waits:  p9 -> p12
 *
 *      account "a2"   idle            timer: nobody remembers it, the account is freed
 *
 * Events change a fact and call account_advance(), which makes the facts agree: somebody holds
 * whenever somebody waits, and the one timer is set for whatever is due next.
 */
#include "queue/lock.h"

#include <errno.h>

#include "base/clock.h"
#include "queue/post.h"
#include "queue/query.h"
#include "queue/samples.h"
#include "queue/settings.h"

#define uthash_fatal(msg) must_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

/* Accounts that are kept for operators only, though nobody uses them. */
enum { IDLE_MAX = 1000 };

struct account {
	char name[LOCK_ACCOUNT_MAX];
	struct memory *memory;
	struct place *holder;
	struct list waiters; /* of place.link, in order of arrival */
	int64_t waiting;
	int64_t last_ms;        /* when the last turn was completed */
	int64_t quiet_until_ms; /* until then last_ms matters */
	int64_t hold_until_ms;  /* the holder loses its turn then */
	int64_t last_wall_ms;   /* last_ms for people; 0: never */
	int64_t paused_at_ms;   /* wall clock; 0: not paused */
	int64_t idle_since_ms;  /* 0 while it is in use */
	struct list idle;       /* in memory.idle, the longest idle first */
	struct samples samples;
	struct timer *timer;
	UT_hash_handle hh;
};

/* What `ticket->entry` points to. */
struct place {
	struct postbox box;
	struct account *account; /* NULL: not in the queue, or no longer (FULL, LOST) */
	int64_t entered_ms;      /* clock_ms() */
	int64_t starts_ms;       /* of the holder: when its turn starts, the delay included */
	struct list link;        /* in account.waiters, unless it holds */
	struct list all;         /* in memory.places */
};

struct memory {
	struct lock_backend backend;
	struct loop *loop;
	struct post post;
	struct account *accounts; /* by name */
	struct list places;
	struct list idle; /* accounts */
	int64_t idle_count;
	int64_t holders, lost, forgotten;
	struct histogram hand_offs;
	struct settings settings;
	char *beacon; /* NULL: none */
	int64_t noted_ms;
	enum { RUNNING, STOPPING, STOPPED } state;
	struct job stop_job;
	void (*stop_done)(void *arg);
	void *stop_arg;
	char *owner; /* "<instance>.<boot>" */
};

static void set_idle(struct account *a, bool idle)
{
	bool was_idle = !list_empty(&a->idle);

	if (idle == was_idle)
		return;
	a->memory->idle_count += idle ? 1 : -1;
	a->idle_since_ms = idle ? clock_ms() : 0;
	if (idle)
		list_append(&a->memory->idle, &a->idle);
	else
		list_remove(&a->idle);
}

static void account_free(struct account *a)
{
	set_idle(a, false);
	HASH_DEL(a->memory->accounts, a);
	samples_clear(&a->samples);
	timer_clear(&a->timer);
	free(a);
}

static void grant(struct account *a, struct place *p)
{
	const struct lock_terms *terms = &p->box.ticket->terms;
	int64_t now = clock_ms();
	int64_t delay_ms = MAX(a->last_ms + terms->delay_ms - now, 0);

	a->holder = p;
	p->starts_ms = now + delay_ms;
	a->hold_until_ms = now + delay_ms + terms->max_hold_ms;
	a->memory->holders++;
	post_send(&a->memory->post, &p->box,
		  (struct lock_news){ LOCK_GRANTED, .delay_ms = delay_ms });
}

static void take_out(struct place *p)
{
	struct account *a = p->account;

	p->account = NULL;
	if (a->holder == p) {
		a->holder = NULL;
		a->memory->holders--;
	} else {
		list_remove(&p->link);
		a->waiting--;
	}
}

/* How long an idle account is remembered; 0 or less: it may be forgotten. */
static int64_t keep_ms(const struct account *a, int64_t now)
{
	bool crowded = a->memory->idle_count > IDLE_MAX && a->memory->idle.next == &a->idle;

	return MAX(a->quiet_until_ms, crowded ? 0 : a->idle_since_ms + LOCK_RECENT_MS) - now;
}

/* Frees the account if there is nothing left to know about it. */
static void account_advance(struct account *a)
{
	struct place *first = list_first(&a->waiters, struct place, link);
	int64_t now = clock_ms();

	if (!a->holder && first && !a->paused_at_ms) {
		list_remove(&first->link);
		a->waiting--;
		grant(a, first);
	}
	set_idle(a, !a->holder && !a->waiting && !a->paused_at_ms);
	if (a->holder)
		timer_start(a->timer, a->hold_until_ms - now);
	else if (!a->idle_since_ms)
		timer_stop(a->timer); /* paused */
	else if (keep_ms(a, now) > 0)
		timer_start(a->timer, keep_ms(a, now));
	else {
		a->memory->forgotten += now < a->idle_since_ms + LOCK_RECENT_MS;
		account_free(a);
	}
}

/* More idle accounts than there is room for: the oldest go, but for delays that aren't over. */
static void forget_oldest(struct memory *m)
{
	struct account *a;

	while (m->idle_count > IDLE_MAX && (a = list_first(&m->idle, struct account, idle)) &&
	       keep_ms(a, clock_ms()) <= 0) {
		m->forgotten++;
		account_free(a);
	}
}

static void lose(struct account *a)
{
	struct place *p = a->holder;

	take_out(p);
	a->memory->lost++;
	post_send(&a->memory->post, &p->box, (struct lock_news){ LOCK_LOST });
}

static void account_timer(void *arg)
{
	struct account *a = arg;

	if (a->holder && clock_ms() >= a->hold_until_ms)
		lose(a);
	account_advance(a);
}

static struct account *account_get(struct memory *m, const char *name)
{
	struct account *a;

	HASH_FIND_STR(m->accounts, name, a);
	if (a)
		return a;
	a = xcalloc(1, sizeof *a);
	memcpy(a->name, name, strlen(name) + 1);
	a->memory = m;
	a->last_ms = INT64_MIN / 2; /* never: any delay since then is over */
	list_init(&a->waiters);
	a->timer = timer_new(m->loop, account_timer, a);
	HASH_ADD_STR(m->accounts, name, a);
	return a;
}

static void join(struct account *a, struct place *p)
{
	struct post *post = &a->memory->post;

	if (a->waiting >= p->box.ticket->terms.max_waiting) {
		post_send(post, &p->box, (struct lock_news){ LOCK_FULL });
		return;
	}
	p->account = a;
	list_append(&a->waiters, &p->link);
	a->waiting++;
	post_send(post, &p->box, (struct lock_news){ LOCK_WAITING, .position = a->waiting });
}

static void memory_enter(struct lock_backend *b, struct lock_ticket *t)
{
	struct memory *m = container_of(b, struct memory, backend);
	struct place *p;
	struct account *a;

	must(!t->entry);
	if (m->state != RUNNING)
		return;
	lock_ticket_name(t, m->owner);
	t->entry = p = xcalloc(1, sizeof *p);
	p->box.ticket = t;
	p->entered_ms = clock_ms();
	list_append(&m->places, &p->all);
	a = account_get(m, t->account);
	if (a->holder || a->paused_at_ms) {
		join(a, p);
	} else {
		p->account = a;
		grant(a, p);
	}
	account_advance(a);
}

static void place_free(struct place *p)
{
	p->box.ticket->entry = NULL;
	post_cancel(&p->box);
	list_remove(&p->all);
	free(p);
}

/* Leaves without having used a turn. */
static void note_leave(const struct place *p)
{
	int64_t now = clock_ms();
	int64_t until_ms = p->account->holder == p ? MIN(p->starts_ms, now) : now;

	samples_add(&p->account->samples, now, until_ms - p->entered_ms, -1);
}

static void note_completion(struct account *a)
{
	const struct place *p = a->holder;

	a->last_ms = clock_ms();
	a->last_wall_ms = clock_wall_ms();
	a->quiet_until_ms = a->last_ms + p->box.ticket->terms.delay_ms;
	samples_add(&a->samples, a->last_ms, p->starts_ms - p->entered_ms,
		    MAX(a->last_ms - p->starts_ms, 0));
}

static void memory_give_back(struct lock_backend *b, struct lock_ticket *t, bool completed)
{
	struct memory *m = container_of(b, struct memory, backend);
	struct place *p = t->entry;
	struct account *a;

	if (!p)
		return;
	a = p->account;
	if (a) {
		int64_t since_us = clock_us();
		bool next_in_line = a->holder == p && a->waiting && !a->paused_at_ms;

		if (a->holder == p && completed)
			note_completion(a);
		else
			note_leave(p);
		take_out(p);
		account_advance(a);
		if (next_in_line)
			histogram_add(&m->hand_offs, clock_us() - since_us);
		forget_oldest(m);
	}
	place_free(p);
}

static void memory_stats(const struct lock_backend *b, struct lock_stats *ret)
{
	const struct memory *m = container_of(b, struct memory, backend);

	*ret = (struct lock_stats){ .active_renewals = m->holders,
				    .lost = m->lost,
				    .forgotten = m->forgotten,
				    .round_trip_us = -1,
				    .hand_offs = &m->hand_offs,
				    .up = true };
}

/* --- operators -------------------------------------------------------------------------------- */

static void view_waiter(const struct place *p, int64_t until_ms, struct lock_waiter *ret)
{
	memcpy(ret->ticket, p->box.ticket->id, sizeof ret->ticket);
	memcpy(ret->client, p->box.ticket->client, sizeof ret->client);
	ret->waited_ms = until_ms - p->entered_ms;
}

static void view_waiters(const struct account *a, int64_t now, struct lock_view *v)
{
	const struct place *p;

	v->waiters = xcalloc((size_t)MIN(a->waiting, LOCK_WAITERS_MAX) + 1, sizeof *v->waiters);
	list_for_each (p, &a->waiters, link) {
		if (v->waiter_count == LOCK_WAITERS_MAX)
			break;
		view_waiter(p, now, &v->waiters[v->waiter_count++]);
	}
}

static void view(const struct account *a, bool whole, struct lock_view *v)
{
	const struct place *first = list_first(&a->waiters, struct place, link);
	int64_t now = clock_ms();

	if (a->holder) {
		view_waiter(a->holder, a->holder->starts_ms, &v->holder);
		v->held_known = true;
		v->held_ms = now - a->holder->starts_ms;
		v->ttl_raw_ms = a->hold_until_ms - now;
	}
	v->last_at_ms = a->last_wall_ms;
	v->paused_at_ms = a->paused_at_ms;
	v->waiting = a->waiting;
	v->oldest_wait_ms = first ? now - first->entered_ms : 0;
	if (!whole)
		return;
	view_waiters(a, now, v);
	samples_view(&a->samples, now, v);
}

static bool is_lately_used(const struct account *a, int64_t now)
{
	return !a->idle_since_ms || now - a->idle_since_ms <= LOCK_LATELY_MS;
}

static int list_accounts(struct memory *m, struct lock_query *q, struct query_reply *r)
{
	int64_t at = 0, now = clock_ms();

	for (struct account *a = m->accounts; a; a = a->hh.next) {
		if (!is_lately_used(a, now))
			continue;
		if (at++ < q->offset)
			continue;
		if (r->answer.count == (size_t)MIN(q->limit, LOCK_LIST_MAX)) {
			r->answer.next = at - 1;
			break;
		}
		view(a, false, query_reply_view(r, a->name));
	}
	return 0;
}

static int survey(struct memory *m, struct lock_query *q, struct query_reply *r)
{
	int64_t now = clock_ms();

	for (struct account *a = m->accounts; a; a = a->hh.next) {
		bool watched = query_watches(q, span_of(a->name));

		r->answer.known += is_lately_used(a, now);
		if (watched || (is_lately_used(a, now) && r->answer.count < LOCK_SURVEY_MAX))
			view(a, watched, query_reply_view(r, a->name));
	}
	if (m->beacon && now - m->noted_ms < LOCK_BEACON_MS)
		query_reply_beacon(r, now - m->noted_ms, span_of(m->beacon));
	return 0;
}

static void keep_note(struct memory *m, const char *beacon)
{
	if (strlen(beacon) > LOCK_BEACON_MAX)
		return;
	free(m->beacon);
	m->beacon = xstrdup(beacon);
	m->noted_ms = clock_ms();
}

static int remove_waiter(struct account *a, const char *ticket)
{
	struct place *p, *next;

	if (a->holder && !strcmp(a->holder->box.ticket->id, ticket))
		return -EBUSY;
	list_for_each_safe (p, next, &a->waiters, link) {
		if (strcmp(p->box.ticket->id, ticket))
			continue;
		take_out(p);
		post_send(&a->memory->post, &p->box, (struct lock_news){ LOCK_REMOVED });
		account_advance(a);
		return 0;
	}
	return -ENOENT;
}

static int set_paused(struct account *a, bool paused)
{
	int r = !paused && !a->paused_at_ms ? -ENOENT : 0;

	if (!paused)
		a->paused_at_ms = 0;
	else if (!a->paused_at_ms)
		a->paused_at_ms = clock_wall_ms();
	account_advance(a);
	return r;
}

static int force(struct account *a)
{
	if (!a->holder)
		return -ENOENT;
	lose(a);
	account_advance(a);
	return 0;
}

static int answer(struct memory *m, struct lock_query *q, struct query_reply *r)
{
	struct account *a = NULL;

	if (q->account)
		HASH_FIND_STR(m->accounts, q->account, a);
	switch (q->verb) {
	case LOCK_LIST:
		return list_accounts(m, q, r);
	case LOCK_LOOK: {
		struct lock_view *v = query_reply_view(r, q->account);

		if (a)
			view(a, true, v);
		return 0;
	}
	case LOCK_FORCE:
		return a ? force(a) : -ENOENT;
	case LOCK_PAUSE:
		return set_paused(account_get(m, q->account), true);
	case LOCK_RESUME:
		return a ? set_paused(a, false) : -ENOENT;
	case LOCK_REMOVE:
		return a ? remove_waiter(a, q->ticket) : -ENOENT;
	case LOCK_SETTINGS:
		settings_change(&m->settings, q->settings, q->setting_count);
		return 0;
	case LOCK_SURVEY:
		return survey(m, q, r);
	case LOCK_BEACON:
		keep_note(m, q->beacon);
		return 0;
	}
	return -EIO;
}

static void memory_query(struct lock_backend *b, struct lock_query *q)
{
	struct memory *m = container_of(b, struct memory, backend);
	struct query_reply *r = query_reply_new(q);

	q->entry = r;
	query_reply_send(r, m->loop, m->state == RUNNING ? answer(m, q, r) : -ENOTCONN);
}

static void memory_query_cancel(struct lock_backend *b, struct lock_query *q)
{
	(void)b;
	query_reply_free(q->entry);
}

static void memory_watch_settings(struct lock_backend *b, lock_settings_fn fn, void *arg)
{
	struct memory *m = container_of(b, struct memory, backend);

	settings_watch(&m->settings, m->loop, fn, arg);
}

static bool memory_holds(struct lock_backend *b, struct lock_ticket *t)
{
	struct place *p = t->entry;

	(void)b;
	return p && p->account && p->account->holder == p;
}

/* --- life ------------------------------------------------------------------------------------- */

static void memory_stopped(struct job *job)
{
	struct memory *m = container_of(job, struct memory, stop_job);

	m->state = STOPPED;
	m->stop_done(m->stop_arg);
}

/* Drops places and accounts wholesale: handing on turns among those who leave would be no use. */
static void clear(struct memory *m)
{
	struct account *a, *next_a;
	struct place *p;

	post_close(&m->post);
	while ((p = list_first(&m->places, struct place, all)))
		place_free(p);
	HASH_ITER (hh, m->accounts, a, next_a)
		account_free(a);
	m->holders = 0;
}

static void memory_stop(struct lock_backend *b, int64_t limit_ms, void (*done)(void *arg),
			void *arg)
{
	struct memory *m = container_of(b, struct memory, backend);

	(void)limit_ms; /* nothing to wait for */
	must(m->state == RUNNING);
	m->state = STOPPING;
	clear(m);
	m->stop_done = done;
	m->stop_arg = arg;
	m->stop_job.run = memory_stopped;
	loop_defer(m->loop, &m->stop_job);
}

static void memory_free(struct lock_backend *b)
{
	struct memory *m = container_of(b, struct memory, backend);

	clear(m);
	settings_clear(&m->settings);
	job_cancel(&m->stop_job);
	free(m->beacon);
	free(m->owner);
	free(m);
}

struct lock_backend *lock_memory_new(struct loop *loop, const char *instance)
{
	static const struct lock_ops ops = {
		.name = "memory",
		.enter = memory_enter,
		.give_back = memory_give_back,
		.holds = memory_holds,
		.stats = memory_stats,
		.query = memory_query,
		.query_cancel = memory_query_cancel,
		.watch_settings = memory_watch_settings,
		.stop = memory_stop,
		.free = memory_free,
	};
	struct memory *m = xcalloc(1, sizeof *m);

	m->backend.ops = &ops;
	m->loop = loop;
	m->owner = lock_owner_new(instance);
	list_init(&m->places);
	list_init(&m->idle);
	m->hand_offs.scale = &histogram_quick;
	post_open(&m->post, loop);
	return &m->backend;
}
