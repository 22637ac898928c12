#include "queue/post.h"

/*
 * The callback may give back any ticket, this one included, or stop the backend: so the box is
 * looked at for the last time before the call.
 */
static void tell(struct postbox *box, struct list *batch)
{
	struct lock_ticket *t = box->ticket;
	struct lock_news news = box->news[0];

	list_remove(&box->link);
	box->count--;
	memmove(&box->news[0], &box->news[1], (size_t)box->count * sizeof news);
	if (box->count)
		list_prepend(batch, &box->link);
	t->on_event(t, &news);
}

/* Only what is there now: what the callbacks cause is the next job's, so that I/O gets its turn. */
static void deliver(struct job *job)
{
	struct post *post = container_of(job, struct post, job);
	struct list batch;
	struct postbox *box;

	list_init(&batch);
	while ((box = list_first(&post->boxes, struct postbox, link))) {
		list_remove(&box->link);
		list_append(&batch, &box->link);
	}
	while ((box = list_first(&batch, struct postbox, link)))
		tell(box, &batch);
}

void post_open(struct post *post, struct loop *loop)
{
	post->loop = loop;
	post->job.run = deliver;
	list_init(&post->boxes);
}

void post_close(struct post *post)
{
	struct postbox *box;

	while ((box = list_first(&post->boxes, struct postbox, link)))
		post_cancel(box);
	job_cancel(&post->job);
}

void post_drop(struct postbox *box, enum lock_event event)
{
	for (int i = 0; i < box->count; i++) {
		if (box->news[i].event != event)
			continue;
		box->count--;
		memmove(&box->news[i], &box->news[i + 1],
			(size_t)(box->count - i) * sizeof box->news[i]);
		break;
	}
	if (!box->count)
		list_remove(&box->link);
}

void post_send(struct post *post, struct postbox *box, struct lock_news news)
{
	if (news.event == LOCK_HELD)
		post_drop(box, LOCK_HELD);
	must(box->count < POST_MAX);
	box->news[box->count++] = news;
	if (list_empty(&box->link))
		list_append(&post->boxes, &box->link);
	loop_defer(post->loop, &post->job);
}

void post_cancel(struct postbox *box)
{
	box->count = 0;
	list_remove(&box->link);
}
