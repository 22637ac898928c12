/*
 * halls.c - see halls.h.
 *
 * A daemon runs when all other jobs have: so it has all responses that there are to send in one go,
 * and the next holder's request goes to the upstream before the last one's response to its client.
 */
#include "http/halls.h"

#include <stdlib.h>

/* Of a daemon before others come: each reads up to 20 KB of a large body. */
enum { RUNS_PER_JOB = 4 };

struct halls {
	struct loop *loop;
	const struct hall_service *service;
	void *ctx;
	struct groups groups;
};

static void run(struct job *job)
{
	struct hall *hall = container_of(job, struct hall, run_job);

	for (int i = 0; i < RUNS_PER_JOB; i++) {
		if (!hall->halls->service->run(hall->daemon))
			return;
	}
	loop_defer_later(hall->halls->loop, &hall->run_job); /* a large body: others first */
}

static void on_ready(void *arg, int error, int events)
{
	(void)error, (void)events;
	hall_run(arg);
}

static void hall_close(struct hall *hall)
{
	watch_clear(&hall->poll);
	if (hall->daemon) /* its connections leave */
		hall->halls->service->close(hall->daemon);
	group_remove(&hall->group);
	job_cancel(&hall->run_job);
	free(hall);
}

static struct hall *hall_open(struct halls *h)
{
	struct hall *hall = xcalloc(1, sizeof *hall);
	int fd;

	hall->halls = h;
	hall->run_job.run = run;
	hall->daemon = h->service->open(h->ctx, hall, &fd);
	if (!hall->daemon) {
		hall_close(hall);
		return NULL;
	}
	hall->poll = watch_new(h->loop, fd, on_ready, hall);
	watch_for(hall->poll, UV_READABLE);
	groups_add(&h->groups, &hall->group);
	return hall;
}

struct halls *halls_new(struct loop *loop, const struct hall_service *service, void *ctx)
{
	struct halls *h = xcalloc(1, sizeof *h);

	h->loop = loop;
	h->service = service;
	h->ctx = ctx;
	groups_init(&h->groups, HALL_MAX);
	if (hall_open(h))
		return h;
	halls_free(h);
	return NULL;
}

void halls_free(struct halls *h)
{
	struct hall *hall;

	if (!h)
		return;
	while ((hall = list_first(&h->groups.list, struct hall, group.link)))
		hall_close(hall);
	free(h);
}

void *hall_context(const struct hall *hall)
{
	return hall->halls->ctx;
}

struct hall *halls_choose(struct halls *h)
{
	struct group *room = groups_choose(&h->groups);

	return room ? container_of(room, struct hall, group) : hall_open(h);
}

void hall_entered(struct hall *hall)
{
	group_entered(&hall->group);
}

void hall_left(struct hall *hall)
{
	group_left(&hall->group);
}

void hall_run(struct hall *hall)
{
	loop_defer_last(hall->halls->loop, &hall->run_job);
}

void halls_run(struct halls *h)
{
	struct hall *hall;

	list_for_each (hall, &h->groups.list, group.link)
		hall_run(hall);
}
