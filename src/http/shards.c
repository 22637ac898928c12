#include "http/shards.h"

void shards_init(struct shards *s, int max)
{
	list_init(&s->list);
	s->max = max;
}

void shards_add(struct shards *s, struct shard *shard)
{
	shard->of = s;
	shard->members = 0;
	list_prepend(&s->list, &shard->link);
}

void shard_remove(struct shard *shard)
{
	list_remove(&shard->link);
}

bool shard_is_alone(const struct shard *shard)
{
	return shard->link.next == shard->link.prev;
}

struct shard *shards_choose(const struct shards *s)
{
	struct shard *first = list_first(&s->list, struct shard, link);

	return first && first->members < s->max ? first : NULL;
}

void shard_joined(struct shard *shard)
{
	must(shard->members < shard->of->max);
	if (++shard->members < shard->of->max)
		return;
	list_remove(&shard->link);
	list_append(&shard->of->list, &shard->link);
}

void shard_left(struct shard *shard)
{
	must(shard->members > 0);
	if (shard->members-- < shard->of->max)
		return;
	list_remove(&shard->link);
	list_prepend(&shard->of->list, &shard->link);
}
