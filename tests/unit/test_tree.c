/* base/tree.c: the same order and counts as a sorted array, and a depth that stays logarithmic. */
#include <stdlib.h>

#include "base/tree.h"
#include "check.h"

enum { NODES = 600, STEPS = 60000 };

struct fixture {
	struct tree tree;
	struct tree_node nodes[NODES];
	struct tree_node *sorted[NODES]; /* what the tree must be */
	size_t count;
};

static size_t index_of(const struct fixture *f, const struct tree_node *n)
{
	size_t i = 0;

	while (f->sorted[i] != n)
		i++;
	return i;
}

static void insert(struct fixture *f, struct tree_node *n, double key)
{
	size_t at = f->count++;

	for (; at > 0 && f->sorted[at - 1]->key > key; at--)
		f->sorted[at] = f->sorted[at - 1];
	f->sorted[at] = n;
	tree_insert(&f->tree, n, key);
}

static void take_out(struct fixture *f, struct tree_node *n)
{
	size_t at = index_of(f, n);

	for (f->count--; at < f->count; at++)
		f->sorted[at] = f->sorted[at + 1];
	tree_remove(&f->tree, n);
	tree_remove(&f->tree, n); /* the second time it is in none */
}

static size_t weight(const struct tree_node *n)
{
	return 1 + (n ? n->size : 0);
}

/* What makes the depth logarithmic: neither child weighs more than three times the other. */
static bool is_balanced(const struct tree_node *n)
{
	size_t left = weight(n->child[0]), right = weight(n->child[1]);

	return left <= 3 * right && right <= 3 * left && weight(n) == left + right;
}

static void check_all(const struct fixture *f)
{
	struct tree_node *n = tree_first(&f->tree);

	CHECK_INT(tree_count(&f->tree), f->count);
	for (size_t i = 0; i < f->count; i++) {
		CHECK(n == f->sorted[i]);
		if (!n)
			return;
		CHECK_INT(tree_before(n), i);
		CHECK(is_balanced(n));
		n = tree_next(n);
	}
	CHECK(!n);
}

static void test_random(unsigned seed, int keys)
{
	struct fixture f = { 0 };

	srand(seed);
	for (int i = 0; i < STEPS; i++) {
		struct tree_node *n = &f.nodes[rand() % NODES];

		if (tree_has(n))
			take_out(&f, n);
		else
			insert(&f, n, rand() % keys); /* few keys: many ties */
		if (i % 500 == 0)
			check_all(&f);
	}
	check_all(&f);
}

/* As a line is: in at the end, out at the front; and the other way round. */
static void test_queue(bool backwards)
{
	struct fixture f = { 0 };

	for (int i = 0; i < NODES; i++)
		insert(&f, &f.nodes[i], backwards ? -i : i);
	check_all(&f);
	for (int i = 0; i < NODES - 1; i++) {
		take_out(&f, tree_first(&f.tree));
		if (i % 50 == 0)
			check_all(&f);
	}
	CHECK_INT(tree_count(&f.tree), 1);
	take_out(&f, tree_first(&f.tree));
	CHECK(!tree_first(&f.tree));
}

int main(void)
{
	for (unsigned seed = 1; seed <= 4; seed++) {
		test_random(seed, 7);
		test_random(seed, 1000000);
	}
	test_queue(false);
	test_queue(true);
	return check_done();
}
