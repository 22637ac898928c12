/*
 * test_lock_query.c - the contract of query.h, on each backend. redis runs with two backends on one server:
 * two sidecars in one process. memory has one, under both names.
 */
#include <errno.h>
#include <signal.h>

#include "lock_guest.h"
#include "queue/query.h"
#include "redis_server.h"

struct fixture {
	struct loop loop;
	struct lock_backend *b[2];
	struct redis_server *server; /* NULL: memory */
	char account[32];            /* another one for each case */
};

/* A query that keeps a copy of what it was answered. */
struct asker {
	struct lock_query q;
	bool inside;
	int answers, error;
	size_t count;
	int64_t next;
	struct lock_view view; /* without its lists */
	struct lock_holder holder;
	struct lock_waiter first;
	struct lock_sample sample;
	char names[8][LOCK_ACCOUNT_MAX];
	int64_t known;
	size_t whole;      /* views with waiters */
	char beacons[256]; /* all of them in a row */
};

static struct config config = {
	.queue = { .enabled = true, .cleanup_interval_ms = 60000, },
	.redis = { .key_prefix = "t", .instance = "one", .command_timeout_ms = 2000, .max_accounts = 10000 },
};

#define UNTIL(f, cond) CHECK(RUN_UNTIL(&(f)->loop, cond, 6000))

static void answered(struct lock_query *q, const struct lock_answer *a)
{
	struct asker *asker = container_of(q, struct asker, q);

	CHECK(!asker->inside && !q->entry);
	asker->answers++;
	asker->error = a->error;
	asker->count = a->count;
	asker->next = a->next;
	for (size_t i = 0; i < a->count && i < ARRAY_SIZE(asker->names); i++)
		memcpy(asker->names[i], a->views[i].account, LOCK_ACCOUNT_MAX);
	asker->known = a->known;
	for (size_t i = 0; i < a->beacon_count; i++)
		strncat(asker->beacons, a->beacons[i].text,
			sizeof asker->beacons - strlen(asker->beacons) - 1);
	for (size_t i = 0; i < a->count; i++)
		asker->whole += a->views[i].waiter_count > 1;
	if (!a->count)
		return;
	asker->view = a->views[0];
	asker->holder = *lock_view_first(&a->views[0]);
	if (a->views[0].waiter_count)
		asker->first = a->views[0].waiters[0];
	if (a->views[0].sample_count)
		asker->sample = a->views[0].samples[0];
}

static void put(struct asker *a, struct lock_backend *b)
{
	a->q.answered = answered;
	a->inside = true;
	lock_query_send(b, &a->q);
	a->inside = false;
}

/* Asks about the case's account and waits for the answer. */
static struct asker ask(struct fixture *f, int backend, enum lock_verb verb, const char *ticket)
{
	struct asker a = { .q = { .verb = verb, .account = f->account, .ticket = ticket } };

	put(&a, f->b[backend]);
	UNTIL(f, a.answers);
	CHECK_INT(a.answers, 1);
	return a;
}

static void enter(struct guest *g, struct fixture *f, int backend)
{
	snprintf(g->t.client, sizeof g->t.client, "192.0.2.%d", backend + 1);
	guest_enter(g, f->b[backend], f->account);
	UNTIL(f, g->granted || g->waiting);
}

static void test_look(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 }, c = { 0 };
	struct asker seen = ask(f, 0, LOCK_LOOK, NULL);

	CHECK_INT(seen.error, 0);
	CHECK_STR(seen.view.account, f->account);
	CHECK_STR(seen.holder.who.ticket, "");
	CHECK_INT(seen.holder.ttl_raw_ms, -2);
	CHECK_INT(seen.view.waiting + seen.view.last_at_ms + seen.view.paused_at_ms, 0);
	enter(&a, f, 0);
	enter(&b, f, 1);
	enter(&c, f, 0);
	seen = ask(f, 1, LOCK_LOOK, NULL);
	CHECK_STR(seen.holder.who.ticket, a.t.id);
	CHECK(!strncmp(seen.holder.who.ticket, "one.", 4));
	CHECK_STR(seen.holder.who.client, "192.0.2.1");
	CHECK(seen.holder.held_known && seen.holder.held_ms >= 0 && seen.holder.held_ms < 5000);
	CHECK(seen.holder.ttl_raw_ms > 0);
	CHECK_INT(seen.view.waiting, 2);
	CHECK_INT(seen.view.waiter_count, 2);
	CHECK_STR(seen.first.ticket, b.t.id);
	CHECK_STR(seen.first.client, "192.0.2.2");
	CHECK(seen.first.waited_ms >= 0 && seen.first.waited_ms < 5000);
	CHECK(seen.view.oldest_wait_ms >= 0 && seen.view.oldest_wait_ms < 5000);
	guest_leave(&a, true);
	UNTIL(f, b.granted);
	seen = ask(f, 0, LOCK_LOOK, NULL);
	CHECK_STR(seen.holder.who.ticket, b.t.id);
	CHECK(seen.holder.who.waited_ms >= 0);
	CHECK(llabs(seen.view.last_at_ms - clock_wall_ms()) < 5000);
	CHECK_INT(seen.view.sample_count, 1);
	CHECK(seen.sample.wait_ms >= 0 && seen.sample.hold_ms >= 0 && seen.sample.ago_ms < 5000);
	CHECK(seen.sample.hold_ms >= 0);
	guest_leave(&c, false); /* from the line */
	seen = ask(f, 1, LOCK_LOOK, NULL);
	CHECK_INT(seen.view.sample_count, 2);
	guest_leave(&b, false); /* a turn that wasn't used */
	seen = ask(f, 1, LOCK_LOOK, NULL);
	CHECK_INT(seen.view.sample_count, 3);
	if (f->server) { /* the latest is the first there, and the last with memory */
		CHECK_INT(seen.sample.hold_ms, -1);
		CHECK(seen.sample.wait_ms >= 0 && seen.sample.wait_ms < 5000);
	}
}

static void test_force(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };

	CHECK_INT(ask(f, 0, LOCK_FORCE, NULL).error, -ENOENT);
	enter(&a, f, 0);
	enter(&b, f, 1);
	CHECK_INT(ask(f, 1, LOCK_FORCE, NULL).error, 0);
	UNTIL(f, a.lost && b.granted);
	CHECK_INT(ask(f, 0, LOCK_FORCE, NULL).error, 0);
	UNTIL(f, b.lost);
	CHECK_STR(ask(f, 0, LOCK_LOOK, NULL).holder.who.ticket, "");
	guest_leave(&a, true);
	guest_leave(&b, true);
	enter(&a, f, 0);
	CHECK_INT(a.granted, 1);
	guest_leave(&a, false);
}

static void test_pause(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 }, c = { 0 };
	struct asker seen;

	CHECK_INT(ask(f, 0, LOCK_RESUME, NULL).error, -ENOENT);
	enter(&a, f, 0);
	CHECK_INT(ask(f, 0, LOCK_PAUSE, NULL).error, 0);
	CHECK_INT(ask(f, 1, LOCK_PAUSE, NULL).error, 0);
	CHECK_INT(a.lost, 0); /* running ones finish */
	enter(&b, f, 1);
	guest_leave(&a, true);
	enter(&c, f, 0);
	seen = ask(f, 1, LOCK_LOOK, NULL);
	CHECK_STR(seen.holder.who.ticket, "");
	CHECK_INT(seen.view.waiting, 2);
	CHECK(llabs(seen.view.paused_at_ms - clock_wall_ms()) < 10000);
	CHECK_INT(b.granted + c.granted, 0);
	CHECK_INT(ask(f, 0, LOCK_RESUME, NULL).error, 0);
	UNTIL(f, b.granted);
	CHECK_INT(c.granted, 0);
	guest_leave(&b, true);
	UNTIL(f, c.granted);
	guest_leave(&c, true);
	CHECK_INT(ask(f, 0, LOCK_LOOK, NULL).view.paused_at_ms, 0);
}

/* Nobody is there: the pause is kept all the same, and seen. */
static void test_pause_idle(struct fixture *f)
{
	struct guest a = { 0 };

	CHECK_INT(ask(f, 0, LOCK_PAUSE, NULL).error, 0);
	enter(&a, f, 1);
	CHECK_INT(a.waiting, 1);
	guest_leave(&a, false);
	CHECK(ask(f, 1, LOCK_LOOK, NULL).view.paused_at_ms > 0);
	CHECK_INT(ask(f, 1, LOCK_RESUME, NULL).error, 0);
	enter(&a, f, 0);
	CHECK_INT(a.granted, 1);
	guest_leave(&a, false);
}

static int removed_count;

static void hears_removed(struct lock_ticket *t, const struct lock_news *news)
{
	if (news->event == LOCK_REMOVED)
		removed_count++;
	else
		guest_hears(t, news);
}

static void test_remove(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 }, c = { 0 };

	removed_count = 0;
	CHECK_INT(ask(f, 0, LOCK_REMOVE, "nobody").error, -ENOENT);
	enter(&a, f, 0);
	enter(&b, f, 1);
	b.t.on_event = hears_removed;
	enter(&c, f, 0);
	CHECK_INT(ask(f, 0, LOCK_REMOVE, "nobody").error, -ENOENT);
	CHECK_INT(ask(f, 0, LOCK_REMOVE, a.t.id).error, -EBUSY);
	CHECK_INT(ask(f, 0, LOCK_REMOVE, b.t.id).error, 0);
	UNTIL(f, removed_count);
	CHECK_INT(ask(f, 0, LOCK_REMOVE, b.t.id).error, -ENOENT);
	CHECK_INT(ask(f, 0, LOCK_LOOK, NULL).view.waiting, 1);
	guest_leave(&b, false);
	guest_leave(&a, true);
	UNTIL(f, c.granted);
	guest_leave(&c, true);
	CHECK_INT(removed_count, 1);
	CHECK_INT(b.granted, 0);
}

/* The message to its process is lost: it hears of it at its next touch. */
static void test_remove_unheard(struct fixture *f)
{
	struct guest a = { 0 }, b = { 0 };

	if (!f->server)
		return;
	removed_count = 0;
	enter(&a, f, 0);
	enter(&b, f, 1);
	b.t.on_event = hears_removed;
	redis_ask(f->server, "ZREM t_wait:%s %s", f->account, b.t.id);
	redis_ask(f->server, "HSET t_who:%s %s %s", f->account, b.t.id, "removed 1");
	UNTIL(f, removed_count);
	guest_leave(&b, false);
	guest_leave(&a, false);
}

/* A lock of another program: of a relay with a lease, and an orphan with bytes that no JSON has. */
static void test_strangers(struct fixture *f)
{
	struct asker seen;

	if (!f->server)
		return;
	redis_ask(f->server, "SET t_lock:%s %s PX 60000", f->account, "relay-request-1");
	seen = ask(f, 0, LOCK_LOOK, NULL);
	CHECK_STR(seen.holder.who.ticket, "relay-request-1");
	CHECK(!seen.holder.held_known && seen.holder.ttl_raw_ms > 0);
	redis_ask(f->server, "SET t_lock:%s %b", f->account, "a\xff\0\n", (size_t)4);
	seen = ask(f, 0, LOCK_LOOK, NULL);
	CHECK_STR(seen.holder.who.ticket, "a???");
	CHECK_INT(seen.holder.ttl_raw_ms, -1);
	CHECK_INT(ask(f, 0, LOCK_FORCE, NULL).error, 0);
	CHECK_INT(ask(f, 0, LOCK_LOOK, NULL).holder.ttl_raw_ms, -2);
}

static bool is_named(const struct asker *a, const char *name)
{
	for (size_t i = 0; i < a->count && i < ARRAY_SIZE(a->names); i++) {
		if (!strcmp(a->names[i], name))
			return true;
	}
	return false;
}

static void test_list(struct fixture *f)
{
	struct asker a = { .q = { .verb = LOCK_LIST, .limit = LOCK_LIST_MAX } };
	struct asker page = { .q = { .verb = LOCK_LIST, .limit = 1 } };
	struct guest g = { 0 };
	size_t pages = 0;

	enter(&g, f, 1);
	put(&a, f->b[0]);
	UNTIL(f, a.answers);
	CHECK_INT(a.error, 0);
	CHECK(a.count >= 2 && a.count <= ARRAY_SIZE(a.names));
	CHECK_INT(a.next, 0);
	CHECK(is_named(&a, f->account));
	do {
		page.answers = 0;
		put(&page, f->b[0]);
		UNTIL(f, page.answers);
		CHECK_INT(page.count, 1);
		CHECK(is_named(&a, page.names[0]));
		page.q.offset = page.next;
		pages++;
	} while (page.next && pages <= a.count);
	CHECK_INT(pages, a.count);
	guest_leave(&g, false);
}

static void beacon(struct fixture *f, int backend, const char *text)
{
	struct asker a = { .q = { .verb = LOCK_BEACON, .beacon = text } };

	put(&a, f->b[backend]);
	UNTIL(f, a.answers);
	CHECK_INT(a.error, 0);
}

/*
 * All accounts in one answer, those watched whole; and what both processes said of themselves last.
 */
static void test_survey(struct fixture *f)
{
	const char *const watched[] = { "nobody-uses-it", f->account };
	struct asker all = { .q = { .verb = LOCK_SURVEY } };
	struct asker one = { .q = { .verb = LOCK_SURVEY, .watched = watched, .watched_count = 2 } };
	struct guest a = { 0 }, b = { 0 }, c = { 0 };
	char longer[LOCK_BEACON_MAX + 2];

	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	enter(&a, f, 0);
	enter(&b, f, 1);
	enter(&c, f, 0);
	beacon(f, 0, "(first)");
	beacon(f, 1, "(second)");
	beacon(f, 1, "(third)");
	beacon(f, 1, longer);
	put(&all, f->b[0]);
	UNTIL(f, all.answers);
	CHECK_INT(all.error, 0);
	CHECK(all.known >= 1 && all.count >= 1);
	CHECK(is_named(&all, f->account));
	CHECK_INT(all.whole, 0);
	CHECK(strstr(all.beacons, "(third)") && !strstr(all.beacons, "(second)"));
	CHECK(!f->server || strstr(all.beacons, "(first)"));
	put(&one, f->b[1]);
	UNTIL(f, one.answers);
	CHECK_INT(one.whole, 1);
	guest_leave(&c, false);
	guest_leave(&b, false);
	guest_leave(&a, false);
}

static void test_cancel(struct fixture *f)
{
	struct asker a = { .q = { .verb = LOCK_LOOK, .account = f->account } };
	struct asker b = { .q = { .verb = LOCK_LIST, .limit = 10 } };

	put(&a, f->b[0]);
	put(&b, f->b[0]);
	lock_query_cancel(f->b[0], &a.q);
	lock_query_cancel(f->b[0], &b.q);
	lock_query_cancel(f->b[0], &b.q); /* idempotent */
	ask(f, 0, LOCK_LOOK, NULL);
	ask(f, 0, LOCK_LOOK, NULL);
	CHECK_INT(a.answers + b.answers, 0);
}

static struct buf told[2];
static int tellings[2];

static void hears_settings(void *arg, const struct runtime_setting *s, size_t count)
{
	int i = *(const int *)arg;

	buf_clear(&told[i]);
	buf_puts(&told[i], "");
	tellings[i]++;
	for (size_t n = 0; n < count; n++)
		buf_printf(&told[i], "%s=%s ", s[n].name, s[n].value);
}

static void change(struct fixture *f, const struct runtime_setting *s, size_t count)
{
	struct asker a = { .q = { .verb = LOCK_SETTINGS, .settings = s, .setting_count = count } };

	put(&a, f->b[0]);
	UNTIL(f, a.answers);
	CHECK_INT(a.error, 0);
}

static void test_settings(struct fixture *f)
{
	static const int ids[] = { 0, 1 };
	const struct runtime_setting both[] = { { "x", "1" }, { "a/y", "2" } };
	const struct runtime_setting mixed[] = { { "x", NULL }, { "a/y", "3" }, { "no", NULL } };
	const struct runtime_setting none[] = { { "a/y", NULL } };
	int other = f->server ? 1 : 0, before;
	int64_t changed_ms;

	f->b[0]->ops->watch_settings(f->b[0], hears_settings, (void *)&ids[0]);
	if (other)
		f->b[1]->ops->watch_settings(f->b[1], hears_settings, (void *)&ids[1]);
	UNTIL(f, tellings[0] && tellings[other]);
	CHECK_STR(buf_str(&told[0]), "");
	change(f, both, 2);
	changed_ms = clock_ms();
	UNTIL(f, strstr(buf_str(&told[0]), "a/y=2") && strstr(buf_str(&told[other]), "a/y=2"));
	CHECK(clock_ms() - changed_ms < 1000 + LATE_MS);
	CHECK(strstr(buf_str(&told[other]), "x=1") != NULL);
	change(f, mixed, 3);
	UNTIL(f, !strcmp(buf_str(&told[other]), "a/y=3 "));
	change(f, none, 1);
	UNTIL(f, !strcmp(buf_str(&told[other]), ""));
	UNTIL(f, !strcmp(buf_str(&told[0]), ""));
	before = tellings[other];
	change(f, none, 1); /* nothing is different */
	ask(f, 0, LOCK_LOOK, NULL);
	CHECK_INT(tellings[other], before);
	for (int i = 0; i <= other; i++) {
		f->b[i]->ops->watch_settings(f->b[i], NULL, NULL);
		buf_clear(&told[i]);
		tellings[i] = 0;
	}
}

static int claim(struct fixture *f, int backend, const char *what, const char *over, int64_t ms)
{
	struct asker a = {
		.q = { .verb = LOCK_CLAIM, .claim = what, .claim_over = over, .claim_ms = ms },
	};

	put(&a, f->b[backend]);
	UNTIL(f, a.answers);
	return a.error;
}

/* One of a fleet has it, until its time is over or what it goes with is; alone, one always has it. */
static void test_claim(struct fixture *f)
{
	int taken = f->server ? -EBUSY : 0;

	CHECK_INT(claim(f, 0, "gone", NULL, 60000), 0);
	CHECK_INT(claim(f, 1, "gone", "back", 60000), taken);
	CHECK_INT(claim(f, 0, "gone", NULL, 60000), taken);
	CHECK_INT(claim(f, 1, "gone:a", NULL, 60000), 0);
	CHECK_INT(claim(f, 1, "back", "gone", 60000), 0);
	CHECK_INT(claim(f, 0, "back", NULL, 60000), taken);
	CHECK_INT(claim(f, 0, "gone", NULL, 1), 0);
	UNTIL(f, claim(f, 1, "gone", NULL, 60000) == 0);
}

static void run_cases(struct fixture *f)
{
	static const struct {
		const char *name;
		void (*run)(struct fixture *f);
	} cases[] = {
		{ "look", test_look },           { "force", test_force },
		{ "pause", test_pause },         { "pause while idle", test_pause_idle },
		{ "remove", test_remove },       { "remove, unheard", test_remove_unheard },
		{ "strangers", test_strangers }, { "list", test_list },
		{ "survey", test_survey },       { "cancel", test_cancel },
		{ "settings", test_settings },   { "claim", test_claim },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int before = check_failures;

		snprintf(f->account, sizeof f->account, "case-%zu", i);
		cases[i].run(f);
		if (check_failures > before)
			fprintf(stderr, "in %s, %s\n", f->server ? "redis" : "memory",
				cases[i].name);
	}
}

/* Names come from clients: no more than so many idle accounts are remembered, the latest ones. */
static void test_crowd(struct fixture *f)
{
	enum { CROWD = 1200, REMEMBERED = 1000 };
	struct asker page = { .q = { .verb = LOCK_LIST, .limit = LOCK_LIST_MAX } };
	size_t count = 0;

	for (int i = 0; i < CROWD; i++) {
		struct guest g = { 0 };

		snprintf(f->account, sizeof f->account, "crowd-%d", i);
		guest_enter(&g, f->b[0], f->account);
		guest_leave(&g, true);
	}
	do {
		page.answers = 0;
		put(&page, f->b[0]);
		UNTIL(f, page.answers);
		count += page.count;
		page.q.offset = page.next;
	} while (page.next);
	CHECK_INT(count, REMEMBERED);
	CHECK(ask(f, 0, LOCK_LOOK, NULL).view.last_at_ms > 0);
	snprintf(f->account, sizeof f->account, "crowd-0");
	CHECK_INT(ask(f, 0, LOCK_LOOK, NULL).view.last_at_ms, 0);
}

static void test_memory(void)
{
	struct fixture f = { 0 };

	loop_open(&f.loop);
	f.b[0] = f.b[1] = lock_memory_new(&f.loop, "one");
	run_cases(&f);
	test_crowd(&f);
	guest_stop(&f.loop, f.b[0]);
	loop_close(&f.loop);
}

static bool is_up(struct lock_backend *b)
{
	struct lock_stats stats;

	b->ops->stats(b, &stats);
	return stats.up;
}

/* Questions while Redis is gone, and a query that is open when the backend stops. */
static void test_gone(struct fixture *f)
{
	struct asker open = { .q = { .verb = LOCK_LOOK, .account = f->account } };

	put(&open, f->b[0]);
	redis_server_kill(f->server);
	UNTIL(f, open.answers);
	UNTIL(f, !is_up(f->b[0]));
	CHECK_INT(ask(f, 0, LOCK_LOOK, NULL).error, -ENOTCONN);
	CHECK_INT(ask(f, 0, LOCK_PAUSE, NULL).error, -ENOTCONN);
	CHECK_INT(ask(f, 0, LOCK_SURVEY, NULL).error, -ENOTCONN);
	CHECK_INT(claim(f, 0, "it", NULL, 60000), -ENOTCONN);
	redis_server_start(f->server);
	UNTIL(f, is_up(f->b[0]) && is_up(f->b[1]));
	CHECK_INT(ask(f, 0, LOCK_LOOK, NULL).error, 0);
}

static void test_redis(void)
{
	struct fixture f = { 0 };
	struct redis_server server = { 0 };
	struct buf errors = { 0 };

	redis_server_start(&server);
	f.server = &server;
	config.redis.url = server.url;
	loop_open(&f.loop);
	for (int i = 0; i < 2; i++) {
		CHECK_INT(lock_redis_new(&f.loop, &config, &errors, &f.b[i]), 0);
		UNTIL(&f, is_up(f.b[i]));
	}
	run_cases(&f);
	test_gone(&f);
	for (int i = 0; i < 2; i++)
		guest_stop(&f.loop, f.b[i]);
	CHECK_INT(redis_ask(&server, "KEYS t_wait:*"), 0);
	CHECK_INT(redis_ask(&server, "KEYS t_pause:*"), 0);
	loop_close(&f.loop);
	redis_server_end(&server);
}

static struct asker ask_all(struct fixture *f, enum lock_verb verb)
{
	struct asker a = { .q = { .verb = verb, .limit = LOCK_LIST_MAX } };

	put(&a, f->b[0]);
	UNTIL(f, a.answers);
	return a;
}

/* Each account is looked at by a call of its own, and what is wrong with one is no other's. */
static void test_cluster(void)
{
	struct redis_server server = { 0 };
	struct fixture f = { .server = &server, .account = "good" };
	struct buf errors = { 0 };
	struct guest g = { 0 };
	const char *const watched[] = { "good", "nobody-uses-it" };
	struct asker survey = {
		.q = { .verb = LOCK_SURVEY, .watched = watched, .watched_count = 2 },
	};
	struct asker seen;

	redis_server_start(&server);
	config.redis.url = server.url;
	config.redis.cluster = true;
	loop_open(&f.loop);
	CHECK_INT(lock_redis_new(&f.loop, &config, &errors, &f.b[0]), 0);
	UNTIL(&f, is_up(f.b[0]));
	enter(&g, &f, 0);
	UNTIL(&f, redis_ask(&server, "ZCARD t_index") == 1);
	redis_ask(&server, "ZADD t_index 1 bad");
	redis_ask(&server, "SET t_wait:{bad} this-is-no-zset");
	seen = ask_all(&f, LOCK_LIST);
	CHECK_INT(seen.error, 0);
	CHECK_INT(seen.count, 1);
	CHECK_STR(seen.names[0], "good");
	CHECK_STR(seen.holder.who.ticket, g.t.id);
	put(&survey, f.b[0]);
	UNTIL(&f, survey.answers);
	CHECK_INT(survey.error, 0);
	CHECK_INT(survey.known, 2);
	CHECK_INT(survey.count, 2);
	CHECK_STR(survey.names[1], "nobody-uses-it");
	CHECK_INT(claim(&f, 0, "gone", "back", 60000), 0);
	CHECK_INT(claim(&f, 0, "gone", NULL, 60000), -EBUSY);
	redis_ask(&server, "ZREM t_index good");
	CHECK_INT(ask_all(&f, LOCK_LIST).error, -EIO);
	guest_leave(&g, true);
	guest_stop(&f.loop, f.b[0]);
	loop_close(&f.loop);
	redis_server_end(&server);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	test_memory();
	test_redis();
	test_cluster();
	return check_done();
}
