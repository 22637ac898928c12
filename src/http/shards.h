/*
 * shards.h - members in shards of bounded size, those with room first.
 *
 * For libraries whose work grows with the number of what one of their objects holds. Each shard
 * has such an object of its own. A new member goes into the first shard, which is the one that came
 * to have room last: few members share one shard, and when they become fewer, the others empty.
 */
#pragma once

#include "base/list.h"

struct shards {
	struct list list; /* struct shard */
	int max;          /* members of a shard */
};

/* Lives in whatever a shard is. */
struct shard {
	struct list link;
	struct shards *of;
	int members;
};

void shards_init(struct shards *s, int max);

/* A shard without members. It is the first now. */
void shards_add(struct shards *s, struct shard *shard);
void shard_remove(struct shard *shard);

bool shard_is_alone(const struct shard *shard); /* there is no other shard */

/* Where the next member goes; NULL: all are full, or there is none. */
struct shard *shards_choose(const struct shards *s);

/* A member came, or went. Not more than there is room for. */
void shard_joined(struct shard *shard);
void shard_left(struct shard *shard);
