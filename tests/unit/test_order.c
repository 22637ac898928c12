/*
 * queue/order.c: what follows from the rule, each sentence of order.h by itself. tests/order
 * compares the numbers.
 */
#include <stdlib.h>

#include "check.h"
#include "queue/order.h"

enum { DEEP = 5 }; /* requests that a busy share has in line */

struct waiter {
	struct tree_node node;
	struct order_place place;
	int share, number;
};

/* One turn at a time. Shares are numbers; those beyond 0 and 1 have the weight 1. */
struct line {
	struct order order;
	struct tree waiters;
	double weight[2];
	int joined;
};

static void join_as(struct line *l, int share, int64_t yields)
{
	struct waiter *w = xcalloc(1, sizeof *w);
	char name[32];
	struct order_guest guest = { name, 1, yields };

	snprintf(name, sizeof name, "share-%d", share);
	if (share >= 0 && share < 2 && l->weight[share] > 0)
		guest.weight = l->weight[share];
	w->place = order_join(&l->order, &guest);
	w->share = share;
	w->number = l->joined++;
	tree_insert(&l->waiters, &w->node, w->place.rank);
}

static void join(struct line *l, int share)
{
	join_as(l, share, 0);
}

/* Whose turn it is; `*ret_number`: which of all that joined. */
static int turn(struct line *l, int *ret_number)
{
	struct waiter *w = container_of(tree_first(&l->waiters), struct waiter, node);
	int share = w->share;

	if (ret_number)
		*ret_number = w->number;
	tree_remove(&l->waiters, &w->node);
	order_turn(&l->order, &w->place, (int64_t)tree_count(&l->waiters));
	free(w);
	return share;
}

static void clear(struct line *l)
{
	while (tree_count(&l->waiters))
		turn(l, NULL);
	order_clear(&l->order);
	order_clear(&l->order);
}

/* `shares` of them, always with DEEP in line, after some turns. */
static void make_busy(struct line *l, int shares, int turns)
{
	for (int s = 0; s < shares; s++)
		for (int i = 0; i < DEEP; i++)
			join(l, s);
	while (turns--)
		join(l, turn(l, NULL));
}

/* How many turns the others get before `share` does, while each of them joins again at once. */
static int turns_before(struct line *l, int share)
{
	for (int n = 0; n < 1000000; n++) {
		int who = turn(l, NULL);

		if (who == share)
			return n;
		join(l, who);
	}
	return -1;
}

/* Two who always wait get turns in the ratio of their weights, to within one turn. */
static void test_weights(void)
{
	static const double weights[][2] = {
		{ 1, 1 }, { 3, 1 },    { 1, .25 }, { 1.0 / 3, 1 }, { 100, .01 },
		{ 2, 7 }, { 100, 50 }, { 99, 98 }, { .01, .02 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(weights); i++) {
		struct line l = { .weight = { weights[i][0], weights[i][1] } };
		double part = l.weight[0] / (l.weight[0] + l.weight[1]), apart = 0;
		int got = 0;

		make_busy(&l, 2, 0);
		for (int n = 1; n <= 20000; n++) {
			int s = turn(&l, NULL);

			got += s == 0;
			join(&l, s);
			apart = MAX(apart, got - n * part);
			apart = MAX(apart, n * part - got);
		}
		CHECK(apart <= 1);
		clear(&l);
	}
}

/* A fresh share is served after at most one turn of each other waiting share. */
static void test_fresh_share(void)
{
	static const int busy[] = { 1, 3, 5, 50, 200, 1000 };

	for (size_t i = 0; i < ARRAY_SIZE(busy); i++) {
		for (int turns = 0; turns <= 2 * busy[i]; turns += MAX(1, busy[i] / 10)) {
			struct line l = { 0 };

			make_busy(&l, busy[i], turns);
			join(&l, 5000);
			CHECK(turns_before(&l, 5000) <= busy[i]);
			clear(&l);
		}
	}
}

/* A script's thirty, then a person. */
static void test_script_and_person(void)
{
	struct line l = { 0 };

	for (int i = 0; i < 30; i++)
		join(&l, 7);
	turn(&l, NULL);
	join(&l, 8);
	CHECK(turns_before(&l, 8) <= 1);
	clear(&l);
}

/* One that yields is passed by at most that many rounds. */
static void test_yielding(void)
{
	static const int busy[] = { 1, 3, 10 };

	for (size_t i = 0; i < ARRAY_SIZE(busy); i++) {
		struct line l = { 0 };
		int turns;

		make_busy(&l, busy[i], 3);
		join_as(&l, 5000, 20);
		turns = turns_before(&l, 5000);
		CHECK(turns >= 19 * busy[i] && turns <= 21 * busy[i]);
		clear(&l);
	}
}

/* A person's own agents yield: they neither precede nor push back that person's prompt. */
static void test_own_agents(void)
{
	struct line l = { 0 };
	int number;

	for (int i = 0; i < 15; i++)
		join_as(&l, 3, 20);
	turn(&l, NULL);
	join(&l, 3);
	turn(&l, &number);
	CHECK_INT(number, 15);
	for (int i = 0; i < 3; i++)
		join(&l, 4);
	join(&l, 5); /* one whose agents are in line is no worse off than one without */
	join_as(&l, 5, 20);
	join_as(&l, 6, 20);
	join(&l, 6);
	turn(&l, &number);
	CHECK_INT(number, 16); /* of share 4, as 5 and 6 came later */
	turn(&l, &number);
	CHECK_INT(number, 19);
	turn(&l, &number);
	CHECK_INT(number, 22);
	clear(&l);
}

/* A round lasts at most as many turns as wait, or 64: ten of one share against ever new ones. */
static void test_nobody_starves(void)
{
	struct line l = { 0 };
	int served = 0, last = 0;

	for (int i = 0; i < 10; i++)
		join(&l, 0);
	for (int t = 0; t < 3000; t++) {
		join(&l, 100 + t);
		if (turn(&l, NULL) == 0) {
			served++;
			last = t;
		}
	}
	CHECK_INT(served, 10);
	CHECK(last <= 9 * ORDER_STEPS_MIN + 10);
	clear(&l);
}

/* The same where many wait: a crowd of 500 new shares that grows by one a turn. */
static void test_nobody_starves_in_a_crowd(void)
{
	struct line l = { 0 };
	int when = -1;

	for (int s = 0; s < 500; s++)
		join(&l, 100 + s);
	join(&l, 0);
	join(&l, 0);
	for (int t = 0, seen = 0; t < 5000 && when < 0; t++) {
		join(&l, 1000 + t);
		seen += turn(&l, NULL) == 0;
		when = seen == 2 ? t : -1;
	}
	CHECK(when >= 0 && when <= 2 * 502);
	clear(&l);
}

static void test_one_share_is_fifo(void)
{
	struct line l = { 0 };
	int served = 0, number;

	srand(3);
	while (served < 3000) {
		if (l.joined < 3000 && rand() % 2) {
			join(&l, 6);
		} else if (tree_count(&l.waiters)) {
			turn(&l, &number);
			CHECK_INT(number, served++);
		}
	}
	clear(&l);
}

/* Equal starts go by arrival. */
static void test_ties(void)
{
	struct line l = { 0 };
	int number;

	for (int i = 0; i < 1000; i++)
		join(&l, 1000 - i);
	for (int i = 0; i < 1000; i++) {
		turn(&l, &number);
		CHECK_INT(number, i);
	}
	clear(&l);
}

/* Who was away for long has no more than who comes for the first time: not two turns in a row. */
static void test_idle_share_saves_nothing(void)
{
	struct line l = { 0 };
	int number;

	join(&l, 0);
	turn(&l, NULL);
	for (int i = 0; i < 500; i++)
		join(&l, 1);
	for (int i = 0; i < 400; i++)
		turn(&l, NULL);
	for (int i = 0; i < 2; i++)
		join(&l, 0);
	join(&l, 2);
	turn(&l, NULL);
	turn(&l, NULL);
	turn(&l, &number);
	CHECK(number != 502); /* by then the new share has had its turn, and only one of share 0 */
	CHECK_INT(tree_count(&l.waiters), 100);
	clear(&l);
}

/* An empty line forgets who had how much. */
static void test_empty_line_forgets(void)
{
	struct line l = { 0 };

	for (int i = 0; i < 50; i++)
		join(&l, 0);
	for (int i = 0; i < 50; i++)
		turn(&l, NULL);
	CHECK_INT(tree_count(&l.order.finishes), 0);
	join(&l, 0);
	join(&l, 1);
	CHECK_INT(turn(&l, NULL), 0); /* equal, so by arrival */
	CHECK_INT(turn(&l, NULL), 1);
	clear(&l);
}

/* Ever new shares that join behind one holder and leave: what is remembered has an end. */
static void test_shares_are_bounded(void)
{
	struct line l = { 0 };
	struct order_guest heavy = { "heavy", .01, 0 };

	order_join(&l.order, &heavy);
	for (int i = 0; i < 3 * ORDER_SHARES_MAX; i++)
		join(&l, i);
	CHECK_INT(tree_count(&l.order.finishes), ORDER_SHARES_MAX);
	CHECK(order_join(&l.order, &heavy).start == 100); /* the lowest went, not the highest */
	clear(&l);
}

/* What V has passed is as good as absent, and goes. */
static void test_passed_shares_go(void)
{
	struct line l = { 0 };

	make_busy(&l, 2, 0);
	for (int i = 0; i < 5000; i++) {
		join(&l, 10 + i);
		turn(&l, NULL);
	}
	CHECK(tree_count(&l.order.finishes) <= ORDER_STEPS_MIN + 2 + tree_count(&l.waiters));
	clear(&l);
}

static void test_weights_have_limits(void)
{
	struct order o = { 0 };
	struct order_guest none = { "a", 0, 0 }, huge = { "b", 1e9, 0 };

	order_join(&o, &none);
	CHECK(order_join(&o, &none).start == 100);
	order_join(&o, &huge);
	CHECK(order_join(&o, &huge).start == .01);
	order_clear(&o);
}

int main(void)
{
	test_weights();
	test_fresh_share();
	test_script_and_person();
	test_yielding();
	test_own_agents();
	test_nobody_starves();
	test_nobody_starves_in_a_crowd();
	test_one_share_is_fifo();
	test_ties();
	test_idle_share_saves_nothing();
	test_empty_line_forgets();
	test_shares_are_bounded();
	test_passed_shares_go();
	test_weights_have_limits();
	return check_done();
}
