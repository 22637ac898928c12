/*
 * memory.c - the backend for one process: lock.h's table of functions, and its life.
 *
 * The lines themselves are in line.c, what operators see of them in answers.c.
 */
#include "queue/lock.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "queue/memory/line.h"

static struct memory *memory_of(const struct lock_backend *b)
{
	return container_of(b, struct memory, backend);
}

static void memory_enter(struct lock_backend *b, struct lock_ticket *t)
{
	struct memory *m = memory_of(b);
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
	account_tune(a, &t->terms);
	account_join(a, p);
	account_advance(a);
}

static void place_free(struct place *p)
{
	p->box.ticket->entry = NULL;
	post_cancel(&p->box);
	list_remove(&p->all);
	free(p);
}

static void memory_give_back(struct lock_backend *b, struct lock_ticket *t, enum lock_end end)
{
	struct memory *m = memory_of(b);
	struct place *p = t->entry;
	struct account *a = p ? p->account : NULL;

	if (a) {
		int64_t since_us = clock_us();
		bool next_in_line = place_holds(p) && tree_count(&a->waiters) && !a->paused_at_ms;

		account_leave(a, p, end);
		account_advance(a);
		if (next_in_line)
			histogram_add(&m->hand_offs, clock_us() - since_us);
		accounts_trim(m);
	}
	if (p)
		place_free(p);
}

static void memory_retune(struct lock_backend *b, const char *account,
			  const struct lock_terms *terms)
{
	struct account *a;

	HASH_FIND_STR(memory_of(b)->accounts, account, a);
	if (!a)
		return; /* whoever joins says so */
	account_tune(a, terms);
	account_advance(a);
}

static void memory_hold(struct lock_backend *b, const char *account, const struct lock_limit *limit)
{
	struct account *a = account_get(memory_of(b), account);

	account_hold(a, limit);
	account_advance(a);
}

static void memory_release(struct lock_backend *b, const char *account, unsigned families)
{
	struct account *a;

	HASH_FIND_STR(memory_of(b)->accounts, account, a);
	if (a && account_release(a, families))
		account_advance(a);
}

static int64_t memory_position(struct lock_backend *b, const struct lock_ticket *t)
{
	const struct place *p = t->entry;

	(void)b;
	if (!p || !p->account || !place_waits(p))
		return 0;
	return (int64_t)tree_before(&p->node) + p->account->holding;
}

static bool memory_holds(struct lock_backend *b, struct lock_ticket *t)
{
	const struct place *p = t->entry;

	(void)b;
	return p && p->account && place_holds(p);
}

static void memory_stats(const struct lock_backend *b, struct lock_stats *ret)
{
	const struct memory *m = memory_of(b);

	*ret = (struct lock_stats){ .active_renewals = m->holders,
				    .lost = m->lost,
				    .forgotten = m->forgotten,
				    .kept = m->kept,
				    .returned = m->returned,
				    .round_trip_us = -1,
				    .hand_offs = &m->hand_offs,
				    .up = true };
}

static void memory_query(struct lock_backend *b, struct lock_query *q)
{
	struct memory *m = memory_of(b);
	struct query_reply *r = query_reply_new(q);

	q->entry = r;
	query_reply_send(r, m->loop, m->state == RUNNING ? memory_answer(m, q, r) : -ENOTCONN);
}

static void memory_query_cancel(struct lock_backend *b, struct lock_query *q)
{
	(void)b;
	query_reply_free(q->entry);
}

static void memory_watch_settings(struct lock_backend *b, lock_settings_fn fn, void *arg)
{
	struct memory *m = memory_of(b);

	settings_watch(&m->settings, m->loop, fn, arg);
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
	while ((p = list_first(&m->places, struct place, all))) {
		if (p->account)
			account_leave(p->account, p, LOCK_UNUSED);
		place_free(p);
	}
	HASH_ITER (hh, m->accounts, a, next_a)
		account_free(a);
	m->holders = 0;
}

static void memory_stop(struct lock_backend *b, int64_t limit_ms, void (*done)(void *arg),
			void *arg)
{
	struct memory *m = memory_of(b);

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
	struct memory *m = memory_of(b);

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
		.retune = memory_retune,
		.hold = memory_hold,
		.release = memory_release,
		.position = memory_position,
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
