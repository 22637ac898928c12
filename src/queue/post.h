/*
 * post.h - tells tickets their news from a job of the loop, so never from within lock_enter() or a
 * library's callback. Both backends use it.
 *
 *      post_send(box, news) ──> post: boxes with news, first in first out ──job──> ticket->on_event
 */
#pragma once

#include "queue/lock.h"

/* WAITING, HELD, GRANTED and LOST may all be on their way to one ticket. */
enum { POST_MAX = 4 };

/* Zero it, then post_open(). */
struct post {
	struct loop *loop;
	struct job job;
	struct list boxes; /* those with news */
};

/* One for each ticket, in the backend's record of it. Zero it, set `ticket`. */
struct postbox {
	struct list link;
	struct lock_ticket *ticket;
	struct lock_news news[POST_MAX];
	int count;
};

/* `loop` outlives it. */
void post_open(struct post *post, struct loop *loop);

/* Nothing is told any more; the boxes themselves are their owners'. */
void post_close(struct post *post);

/*
 * Puts `news` behind what is in the box already; told before the loop blocks next. A LOCK_HELD that
 * is there makes room for a newer one. Its text must live until it is told, or is replaced.
 */
void post_send(struct post *post, struct postbox *box, struct lock_news news);

/* Forgets the first news of that kind, if there is any. */
void post_drop(struct postbox *box, enum lock_event event);

/* Forgets what hasn't been told; needed before the box is freed. */
void post_cancel(struct postbox *box);
