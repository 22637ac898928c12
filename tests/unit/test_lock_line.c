/*
 * test_lock_line.c - the contract of lock.h, on each backend: ranks and shares, several turns, the
 * interval, places that are kept.
 */
#include "lock_pair.h"

enum { MANY = 24 };

/* A case's tickets. Each joins when the one before has its answer, so that who came first is known. */
struct party {
	struct fixture *f;
	struct lock_terms terms;
	struct guest g[MANY];
	int count;
	char served[4 * MANY]; /* the shares, in the order of their turns */
};

static const struct lock_terms usual = { .ttl_ms = 3000,
					 .max_hold_ms = 60000,
					 .max_waiting = 1000,
					 .turns = 1,
					 .yield_rounds = 20,
					 .keep_place_ms = 60000 };

static struct guest *add(struct party *p, const char *share, double weight, const char *keep_key)
{
	struct guest *g = &p->g[p->count];

	CHECK(p->count < MANY);
	if (!p->terms.ttl_ms)
		p->terms = usual;
	*g = (struct guest){ .t.terms = p->terms, .t.standing.weight = weight };
	snprintf(g->t.standing.share, sizeof g->t.standing.share, "%s", share);
	snprintf(g->t.standing.keep_key, sizeof g->t.standing.keep_key, "%s", keep_key);
	g->b = p->f->b[p->count++ % 2];
	return g;
}

static void join(struct party *p, struct guest *g)
{
	guest_enter(g, g->b, p->f->account);
	UNTIL(p->f, g->granted || g->waiting || g->full);
}

/* One of that share: "a" to "z"; capitals yield, as the same share. */
static struct guest *come(struct party *p, char share)
{
	bool yields = share >= 'A' && share <= 'Z';
	char name[] = { yields ? (char)(share - 'A' + 'a') : share, '\0' };
	struct guest *g = add(p, name, 1, "");

	g->t.standing.yields = yields;
	g->t.standing.mark[0] = share;
	join(p, g);
	return g;
}

static void come_all(struct party *p, const char *shares)
{
	for (; *shares; shares++)
		come(p, *shares);
}

static struct guest *holder(struct party *p)
{
	for (int i = 0; i < p->count; i++) {
		if (p->g[i].granted && !p->g[i].lost)
			return &p->g[i];
	}
	return NULL;
}

static int holders(struct party *p)
{
	int n = 0;

	for (int i = 0; i < p->count; i++)
		n += p->g[i].granted && !p->g[i].lost;
	return n;
}

static int waiters(struct party *p)
{
	int n = 0;

	for (int i = 0; i < p->count; i++)
		n += p->g[i].waiting && !p->g[i].granted;
	return n;
}

static void leave(struct guest *g, enum lock_end end)
{
	guest_end(g, end);
	g->granted = g->waiting = 0;
}

/* Serves all, one at a time, and writes down whose turn it was by the mark. */
static const char *serve_all(struct party *p)
{
	size_t n = 0;

	while (holder(p) || waiters(p)) {
		struct guest *g;

		UNTIL(p->f, holder(p));
		g = holder(p);
		if (!g)
			break;
		p->served[n++] = g->t.standing.mark[0];
		leave(g, LOCK_USED);
	}
	p->served[n] = '\0';
	return p->served;
}

/* Each share in turn; within one in the order of arrival. */
static void test_fair(struct fixture *f)
{
	struct party p = { .f = f };
	struct guest *person;

	come_all(&p, "xaaaaa");
	person = come(&p, 'b');
	CHECK_INT(person->position, 2); /* the holder, and the first of a */
	CHECK(person->rank > 0);
	CHECK_INT(lock_position(person->b, &person->t), 2);
	come_all(&p, "bc");
	CHECK_STR(serve_all(&p), "xabcabaaa");
}

static void test_order_within_a_share(struct fixture *f)
{
	struct party p = { .f = f };

	come_all(&p, "xaba");
	p.g[1].t.standing.mark[0] = '1';
	p.g[3].t.standing.mark[0] = '2';
	CHECK_STR(serve_all(&p), "x1b2");
}

static void test_weights(struct fixture *f)
{
	struct party p = { .f = f };
	static const double weights[] = { 1.0 / 3, 1 };

	come_all(&p, "x");
	for (int i = 0; i < 12; i++) {
		struct guest *g = add(&p, i % 2 ? "b" : "a", weights[i % 2], "");

		g->t.standing.mark[0] = i % 2 ? 'b' : 'a';
		join(&p, g);
	}
	CHECK_STR(serve_all(&p), "xabbbabbbaaaa");
}

/* Own agents behind one's own prompt, and not in anybody's way for longer than some rounds. */
static void test_yielding(struct fixture *f)
{
	struct party p = { .f = f };

	p.terms = usual;
	p.terms.yield_rounds = 2;
	come_all(&p, "xAAAA");
	come_all(&p, "abbbbb");
	CHECK_STR(serve_all(&p), "xabbAbAbAbA");
}

static void test_yielding_alone(struct fixture *f)
{
	struct party p = { .f = f };

	come_all(&p, "AAA");
	CHECK_STR(serve_all(&p), "AAA");
}

static void test_arrival(struct fixture *f)
{
	struct party p = { .f = f };

	p.terms = usual;
	p.terms.order = QUEUE_ORDER_ARRIVAL;
	come_all(&p, "xaaAabBcab");
	CHECK_STR(serve_all(&p), "xaaAabBcab");
}

/* The order is changed while some wait: their ranks stay, and nobody is put off for long. */
static void test_order_changes(struct fixture *f)
{
	struct party p = { .f = f };

	p.terms = usual;
	come_all(&p, "xaaa");
	p.terms.order = QUEUE_ORDER_ARRIVAL;
	come_all(&p, "bc");
	p.terms.order = QUEUE_ORDER_FAIR;
	come_all(&p, "d");
	CHECK_STR(serve_all(&p), "xabdaca");
}

/* With an empty line nobody has anything to make up for. */
static void test_empty_line_forgets(struct fixture *f)
{
	struct party p = { .f = f };

	come_all(&p, "xaaaa");
	serve_all(&p);
	p.count = 0;
	come_all(&p, "xabab");
	CHECK_STR(serve_all(&p), "xabab");
}

static void come_in_vain(struct party *p, char share)
{
	struct guest *g = come(p, share);

	CHECK_INT(g->full, 1);
	leave(g, LOCK_UNUSED);
	p->count--;
}

static void test_max_waiting_per_share(struct fixture *f)
{
	struct party p = { .f = f };

	p.terms = usual;
	p.terms.max_waiting_per_share = 2;
	come_all(&p, "xaA");
	come_in_vain(&p, 'a');
	come_all(&p, "b");
	leave(&p.g[1], LOCK_UNUSED); /* makes room */
	settle(f);
	CHECK_INT(come(&p, 'a')->full, 0);
	come_in_vain(&p, 'a');
	leave(&p.g[0], LOCK_USED); /* so does a turn */
	UNTIL(f, p.g[3].granted);
	leave(&p.g[3], LOCK_USED);
	UNTIL(f, p.g[4].granted);
	CHECK_INT(come(&p, 'a')->full, 0);
	serve_all(&p);
}

static void test_turns(struct fixture *f)
{
	struct party p = { .f = f };

	p.terms = usual;
	p.terms.turns = 2;
	come_all(&p, "aaaaaa");
	CHECK_INT(holders(&p), 2);
	CHECK_INT(p.g[2].position, 2);
	CHECK_INT(p.g[5].position, 5);
	for (int i = 0; i < 6; i++) {
		UNTIL(f, p.g[i].granted);
		settle(f);
		CHECK_INT(holders(&p), MIN(2, 6 - i));
		leave(&p.g[i], LOCK_USED);
	}
	UNTIL(f, !holders(&p));
}

/* Fewer turns end none; more are handed out at once. */
static void test_turns_change(struct fixture *f)
{
	struct party p = { .f = f };
	struct lock_terms more = usual;

	p.terms = usual;
	p.terms.turns = 3;
	come_all(&p, "aaa");
	CHECK_INT(holders(&p), 3);
	p.terms.turns = 1;
	come_all(&p, "bbbbb");
	leave(&p.g[0], LOCK_USED);
	leave(&p.g[1], LOCK_USED);
	settle(f);
	CHECK_INT(holders(&p), 1);
	CHECK_INT(p.g[2].lost, 0);
	leave(&p.g[2], LOCK_USED);
	UNTIL(f, p.g[3].granted);
	settle(f);
	CHECK_INT(holders(&p), 1);
	more.turns = 4;
	lock_retune(f->b[1], f->account, &more);
	UNTIL(f, holders(&p) == 4);
	settle(f);
	CHECK_INT(holders(&p), 4);
	CHECK_INT(p.g[7].granted, 0);
	more.turns = 1;
	lock_retune(f->b[0], f->account, &more);
	settle(f);
	for (int i = 3; i < 7; i++) {
		leave(&p.g[i], LOCK_USED);
		settle(f);
		CHECK_INT(p.g[7].granted, i == 6);
	}
	leave(&p.g[7], LOCK_USED);
}

/* Processes that differ: whoever came last says how many, for those as well who came with more. */
static void test_turns_differ(struct fixture *f)
{
	struct party p = { .f = f };

	p.terms = usual;
	p.terms.turns = 3;
	come_all(&p, "aaaa");
	CHECK_INT(holders(&p), 3);
	p.terms.turns = 1;
	come_all(&p, "a");
	leave(&p.g[0], LOCK_USED);
	leave(&p.g[1], LOCK_USED);
	settle(f);
	CHECK_INT(holders(&p), 1);
	CHECK_INT(p.g[2].lost + p.g[3].granted, 0);
	leave(&p.g[2], LOCK_USED);
	UNTIL(f, p.g[3].granted);
	settle(f);
	CHECK_INT(holders(&p), 1);
	p.terms.turns = 3;
	come_all(&p, "aa");
	UNTIL(f, holders(&p) == 3);
	serve_all(&p);
}

/* One of two loses its turn: the other keeps its own, and the next is served. */
static void test_one_of_two_is_lost(struct fixture *f)
{
	struct party p = { .f = f };

	p.terms = usual;
	p.terms.turns = 2;
	come_all(&p, "a");
	p.terms.max_hold_ms = 100;
	p.terms.ttl_ms = 1000;
	come_all(&p, "b");
	p.terms = usual;
	p.terms.turns = 2;
	come_all(&p, "c");
	UNTIL(f, p.g[1].lost);
	UNTIL(f, p.g[2].granted);
	CHECK_INT(p.g[0].lost, 0);
	CHECK(lock_holds(p.g[0].b, &p.g[0].t));
	for (int i = 0; i < 3; i++)
		leave(&p.g[i], LOCK_USED);
}

/* From one start to the next, also of turns that are given at the same time. */
static void test_interval(struct fixture *f)
{
	struct party p = { .f = f };

	p.terms = usual;
	p.terms.turns = 3;
	p.terms.interval_ms = 20000;
	come_all(&p, "aaaa");
	CHECK_INT(p.g[0].delay_ms, 0);
	CHECK(p.g[1].delay_ms > 15000 && p.g[1].delay_ms <= 20000);
	CHECK(p.g[2].delay_ms > 35000 && p.g[2].delay_ms <= 40000);
	leave(&p.g[2], LOCK_UNUSED); /* one that nobody used starts no interval */
	UNTIL(f, p.g[3].granted);
	CHECK(p.g[3].delay_ms > 35000 && p.g[3].delay_ms <= 40000);
	leave(&p.g[3], LOCK_UNUSED);
	leave(&p.g[1], LOCK_UNUSED);
	leave(&p.g[0], LOCK_USED);
	settle(f); /* theirs came over two connections */
	p.count = 0;
	come_all(&p, "a"); /* the account remembers it, as it does the delay */
	CHECK(p.g[0].delay_ms > 10000 && p.g[0].delay_ms <= 20000);
	leave(&p.g[0], LOCK_UNUSED);
}

/* Who is given a turn later, with a shorter delay, doesn't begin earlier. */
static void test_starts_in_order(struct fixture *f)
{
	struct party p = { .f = f, .terms = usual };

	p.terms.turns = 2;
	come_all(&p, "a");
	leave(&p.g[0], LOCK_USED);
	settle(f);
	p.terms.delay_ms = 20000;
	come_all(&p, "b");
	p.terms.delay_ms = 0;
	come_all(&p, "c");
	CHECK(p.g[1].delay_ms > 15000 && p.g[1].delay_ms <= 20000);
	CHECK(p.g[2].delay_ms > 10000 && p.g[2].delay_ms <= 20000);
	leave(&p.g[1], LOCK_UNUSED);
	leave(&p.g[2], LOCK_UNUSED);
}

/* The longer one of delay and interval counts. */
static void test_interval_and_delay(struct fixture *f)
{
	struct party p = { .f = f };

	p.terms = usual;
	p.terms.interval_ms = 1000;
	p.terms.delay_ms = 10000;
	come_all(&p, "aa");
	leave(&p.g[0], LOCK_USED);
	UNTIL(f, p.g[1].granted);
	CHECK(p.g[1].delay_ms > 5000 && p.g[1].delay_ms <= 10000);
	leave(&p.g[1], LOCK_UNUSED);
}

static struct guest *come_with_key(struct party *p, const char *share, const char *key)
{
	struct guest *g = add(p, share, 1, key);

	g->t.standing.mark[0] = key[0];
	join(p, g);
	return g;
}

/* Whoever comes back in time is where it would have been. The line has gone on meanwhile. */
static void test_kept_place(struct fixture *f)
{
	struct party p = { .f = f };
	struct guest *back;
	double rank;

	come_all(&p, "x");
	come_with_key(&p, "a", "1");
	come_with_key(&p, "a", "2");
	come_with_key(&p, "a", "3");
	rank = p.g[2].rank;
	leave(&p.g[2], LOCK_KEEP);
	come_with_key(&p, "a", "4");
	leave(&p.g[0], LOCK_USED);
	UNTIL(f, p.g[1].granted); /* 1 is served */
	back = come_with_key(&p, "a", "2");
	CHECK(back->rank == rank);
	CHECK_INT(back->position, 1);
	CHECK_STR(serve_all(&p), "1234");
	CHECK(come_with_key(&p, "a", "2")->rank != rank); /* it was taken */
	serve_all(&p);
}

/* Of one who had the turn, but didn't use it. */
static void test_kept_turn(struct fixture *f)
{
	struct party p = { .f = f };

	come_with_key(&p, "a", "1");
	come_with_key(&p, "a", "2");
	come_with_key(&p, "a", "3");
	leave(&p.g[0], LOCK_KEEP);
	UNTIL(f, p.g[1].granted);
	CHECK_INT(come_with_key(&p, "a", "1")->position, 1);
	CHECK_STR(serve_all(&p), "213");
}

static void test_kept_place_ends(struct fixture *f)
{
	struct party p = { .f = f };
	int64_t since;

	p.terms = usual;
	p.terms.keep_place_ms = 200;
	come_all(&p, "x");
	come_with_key(&p, "a", "1");
	come_with_key(&p, "a", "2");
	leave(&p.g[1], LOCK_KEEP);
	since = clock_ms();
	UNTIL(f, clock_ms() >= since + 250);
	come_with_key(&p, "a", "1");
	CHECK_STR(serve_all(&p), "x21");
}

/* Only by the same key; one without a key, or with keep_place_ms = 0, keeps nothing. */
static void test_whose_place_is_kept(struct fixture *f)
{
	struct party p = { .f = f };

	p.terms = usual;
	come_all(&p, "x");
	come_with_key(&p, "a", "1");
	come_with_key(&p, "a", "");
	p.terms.keep_place_ms = 0;
	come_with_key(&p, "a", "3");
	p.terms = usual;
	come_with_key(&p, "a", "4");
	leave(&p.g[1], LOCK_KEEP);
	leave(&p.g[2], LOCK_KEEP);
	leave(&p.g[3], LOCK_KEEP);
	come_with_key(&p, "a", "5");
	come_with_key(&p, "a", "3");
	CHECK_STR(serve_all(&p), "x453");
}

/* A share keeps so many places at most: the oldest go. */
static void test_kept_places_are_bounded(struct fixture *f)
{
	struct party p = { .f = f };

	come_all(&p, "x");
	for (int i = 0; i <= LOCK_KEPT_PER_SHARE_MAX; i++) {
		char key[] = { (char)('a' + i), '\0' };

		come_with_key(&p, "a", key);
	}
	come_with_key(&p, "a", "z");
	for (int i = 1; i <= LOCK_KEPT_PER_SHARE_MAX + 1; i++)
		leave(&p.g[i], LOCK_KEEP);
	settle(f);
	come_with_key(&p, "a", "a"); /* the oldest: to the end */
	come_with_key(&p, "a", "b"); /* the next: to its old place */
	CHECK_STR(serve_all(&p), "xbza");
}

static void test_kept_place_in_a_full_line(struct fixture *f)
{
	struct party p = { .f = f };
	struct guest *back;

	p.terms = usual;
	p.terms.max_waiting = 2;
	come_all(&p, "x");
	come_with_key(&p, "a", "1");
	come_with_key(&p, "a", "2");
	leave(&p.g[1], LOCK_KEEP);
	settle(f);
	come_with_key(&p, "a", "3");
	back = come_with_key(&p, "a", "1");
	CHECK_INT(back->full, 1);
	leave(back, LOCK_UNUSED);
	p.count--;
	leave(&p.g[3], LOCK_UNUSED);
	settle(f);
	come_with_key(&p, "a", "1");
	CHECK_STR(serve_all(&p), "x12");
}

static void test_kept_stats(struct fixture *f)
{
	struct lock_stats before, after;
	struct party p = { .f = f };

	f->b[1]->ops->stats(f->b[1], &before);
	come_all(&p, "x");
	come_with_key(&p, "a", "1");
	leave(&p.g[1], LOCK_KEEP);
	settle(f);
	f->b[1]->ops->stats(f->b[1], &after);
	CHECK_INT(after.kept, before.kept + 1);
	come_all(&p, "x");
	come_with_key(&p, "a", "1"); /* by the same process */
	f->b[1]->ops->stats(f->b[1], &after);
	CHECK_INT(after.kept, before.kept);
	CHECK_INT(after.returned, before.returned + 1);
	serve_all(&p);
}

int main(void)
{
	static const struct pair_case cases[] = {
		{ "fair", test_fair },
		{ "order within a share", test_order_within_a_share },
		{ "weights", test_weights },
		{ "yielding", test_yielding },
		{ "yielding alone", test_yielding_alone },
		{ "arrival", test_arrival },
		{ "the order changes", test_order_changes },
		{ "an empty line forgets", test_empty_line_forgets },
		{ "max waiting per share", test_max_waiting_per_share },
		{ "turns", test_turns },
		{ "turns change", test_turns_change },
		{ "processes that differ", test_turns_differ },
		{ "one of two is lost", test_one_of_two_is_lost },
		{ "interval", test_interval },
		{ "starts in order", test_starts_in_order },
		{ "interval and delay", test_interval_and_delay },
		{ "a place that is kept", test_kept_place },
		{ "a turn that is kept", test_kept_turn },
		{ "a place isn't kept for ever", test_kept_place_ends },
		{ "whose place is kept", test_whose_place_is_kept },
		{ "places that are kept are bounded", test_kept_places_are_bounded },
		{ "a place that is kept, and a full line", test_kept_place_in_a_full_line },
		{ "places that are kept are counted", test_kept_stats },
		{ "stop", pair_stop },
	};

	return pair_main(cases, ARRAY_SIZE(cases));
}
