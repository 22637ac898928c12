/*
 * redis_fixture.h - two redis backends on one server of their own, for each case anew.
 */
#pragma once

#include "lock_guest.h"
#include "redis_server.h"

enum { TIMEOUT_MS = 1200, TIMEOUT_MOST_MS = 3000 }; /* of commands, on a quiet machine and on any */

struct fixture {
	struct loop loop;
	struct redis_server server;
	struct config config;
	struct lock_backend *b[2];
};

#define UNTIL(f, cond) CHECK(RUN_UNTIL(&(f)->loop, cond, 8000))

/* Of commands, for a configuration that is used on this machine. */
static inline int64_t scaled_timeout_ms(void)
{
	return MIN(scaled_ms(TIMEOUT_MS), TIMEOUT_MOST_MS);
}

/* The same, as the fixture has it. */
static inline int64_t timeout_ms(const struct fixture *f)
{
	return f->config.redis.command_timeout_ms;
}

static inline bool is_up(struct lock_backend *b)
{
	struct lock_stats stats;

	b->ops->stats(b, &stats);
	return stats.up;
}

static inline int64_t lost(struct lock_backend *b)
{
	struct lock_stats stats;

	b->ops->stats(b, &stats);
	return stats.lost;
}

static inline int64_t renewals(struct lock_backend *b)
{
	struct lock_stats stats;

	b->ops->stats(b, &stats);
	return stats.renewals;
}

/* A lease of so long on a quiet machine: it isn't over because this one is busy. */
static inline int64_t lease_ms(int64_t ms)
{
	return MIN(scaled_ms(ms), 4 * ms);
}

static inline struct lock_backend *new_backend(struct fixture *f)
{
	struct buf errors = { 0 };
	struct lock_backend *b = NULL;

	CHECK_INT(lock_redis_new(&f->loop, &f->config, &errors, &b), 0);
	return b;
}

static inline void open_fixture(struct fixture *f)
{
	*f = (struct fixture){ 0 };
	redis_server_start(&f->server);
	f->config.queue.enabled = true;
	f->config.queue.cleanup_interval_ms = 60000;
	f->config.queue.startup_cleanup = STARTUP_CLEANUP_OWN;
	f->config.redis.key_prefix = "t";
	f->config.redis.instance = "one";
	f->config.redis.command_timeout_ms = scaled_timeout_ms();
	f->config.redis.max_accounts = 10000;
	f->config.redis.url = f->server.url;
	loop_open(&f->loop);
	for (int i = 0; i < 2; i++) {
		f->b[i] = new_backend(f);
		UNTIL(f, is_up(f->b[i]));
	}
}

/* `holder` has the turn of "a" by backend 0, `waiter` waits by backend 1. */
static inline void hold_and_wait(struct fixture *f, struct guest *holder, struct guest *waiter)
{
	guest_enter(holder, f->b[0], "a");
	UNTIL(f, holder->granted);
	guest_enter(waiter, f->b[1], "a");
	UNTIL(f, waiter->waiting);
}

/* Runs the loop for that long: the subject is that nothing happens meanwhile. */
static inline void pass(struct fixture *f, int64_t ms)
{
	RUN_FOR(&f->loop, ms);
}

/* Nothing that anybody leaves behind stays for ever. */
static inline void check_keys_expire(struct fixture *f)
{
	redisReply *keys = redisCommand(f->server.client, "KEYS *");

	for (size_t i = 0; i < keys->elements; i++)
		CHECK(redis_ask(&f->server, "PTTL %s", keys->element[i]->str) != -1);
	freeReplyObject(keys);
}

static inline void close_fixture(struct fixture *f)
{
	for (int i = 0; i < 2; i++)
		guest_stop(&f->loop, f->b[i]);
	loop_close(&f->loop);
	check_keys_expire(f);
	redis_server_end(&f->server);
}

struct redis_case {
	const char *name;
	void (*run)(struct fixture *f);
};

/* Runs all cases, or only the one called `only`. */
static inline void run_redis_cases(const struct redis_case *cases, size_t n, const char *only)
{
	for (size_t i = 0; i < n; i++) {
		int before = check_failures;
		struct fixture f;

		if (only && strcmp(only, cases[i].name))
			continue;
		open_fixture(&f);
		cases[i].run(&f);
		close_fixture(&f);
		if (check_failures > before)
			fprintf(stderr, "in %s\n", cases[i].name);
	}
}
