/*
 * answers.c - what operators ask of the memory backend and order, about this process.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "queue/memory/line.h"

/* --- views ------------------------------------------------------------------------------------ */

static void view_place(const struct place *p, int64_t until_ms, struct lock_waiter *ret)
{
	const struct lock_ticket *t = p->box.ticket;

	memcpy(ret->ticket, t->id, sizeof ret->ticket);
	memcpy(ret->client, t->client, sizeof ret->client);
	memcpy(ret->share, t->standing.share, sizeof ret->share);
	memcpy(ret->mark, t->standing.mark, sizeof ret->mark);
	memcpy(ret->session, t->standing.session, sizeof ret->session);
	ret->rank = p->order.rank;
	ret->waited_ms = until_ms - p->entered_ms;
}

static void view_waiters(const struct account *a, int64_t now, struct lock_view *v)
{
	struct tree_node *n = tree_first(&a->waiters);

	v->waiters =
		xcalloc(MIN(tree_count(&a->waiters), LOCK_WAITERS_MAX) + 1, sizeof *v->waiters);
	for (; n && v->waiter_count < LOCK_WAITERS_MAX; n = tree_next(n))
		view_place(place_of_node(n), now, &v->waiters[v->waiter_count++]);
}

static void view_holders(const struct account *a, int64_t now, struct lock_view *v)
{
	struct place *p;

	list_for_each (p, &a->holders, link) {
		struct lock_holder *h = query_view_holder(v);

		view_place(p, p->starts_ms, &h->who);
		h->held_known = true;
		h->held_ms = now - p->starts_ms;
		h->ttl_raw_ms = p->hold_until_ms - now;
	}
}

struct sample_view {
	struct lock_view *view;
	int64_t now_ms;
};

static void view_sample(void *arg, const struct sample *s)
{
	struct sample_view *to = arg;
	struct lock_share *share = query_view_share(to->view, s->share->name);

	to->view->samples[to->view->sample_count++] =
		(struct lock_sample){ to->now_ms - s->at_ms, s->wait_ms, s->hold_ms };
	share->turns += s->hold_ms >= 0;
	share->held_ms += MAX(s->hold_ms, 0);
	share->left += s->hold_ms < 0;
}

static void view_shares(const struct account *a, int64_t now, struct lock_view *v)
{
	struct sample_view to = { v, now };

	for (struct share *s = a->shares.by_name; s; s = s->hh.next) {
		if (s->waiting)
			query_view_share(v, s->name)->waiting += s->waiting;
	}
	v->samples = xcalloc(a->samples.count + 1, sizeof *v->samples);
	samples_each(&a->samples, now - LOCK_RECENT_MS, view_sample, &to);
}

static struct lock_view_hold view_hold(const struct hold *h, int64_t now)
{
	if (!h->kind)
		return (struct lock_view_hold){ 0 };
	return (struct lock_view_hold){ .kind = h->kind,
					.since_ms = now - h->since_ms,
					.left_ms = h->until_ms - now,
					.probe_ms = h->probe_ms - now,
					.refusals = h->refusals };
}

static void view(const struct account *a, bool whole, struct lock_view *v)
{
	const struct place *first = place_of_node(tree_first(&a->waiters));
	int64_t now = clock_ms();

	view_holders(a, now, v);
	v->turns = a->turns;
	v->last_at_ms = a->last_wall_ms;
	v->paused_at_ms = a->paused_at_ms;
	v->hold = view_hold(&a->held[HELD_ACCOUNT].hold, now);
	for (size_t i = 0; i < LIMIT_FAMILIES; i++)
		v->family_holds[i] = view_hold(&a->held[HELD_FAMILIES + i].hold, now);
	v->waiting = (int64_t)tree_count(&a->waiters);
	v->kept = kept_count(&a->kept);
	v->oldest_wait_ms = first ? now - first->entered_ms : 0;
	if (!whole)
		return;
	view_waiters(a, now, v);
	view_shares(a, now, v);
}

/* --- queries ---------------------------------------------------------------------------------- */

static bool is_lately_used(const struct account *a, int64_t now)
{
	return !a->idle_since_ms || now - a->idle_since_ms <= LOCK_RECENT_MS;
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
	if (m->beacon && now - m->beaconed_ms < LOCK_BEACON_MS)
		query_reply_beacon(r, now - m->beaconed_ms, span_of(m->beacon));
	return 0;
}

static void keep_beacon(struct memory *m, const char *beacon)
{
	if (strlen(beacon) > LOCK_BEACON_MAX)
		return;
	free(m->beacon);
	m->beacon = xstrdup(beacon);
	m->beaconed_ms = clock_ms();
}

/* --- orders ----------------------------------------------------------------------------------- */

static struct place *find_holder(const struct account *a, const char *ticket)
{
	struct place *p;

	list_for_each (p, &a->holders, link) {
		if (!strcmp(p->box.ticket->id, ticket))
			return p;
	}
	return NULL;
}

static struct place *find_waiter(const struct account *a, const char *ticket)
{
	struct place *p;

	list_for_each (p, &a->memory->places, all) {
		if (p->account == a && place_waits(p) && !strcmp(p->box.ticket->id, ticket))
			return p;
	}
	return NULL;
}

static int remove_waiter(struct account *a, const char *ticket)
{
	struct place *p = find_waiter(a, ticket);

	if (!p)
		return find_holder(a, ticket) ? -EBUSY : -ENOENT;
	account_remove(a, p);
	account_advance(a);
	return 0;
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

static int release(struct account *a)
{
	if (!account_release(a, ~0u))
		return -ENOENT;
	account_advance(a);
	return 0;
}

/* One holder's turn, or all of them. */
static int force(struct account *a, const char *ticket)
{
	struct place *p = NULL, *next;
	bool some = false;

	list_for_each_safe (p, next, &a->holders, link) {
		if (ticket && strcmp(p->box.ticket->id, ticket))
			continue;
		account_lose(a, p);
		some = true;
	}
	account_advance(a);
	return some ? 0 : -ENOENT;
}

int memory_answer(struct memory *m, struct lock_query *q, struct query_reply *r)
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
		return a ? force(a, q->ticket) : -ENOENT;
	case LOCK_PAUSE:
		return set_paused(account_get(m, q->account), true);
	case LOCK_RESUME:
		return a ? set_paused(a, false) : -ENOENT;
	case LOCK_RELEASE:
		return a ? release(a) : -ENOENT;
	case LOCK_REMOVE:
		return a ? remove_waiter(a, q->ticket) : -ENOENT;
	case LOCK_SETTINGS:
		settings_change(&m->settings, q->settings, q->setting_count);
		return 0;
	case LOCK_SURVEY:
		return survey(m, q, r);
	case LOCK_CLAIM: /* there is nobody else */
		return 0;
	case LOCK_BEACON:
		keep_beacon(m, q->beacon);
		return 0;
	}
	return -EIO;
}
