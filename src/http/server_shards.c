/*
 * server_shards.c - when a daemon runs.
 *
 * A daemon runs when all other jobs have: so it has all responses that there are to send in one go,
 * and the next holder's request goes to the upstream before the last one's response to its client.
 */
#include "http/server_shards.h"

#include <stdlib.h>

/* Of a daemon before others come: each reads up to 20 KB of a large body. */
enum { RUNS_PER_JOB = 4 };

struct server_shards {
	struct loop *loop;
	const struct server_shard_service *service;
	void *ctx;
	struct shards shards;
};

static void run(struct job *job)
{
	struct server_shard *shard = container_of(job, struct server_shard, run_job);

	for (int i = 0; i < RUNS_PER_JOB; i++) {
		shard->runs++;
		if (!shard->shards->service->run(shard->daemon))
			return;
		if (loop_is_late(shard->shards->loop))
			break;
	}
	loop_defer_later(shard->shards->loop, &shard->run_job); /* a large body: others first */
}

static void on_ready(void *arg, int error, int events)
{
	(void)error, (void)events;
	server_shard_run(arg);
}

static void shard_close(struct server_shard *shard)
{
	watch_clear(&shard->poll);
	if (shard->daemon) /* its connections leave */
		shard->shards->service->close(shard->daemon);
	shard_remove(&shard->shard);
	job_cancel(&shard->run_job);
	free(shard);
}

static struct server_shard *shard_open(struct server_shards *s)
{
	struct server_shard *shard = xcalloc(1, sizeof *shard);
	int fd;

	shard->shards = s;
	shard->run_job.run = run;
	shard->daemon = s->service->open(s->ctx, shard, &fd);
	if (!shard->daemon) {
		shard_close(shard);
		return NULL;
	}
	shard->poll = watch_new(s->loop, fd, on_ready, shard);
	watch_for(shard->poll, UV_READABLE);
	shards_add(&s->shards, &shard->shard);
	return shard;
}

struct server_shards *server_shards_new(struct loop *loop,
					const struct server_shard_service *service, void *ctx)
{
	struct server_shards *s = xcalloc(1, sizeof *s);

	s->loop = loop;
	s->service = service;
	s->ctx = ctx;
	shards_init(&s->shards, SERVER_SHARD_MAX);
	if (shard_open(s))
		return s;
	server_shards_free(s);
	return NULL;
}

void server_shards_free(struct server_shards *s)
{
	struct server_shard *shard;

	if (!s)
		return;
	while ((shard = list_first(&s->shards.list, struct server_shard, shard.link)))
		shard_close(shard);
	free(s);
}

void *server_shard_context(const struct server_shard *shard)
{
	return shard->shards->ctx;
}

struct server_shard *server_shards_choose(struct server_shards *s)
{
	struct shard *room = shards_choose(&s->shards);

	return room ? container_of(room, struct server_shard, shard) : shard_open(s);
}

void server_shard_joined(struct server_shard *shard)
{
	shard_joined(&shard->shard);
}

void server_shard_left(struct server_shard *shard)
{
	shard_left(&shard->shard);
}

void server_shard_run(struct server_shard *shard)
{
	loop_defer_last(shard->shards->loop, &shard->run_job);
}

void server_shards_run(struct server_shards *s)
{
	struct server_shard *shard;

	list_for_each (shard, &s->shards.list, shard.link)
		server_shard_run(shard);
}

bool server_shard_is_busy(const struct server_shard *shard)
{
	return job_is_due(&shard->run_job);
}

unsigned server_shard_runs(const struct server_shard *shard)
{
	return shard->runs;
}
