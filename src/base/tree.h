/*
 * tree.h - an intrusive ordered tree that counts: first, next, and how many are before.
 *
 * Nodes are ordered by a number; of equal ones, whoever was inserted later comes later. Insertion,
 * removal and tree_before() take O(log n) steps, no allocation and no recursion.
 *
 * A weight-balanced tree: its balance is the size that the counting needs anyway. Adams,
 * "Efficient sets: a balancing act" (1993), with the parameters <3, 2> that Hirai and Yamamoto,
 * "Balancing weight-balanced trees" (2011), prove to be right.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Zeroed, it is in no tree. */
struct tree_node {
	struct tree_node *parent, *child[2];
	size_t size; /* of the subtree, itself included; 0: in no tree */
	double key;
};

/* Zeroed, it is empty. */
struct tree {
	struct tree_node *root;
};

/* `n` must be in no tree; `key` must be a number (no NaN). */
void tree_insert(struct tree *t, struct tree_node *n, double key);

/* Takes `n` out of its tree; of none: nothing. */
void tree_remove(struct tree *t, struct tree_node *n);

/* The lowest, and the one behind `n`; NULL: there is none. */
struct tree_node *tree_first(const struct tree *t);
struct tree_node *tree_next(const struct tree_node *n);

/* How many are before `n`, which must be in a tree. */
size_t tree_before(const struct tree_node *n);

static inline size_t tree_count(const struct tree *t)
{
	return t->root ? t->root->size : 0;
}

static inline bool tree_has(const struct tree_node *n)
{
	return n->size != 0;
}
