#include "http/client_shards.h"

#include <stdlib.h>

struct client_shards {
	struct loop *loop;
	struct client_shard_options options;
	struct shards shards;
};

static void close_shard(struct client_shard *shard)
{
	shard_remove(&shard->shard);
	timer_clear(&shard->closing);
	shard->shards->options.close(shard);
}

static void on_closing(void *arg)
{
	struct client_shard *shard = arg;

	if (!shard_is_alone(&shard->shard))
		close_shard(shard);
}

static struct client_shard *open_shard(struct client_shards *s)
{
	struct client_shard *shard = s->options.open(s->options.ctx);

	shard->shards = s;
	shard->closing = timer_new(s->loop, on_closing, shard);
	shards_add(&s->shards, &shard->shard);
	return shard;
}

struct client_shard *client_shards_join(struct client_shards *s)
{
	struct shard *room = shards_choose(&s->shards);
	struct client_shard *shard =
		room ? container_of(room, struct client_shard, shard) : open_shard(s);

	shard_joined(&shard->shard);
	timer_stop(shard->closing);
	return shard;
}

void client_shard_leave(struct client_shard *shard)
{
	shard_left(&shard->shard);
	if (!shard->shard.members)
		timer_start(shard->closing, shard->shards->options.keep_ms);
}

struct client_shards *client_shards_new(struct loop *loop,
					const struct client_shard_options *options)
{
	struct client_shards *s = xcalloc(1, sizeof *s);

	s->loop = loop;
	s->options = *options;
	shards_init(&s->shards, options->max);
	return s;
}

void client_shards_free(struct client_shards *s)
{
	struct client_shard *shard;

	if (!s)
		return;
	while ((shard = list_first(&s->shards.list, struct client_shard, shard.link)))
		close_shard(shard);
	free(s);
}
