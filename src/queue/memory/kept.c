#include "queue/memory/kept.h"

#include <string.h>

#include "base/mem.h"

void kept_open(struct kept *k, struct shares *shares, int64_t *total)
{
	list_init(&k->by_age);
	k->shares = shares;
	k->total = total;
}

void kept_drop(struct kept *k, struct kept_place *p)
{
	HASH_DEL(k->by_key, p);
	list_remove(&p->link);
	list_remove(&p->of_share);
	p->share->kept_count--;
	--*k->total;
	shares_drop(k->shares, p->share);
	free(p);
}

static struct kept_place *find(struct kept *k, const char *key)
{
	struct kept_place *p;

	HASH_FIND_STR(k->by_key, key, p);
	return p;
}

struct kept_place *kept_find(struct kept *k, const char *key, int64_t now_ms)
{
	struct kept_place *p = find(k, key);

	return p && p->until_ms > now_ms ? p : NULL;
}

static void make_room(struct kept *k, struct share *share, int64_t max)
{
	if (share->kept_count >= LOCK_KEPT_PER_SHARE_MAX)
		kept_drop(k, list_first(&share->kept, struct kept_place, of_share));
	while (kept_count(k) >= MAX(max, 1))
		kept_drop(k, list_first(&k->by_age, struct kept_place, link));
}

void kept_put(struct kept *k, const struct kept_place *what, int64_t max)
{
	struct kept_place *p = xcalloc(1, sizeof *p), *other = find(k, what->key);

	*p = (struct kept_place){ .order = what->order, .until_ms = what->until_ms };
	memcpy(p->key, what->key, sizeof p->key);
	p->share = shares_use(k->shares, what->share->name);
	if (other && other->order.rank < p->order.rank)
		p->order = other->order;
	if (other)
		kept_drop(k, other);
	make_room(k, p->share, max);
	HASH_ADD_STR(k->by_key, key, p);
	list_append(&k->by_age, &p->link);
	list_append(&p->share->kept, &p->of_share);
	p->share->kept_count++;
	++*k->total;
}

void kept_expire(struct kept *k, int64_t now_ms)
{
	struct kept_place *p;

	while ((p = list_first(&k->by_age, struct kept_place, link)) && p->until_ms <= now_ms)
		kept_drop(k, p);
}

int64_t kept_count(const struct kept *k)
{
	return HASH_COUNT(k->by_key);
}

void kept_clear(struct kept *k)
{
	struct kept_place *p;

	while ((p = list_first(&k->by_age, struct kept_place, link)))
		kept_drop(k, p);
}
