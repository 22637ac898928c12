/*
 * driver.c - queue/order.c as a program, for tests/order/run.py: one line in, one line out.
 *
 *      join SHARE WEIGHT YIELDS    its rank and start as hexadecimal floats; it is number 1, 2, …
 *      turn                        the number of the one with the lowest rank, which is served
 *      leave NUMBER                leaves without a turn: how many are left
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "queue/order.h"

enum { JOINS_MAX = 100000 };

struct waiter {
	struct tree_node node; /* in no tree: it has gone */
	struct order_place place;
};

static struct order order;
static struct tree line;
static struct waiter *waiters; /* number 1 is the first */
static size_t joined;

static void join(const char *share, double weight, long yields)
{
	struct waiter *w = &waiters[joined++];

	must(joined <= JOINS_MAX);
	w->place = order_join(&order, &(struct order_guest){ share, weight, yields });
	tree_insert(&line, &w->node, w->place.rank);
	printf("%a %a\n", w->place.rank, w->place.start);
}

static void turn(void)
{
	struct tree_node *first = tree_first(&line);
	struct waiter *w = container_of(first, struct waiter, node);

	must(first);
	tree_remove(&line, first);
	order_turn(&order, &w->place, (int64_t)tree_count(&line));
	printf("%zu\n", (size_t)(w - waiters) + 1);
}

static void leave(size_t number)
{
	must(number && number <= joined);
	tree_remove(&line, &waiters[number - 1].node);
	if (!tree_count(&line))
		order_is_empty(&order);
	printf("%zu\n", tree_count(&line));
}

int main(void)
{
	char text[256], share[64];
	double weight;
	size_t number;
	long yields;

	waiters = xcalloc(JOINS_MAX, sizeof *waiters);
	while (fgets(text, sizeof text, stdin)) {
		if (sscanf(text, "join %63s %lf %ld", share, &weight, &yields) == 3)
			join(share, weight, yields);
		else if (sscanf(text, "leave %zu", &number) == 1)
			leave(number);
		else if (!strcmp(text, "turn\n"))
			turn();
		else
			return 2;
	}
	order_clear(&order);
	free(waiters);
	return 0;
}
