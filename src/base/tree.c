#include "base/tree.h"

#include "base/mem.h"

enum { LEFT, RIGHT };

/* A subtree may weigh this many times its sibling; see tree.h. */
enum { DELTA = 3, GAMMA = 2 };

static size_t size_of(const struct tree_node *n)
{
	return n ? n->size : 0;
}

static size_t weight(const struct tree_node *n)
{
	return size_of(n) + 1;
}

static void count(struct tree_node *n)
{
	n->size = 1 + size_of(n->child[LEFT]) + size_of(n->child[RIGHT]);
}

/* Puts `now` (may be NULL) where `was` is below its parent. */
static void replace(struct tree *t, const struct tree_node *was, struct tree_node *now)
{
	struct tree_node *parent = was->parent;

	if (!parent)
		t->root = now;
	else
		parent->child[parent->child[RIGHT] == was] = now;
	if (now)
		now->parent = parent;
}

static void attach(struct tree_node *parent, int side, struct tree_node *child)
{
	parent->child[side] = child;
	if (child)
		child->parent = parent;
}

/* `n` sinks to `side`, its other child takes its place and is returned. */
static struct tree_node *rotate(struct tree *t, struct tree_node *n, int side)
{
	struct tree_node *up = n->child[!side];

	replace(t, n, up);
	attach(n, !side, up->child[side]);
	attach(up, side, n);
	count(n);
	count(up);
	return up;
}

/* The root of what was `n`'s subtree. */
static struct tree_node *balance(struct tree *t, struct tree_node *n)
{
	for (int light = LEFT; light <= RIGHT; light++) {
		struct tree_node *heavy = n->child[!light];

		if (weight(heavy) <= DELTA * weight(n->child[light]))
			continue;
		if (weight(heavy->child[light]) >= GAMMA * weight(heavy->child[!light]))
			rotate(t, heavy, !light);
		return rotate(t, n, light);
	}
	return n;
}

static void mend_upwards(struct tree *t, struct tree_node *n)
{
	while (n) {
		count(n);
		n = balance(t, n)->parent;
	}
}

void tree_insert(struct tree *t, struct tree_node *n, double key)
{
	struct tree_node **at = &t->root, *parent = NULL;

	must(!tree_has(n));
	while (*at) {
		parent = *at;
		at = &parent->child[key >= parent->key];
	}
	*n = (struct tree_node){ .parent = parent, .size = 1, .key = key };
	*at = n;
	mend_upwards(t, parent);
}

static struct tree_node *outermost(struct tree_node *n, int side)
{
	while (n && n->child[side])
		n = n->child[side];
	return n;
}

/* One with two children changes places with the next one, which has none on the left. */
static struct tree_node *take_out_inner(struct tree *t, struct tree_node *n)
{
	struct tree_node *next = outermost(n->child[RIGHT], LEFT);
	struct tree_node *mend = next->parent == n ? next : next->parent;

	if (next != mend) {
		attach(mend, LEFT, next->child[RIGHT]);
		attach(next, RIGHT, n->child[RIGHT]);
	}
	attach(next, LEFT, n->child[LEFT]);
	replace(t, n, next);
	return mend;
}

void tree_remove(struct tree *t, struct tree_node *n)
{
	struct tree_node *mend = n->parent;

	if (!tree_has(n))
		return;
	if (n->child[LEFT] && n->child[RIGHT])
		mend = take_out_inner(t, n);
	else
		replace(t, n, n->child[n->child[LEFT] ? LEFT : RIGHT]);
	mend_upwards(t, mend);
	*n = (struct tree_node){ 0 };
}

struct tree_node *tree_first(const struct tree *t)
{
	return outermost(t->root, LEFT);
}

struct tree_node *tree_next(const struct tree_node *n)
{
	if (n->child[RIGHT])
		return outermost(n->child[RIGHT], LEFT);
	while (n->parent && n == n->parent->child[RIGHT])
		n = n->parent;
	return n->parent;
}

size_t tree_before(const struct tree_node *n)
{
	size_t before = size_of(n->child[LEFT]);

	must(tree_has(n));
	for (; n->parent; n = n->parent) {
		if (n == n->parent->child[RIGHT])
			before += 1 + size_of(n->parent->child[LEFT]);
	}
	return before;
}
