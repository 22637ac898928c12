#include "queue/ask.h"

#include <stdio.h>
#include <string.h>

void lock_ask(struct lock_backend *b, struct lock_question *q)
{
	must(!q->entry);
	b->ops->ask(b, q);
}

void lock_ask_cancel(struct lock_backend *b, struct lock_question *q)
{
	if (q->entry)
		b->ops->ask_cancel(b, q);
	must(!q->entry);
}

struct ask_reply *ask_reply_new(struct lock_question *q)
{
	struct ask_reply *r = xcalloc(1, sizeof *r);

	r->q = q;
	return r;
}

struct lock_view *ask_reply_view(struct ask_reply *r, const char *account)
{
	struct lock_answer *a = &r->answer;
	struct lock_view *v;

	if (!(a->count & (a->count + 1))) /* is full: room for 1, 3, 7, … */
		a->views = xrealloc(a->views, (2 * a->count + 1) * sizeof *a->views);
	v = &a->views[a->count++];
	memset(v, 0, sizeof *v);
	snprintf(v->account, sizeof v->account, "%s", account);
	v->ttl_raw_ms = -2;
	return v;
}

void ask_reply_note(struct ask_reply *r, int64_t age_ms, struct span text)
{
	struct lock_answer *a = &r->answer;

	a->notes = xrealloc(a->notes, (a->note_count + 1) * sizeof *a->notes);
	a->notes[a->note_count++] =
		(struct lock_note){ MAX(age_ms, 0), xstrndup(text.ptr, text.len) };
}

bool ask_is_watched(const struct lock_question *q, struct span account)
{
	for (size_t i = 0; i < q->watched_count; i++) {
		if (span_eq(span_of(q->watched[i]), account))
			return true;
	}
	return false;
}

void ask_reply_free(struct ask_reply *r)
{
	if (r->q)
		r->q->entry = NULL;
	job_cancel(&r->job);
	for (size_t i = 0; i < r->answer.count; i++) {
		free(r->answer.views[i].waiters);
		free(r->answer.views[i].samples);
	}
	free(r->answer.views);
	for (size_t i = 0; i < r->answer.note_count; i++)
		free(r->answer.notes[i].text);
	free(r->answer.notes);
	free(r);
}

void ask_reply_now(struct ask_reply *r, int error)
{
	struct lock_question *q = steal(&r->q);

	r->answer.error = error;
	if (q) {
		q->entry = NULL;
		q->answered(q, &r->answer);
	}
	ask_reply_free(r);
}

static void deliver(struct job *job)
{
	struct ask_reply *r = container_of(job, struct ask_reply, job);

	ask_reply_now(r, r->answer.error);
}

void ask_reply_send(struct ask_reply *r, struct loop *loop, int error)
{
	r->answer.error = error;
	r->job.run = deliver;
	loop_defer(loop, &r->job);
}
