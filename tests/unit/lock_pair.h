/*
 * lock_pair.h - runs cases of a contract on each backend. redis runs with two backends on one
 * server: two sidecars in one process. memory has one, under both names.
 */
#pragma once

#include <signal.h>

#include "lock_guest.h"
#include "redis_server.h"

struct fixture {
	struct loop loop;
	struct lock_backend *b[2];
	bool remote;
	char account[32]; /* another one for each case */
};

struct pair_case {
	const char *name;
	void (*run)(struct fixture *f);
	bool only_memory; /* redis can't do that */
};

static struct config config = {
	.queue = { .enabled = true, .cleanup_interval_ms = 60000, },
	.redis = { .key_prefix = "t", .instance = "one", .command_timeout_ms = 2000, .max_accounts = 10000 },
};

#define UNTIL(f, cond) CHECK(RUN_UNTIL(&(f)->loop, cond, 6000))

/* Lets whatever is on its way arrive: an uncontended turn of another account takes longer. */
static inline void settle(struct fixture *f)
{
	for (int i = 0; i < 2; i++) {
		struct guest g = { 0 };

		guest_enter(&g, f->b[i], "settle");
		UNTIL(f, g.granted);
		guest_leave(&g, false);
	}
}

static inline void pair_run(struct fixture *f, const struct pair_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int before = check_failures;

		if (f->remote && cases[i].only_memory)
			continue;
		snprintf(f->account, sizeof f->account, "case-%zu", i);
		cases[i].run(f);
		if (check_failures > before)
			fprintf(stderr, "in %s, %s\n", f->remote ? "redis" : "memory",
				cases[i].name);
	}
}

/* The last case stops the backends. */
static inline void pair_memory(const struct pair_case *cases, size_t count)
{
	struct fixture f = { 0 };

	loop_open(&f.loop);
	f.b[0] = f.b[1] = lock_memory_new(&f.loop, "one");
	pair_run(&f, cases, count);
	loop_close(&f.loop);
}

static inline bool pair_is_up(struct lock_backend *b)
{
	struct lock_stats stats;

	b->ops->stats(b, &stats);
	return stats.up;
}

static inline void pair_redis(bool cluster_names, const struct pair_case *cases, size_t count)
{
	struct fixture f = { .remote = true };
	struct redis_server server = { 0 };
	struct buf errors = { 0 };

	redis_server_start(&server);
	config.redis.url = server.url;
	config.redis.cluster = cluster_names;
	loop_open(&f.loop);
	for (int i = 0; i < 2; i++) {
		CHECK_INT(lock_redis_new(&f.loop, &config, &errors, &f.b[i]), 0);
		UNTIL(&f, pair_is_up(f.b[i]));
	}
	pair_run(&f, cases, count);
	CHECK_INT(redis_ask(&server, "KEYS t_lock:*"), 0);
	CHECK_INT(redis_ask(&server, "KEYS t_wait:*"), 0);
	loop_close(&f.loop);
	redis_server_end(&server);
}

/* The last case of each list: what is still entered is given back. */
static inline void pair_stop(struct fixture *f)
{
	guest_stop(&f->loop, f->b[0]);
	if (f->remote)
		guest_stop(&f->loop, f->b[1]);
}

/* memory, redis, and redis with the names of keys that a cluster needs. */
static inline int pair_main(const struct pair_case *cases, size_t count)
{
	signal(SIGPIPE, SIG_IGN);
	pair_memory(cases, count);
	pair_redis(false, cases, count);
	pair_redis(true, cases, count);
	return check_done();
}
