#include "queue/order.h"

#include <string.h>

#include "base/mem.h"

#define uthash_fatal(msg) must_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

/* An F; its key in the tree is its value. */
struct order_share {
	struct tree_node finish;
	UT_hash_handle hh;
	char name[]; /* with "~" behind it: of those who yield */
};

static void forget(struct order *o, struct order_share *s)
{
	tree_remove(&o->finishes, &s->finish);
	HASH_DEL(o->shares, s);
	free(s);
}

static struct order_share *lowest(const struct order *o)
{
	struct tree_node *n = tree_first(&o->finishes);

	return n ? container_of(n, struct order_share, finish) : NULL;
}

static struct order_share *find(struct order *o, const char *name)
{
	struct order_share *s;

	HASH_FIND_STR(o->shares, name, s);
	return s;
}

static void put(struct order *o, const char *name, double finish)
{
	struct order_share *s = find(o, name);

	if (!s) {
		s = xcalloc(1, sizeof *s + strlen(name) + 1);
		strcpy(s->name, name);
		HASH_ADD_KEYPTR(hh, o->shares, s->name, strlen(s->name), s);
	}
	tree_remove(&o->finishes, &s->finish);
	tree_insert(&o->finishes, &s->finish, finish);
	while (tree_count(&o->finishes) > ORDER_SHARES_MAX)
		forget(o, lowest(o));
}

struct order_place order_join(struct order *o, const struct order_guest *guest)
{
	CLEANUP(freep) char *name = xasprintf("%s%s", guest->share, guest->yields ? "~" : "");
	double weight = MAX(ORDER_WEIGHT_MIN, MIN(ORDER_WEIGHT_MAX, guest->weight));
	struct order_share *s = find(o, name);
	double start = s ? MAX(o->virtual_time, s->finish.key) : o->virtual_time;

	put(o, name, start + 1 / weight);
	o->joined++;
	return (struct order_place){
		.rank = start + (double)guest->yields + (double)o->joined * 0x1p-32,
		.start = start,
		.weight = weight,
	};
}

void order_turn(struct order *o, const struct order_place *place, int64_t waiting)
{
	double step = MIN(1, 1 / place->weight) / (double)MAX(ORDER_STEPS_MIN, waiting);
	struct order_share *s;

	o->virtual_time = MAX(o->virtual_time + step, place->start);
	if (!waiting)
		order_is_empty(o);
	while ((s = lowest(o)) && s->finish.key <= o->virtual_time)
		forget(o, s);
}

void order_is_empty(struct order *o)
{
	struct order_share *s;

	while ((s = lowest(o)))
		forget(o, s);
}

void order_clear(struct order *o)
{
	order_is_empty(o);
	*o = (struct order){ 0 };
}
