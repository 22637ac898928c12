#include "queue/outlook.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "queue/pace.h"

#define uthash_fatal(msg) must_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

struct entry {
	struct outlooks *owner;
	struct lock_query query;
	struct list asking; /* of struct outlook_query */
	struct list link;   /* in owner->by_age */
	struct job answer;
	struct outlook outlook;
	int64_t known_ms; /* when that was so; 0: it isn't known */
	int error;
	UT_hash_handle hh;
	char account[];
};

struct outlooks {
	struct loop *loop;
	const struct config *config;
	struct queue *queue;
	struct entry *entries; /* by account */
	struct list by_age;    /* the one asked about longest ago comes first */
	int64_t second_ms;     /* when the second began in which `asked` were */
	int asked;
};

/* --- what it looks like ----------------------------------------------------------------------- */

static int latest_first(const void *a, const void *b)
{
	const struct lock_sample *x = a, *y = b;

	return (x->ago_ms > y->ago_ms) - (x->ago_ms < y->ago_ms);
}

/* -1: it had none lately. */
static int64_t usual_turn_ms(const struct lock_view *v)
{
	size_t bytes = v->sample_count * sizeof *v->samples, n = 0;
	CLEANUP(freep) struct lock_sample *sorted = xmalloc(bytes + 1);
	int64_t lengths[OUTLOOK_TURNS];

	if (bytes)
		memcpy(sorted, v->samples, bytes);
	qsort(sorted, v->sample_count, sizeof *sorted, latest_first);
	for (size_t i = 0; i < v->sample_count && n < OUTLOOK_TURNS; i++) {
		if (sorted[i].hold_ms >= 0)
			lengths[n++] = sorted[i].hold_ms;
	}
	return pace_median_ms(lengths, n);
}

static void estimate(const struct lock_view *v, const struct account_terms *terms, int64_t turn_ms,
		     struct outlook *ret)
{
	CLEANUP(freep) int64_t *ran = xcalloc(v->holder_count + 1, sizeof *ran);
	CLEANUP(freep) int64_t *starts = xcalloc(v->waiter_count + 1, sizeof *starts);
	struct pace_line line = {
		.turn_ms = turn_ms,
		.ran_ms = ran,
		.running = v->holder_count,
		.turns = ret->turns,
		.delay_ms = terms->delay_ms,
		.interval_ms = terms->interval_ms,
		.held_ms = v->hold.kind ? MAX(v->hold.left_ms, 0) : 0,
	};

	for (size_t i = 0; i < v->holder_count; i++)
		ran[i] = v->holders[i].held_known ? v->holders[i].held_ms : turn_ms / 2;
	pace_starts(&line, v->waiter_count, starts);
	for (size_t i = 0; i < v->waiter_count; i++)
		ret->places[i].estimate_ms = ret->paused ? -1 : starts[i];
}

void outlook_of(const struct lock_view *v, const struct account_terms *terms, int64_t turn_ms,
		struct outlook *ret)
{
	int64_t usual_ms = usual_turn_ms(v);

	*ret = (struct outlook){
		.turns = v->turns ? v->turns : MAX(terms->turns, 1),
		.running = (int64_t)v->holder_count,
		.waiting = v->waiting,
		.places = xcalloc(v->waiter_count + 1, sizeof *ret->places),
		.count = v->waiter_count,
		.paused = v->paused_at_ms != 0,
		.hold = v->hold.kind,
		.hold_until_ms = v->hold.kind ? clock_wall_ms() + MAX(v->hold.left_ms, 0) : 0,
	};
	for (size_t i = 0; i < v->waiter_count; i++) {
		const struct lock_waiter *w = &v->waiters[i];
		struct outlook_place *p = &ret->places[i];

		memcpy(p->ticket, w->ticket, sizeof p->ticket);
		memcpy(p->session, w->session, sizeof p->session);
		memcpy(p->share, w->share, sizeof p->share);
		p->waited_ms = w->waited_ms;
	}
	estimate(v, terms, usual_ms >= 0 ? usual_ms : turn_ms, ret);
}

void outlook_clear(struct outlook *o)
{
	free(steal(&o->places));
	*o = (struct outlook){ 0 };
}

/* --- asking ----------------------------------------------------------------------------------- */

/* Whoever asks again from within answered() is told another time. */
static void tell(struct entry *e)
{
	struct outlook_query *q;
	size_t n = 0;

	list_for_each (q, &e->asking, link)
		n++;
	for (; n && !list_empty(&e->asking); n--) {
		q = list_first(&e->asking, struct outlook_query, link);
		list_remove(&q->link);
		q->answered(q, e->known_ms ? &e->outlook : NULL, clock_ms() - e->known_ms,
			    e->error);
	}
}

static void run_answer(struct job *job)
{
	tell(container_of(job, struct entry, answer));
}

static void on_answered(struct lock_query *q, const struct lock_answer *answer)
{
	struct entry *e = container_of(q, struct entry, query);
	struct account_terms terms;

	outlook_clear(&e->outlook);
	e->error = answer->error;
	e->known_ms = 0;
	if (!answer->error && answer->count) {
		account_terms_of(e->owner->config, e->account, &terms);
		outlook_of(&answer->views[0], &terms, queue_turn_ms(e->owner->queue, e->account),
			   &e->outlook);
		e->known_ms = clock_ms();
	}
	tell(e);
}

static void forget(struct entry *e)
{
	lock_query_cancel(queue_backend(e->owner->queue), &e->query);
	job_cancel(&e->answer);
	HASH_DEL(e->owner->entries, e);
	list_remove(&e->link);
	outlook_clear(&e->outlook);
	free(e);
}

static bool is_fresh(const struct entry *e)
{
	return e->known_ms && clock_ms() - e->known_ms < OUTLOOK_FRESH_MS;
}

/* What isn't news any more needn't be kept. */
static void forget_old(struct outlooks *o)
{
	struct entry *e, *next;

	list_for_each_safe (e, next, &o->by_age, link) {
		if (is_fresh(e))
			return;
		if (!e->query.entry && list_empty(&e->asking))
			forget(e);
	}
}

static struct entry *get(struct outlooks *o, const char *account)
{
	struct entry *e;

	HASH_FIND_STR(o->entries, account, e);
	if (e)
		return e;
	forget_old(o);
	e = xcalloc(1, sizeof *e + strlen(account) + 1);
	strcpy(e->account, account);
	e->owner = o;
	e->answer.run = run_answer;
	e->query.verb = LOCK_LOOK;
	e->query.account = e->account;
	e->query.answered = on_answered;
	list_init(&e->asking);
	list_append(&o->by_age, &e->link);
	HASH_ADD_KEYPTR(hh, o->entries, e->account, strlen(e->account), e);
	return e;
}

static bool may_ask(struct outlooks *o)
{
	int64_t now = clock_ms();

	if (now - o->second_ms >= 1000) {
		o->second_ms = now;
		o->asked = 0;
	}
	return o->asked++ < OUTLOOK_ACCOUNTS_MAX;
}

void outlooks_ask(struct outlooks *o, struct outlook_query *q)
{
	struct entry *e = get(o, q->account);

	list_append(&e->asking, &q->link);
	if (e->query.entry)
		return; /* it is being asked about */
	if (is_fresh(e)) {
		loop_defer(o->loop, &e->answer);
	} else if (may_ask(o)) {
		list_remove(&e->link);
		list_append(&o->by_age, &e->link);
		lock_query_send(queue_backend(o->queue), &e->query);
	} else {
		e->known_ms = 0;
		e->error = -EBUSY;
		loop_defer(o->loop, &e->answer);
	}
}

void outlooks_cancel(struct outlook_query *q)
{
	list_remove(&q->link);
}

struct outlooks *outlooks_new(struct loop *loop, const struct config *config, struct queue *queue)
{
	struct outlooks *o = xcalloc(1, sizeof *o);

	o->loop = loop;
	o->config = config;
	o->queue = queue;
	list_init(&o->by_age);
	return o;
}

void outlooks_free(struct outlooks *o)
{
	struct entry *e, *next;

	if (!o)
		return;
	HASH_ITER (hh, o->entries, e, next)
		forget(e);
	free(o);
}
