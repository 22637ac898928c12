#include "queue/query.h"

#include <stdio.h>
#include <string.h>

void lock_query_send(struct lock_backend *b, struct lock_query *q)
{
	must(!q->entry);
	b->ops->query(b, q);
}

void lock_query_cancel(struct lock_backend *b, struct lock_query *q)
{
	if (q->entry)
		b->ops->query_cancel(b, q);
	must(!q->entry);
}

struct query_reply *query_reply_new(struct lock_query *q)
{
	struct query_reply *r = xcalloc(1, sizeof *r);

	r->q = q;
	return r;
}

struct lock_view *query_reply_view(struct query_reply *r, const char *account)
{
	struct lock_answer *a = &r->answer;
	struct lock_view *v;

	if (!(a->count & (a->count + 1))) /* is full: room for 1, 3, 7, … */
		a->views = xrealloc(a->views, (2 * a->count + 1) * sizeof *a->views);
	v = &a->views[a->count++];
	memset(v, 0, sizeof *v);
	snprintf(v->account, sizeof v->account, "%s", account);
	return v;
}

const struct lock_holder *lock_view_first(const struct lock_view *v)
{
	static const struct lock_holder nobody = { .ttl_raw_ms = -2 };

	return v->holder_count ? v->holders : &nobody;
}

struct lock_holder *query_view_holder(struct lock_view *v)
{
	struct lock_holder *h;

	v->holders = xrealloc(v->holders, (v->holder_count + 1) * sizeof *v->holders);
	h = &v->holders[v->holder_count++];
	*h = (struct lock_holder){ 0 };
	return h;
}

static struct lock_share *find_share(struct lock_view *v, const char *name)
{
	for (size_t i = 0; i < v->share_count; i++) {
		if (!strcmp(v->shares[i].name, name))
			return &v->shares[i];
	}
	return NULL;
}

struct lock_share *query_view_share(struct lock_view *v, const char *name)
{
	struct lock_share *s = find_share(v, name);

	if (!s && v->share_count >= LOCK_SHARES_MAX) {
		name = "";
		s = find_share(v, name);
	}
	if (s)
		return s;
	v->shares = xrealloc(v->shares, (v->share_count + 1) * sizeof *v->shares);
	s = &v->shares[v->share_count++];
	*s = (struct lock_share){ 0 };
	snprintf(s->name, sizeof s->name, "%s", name);
	return s;
}

void query_view_clear(struct lock_view *v)
{
	free(steal(&v->holders));
	free(steal(&v->waiters));
	free(steal(&v->samples));
	free(steal(&v->shares));
	v->holder_count = v->waiter_count = v->sample_count = v->share_count = 0;
}

void query_reply_beacon(struct query_reply *r, int64_t age_ms, struct span text)
{
	struct lock_answer *a = &r->answer;

	a->beacons = xrealloc(a->beacons, (a->beacon_count + 1) * sizeof *a->beacons);
	a->beacons[a->beacon_count++] =
		(struct lock_beacon){ MAX(age_ms, 0), xstrndup(text.ptr, text.len) };
}

bool query_watches(const struct lock_query *q, struct span account)
{
	for (size_t i = 0; i < q->watched_count; i++) {
		if (span_eq(span_of(q->watched[i]), account))
			return true;
	}
	return false;
}

void query_reply_free(struct query_reply *r)
{
	if (r->q)
		r->q->entry = NULL;
	job_cancel(&r->job);
	for (size_t i = 0; i < r->answer.count; i++)
		query_view_clear(&r->answer.views[i]);
	free(r->answer.views);
	for (size_t i = 0; i < r->answer.beacon_count; i++)
		free(r->answer.beacons[i].text);
	free(r->answer.beacons);
	free(r);
}

void query_reply_now(struct query_reply *r, int error)
{
	struct lock_query *q = steal(&r->q);

	r->answer.error = error;
	if (q) {
		q->entry = NULL;
		q->answered(q, &r->answer);
	}
	query_reply_free(r);
}

static void deliver(struct job *job)
{
	struct query_reply *r = container_of(job, struct query_reply, job);

	query_reply_now(r, r->answer.error);
}

void query_reply_send(struct query_reply *r, struct loop *loop, int error)
{
	r->answer.error = error;
	r->job.run = deliver;
	loop_defer(loop, &r->job);
}
