/*
 * check.h - what a unit test needs: checks that say where and what, and a closing line.
 *
 * A test is a program; it runs its cases from main() and ends with `return check_done();`.
 */
#pragma once

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"

#define LATE_MS scaled_ms(400) /* what a machine may add to a time */
#define LONG_MS (3600 * 1000)  /* no test lasts so long, however slow the machine is */

static int check_count, check_failures;

/* A condition that must hold; goes on after a failure, so that one run shows them all. */
#define CHECK(cond)                                                                        \
	do {                                                                               \
		check_count++;                                                             \
		if (!(cond)) {                                                             \
			check_failures++;                                                  \
			fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #cond); \
		}                                                                          \
	} while (0)

#define CHECK_INT(got, want)                                                                     \
	do {                                                                                     \
		int64_t got_ = (got), want_ = (want);                                            \
		check_count++;                                                                   \
		if (got_ != want_) {                                                             \
			check_failures++;                                                        \
			fprintf(stderr, "%s:%d: %s is %" PRId64 ", not %" PRId64 "\n", __FILE__, \
				__LINE__, #got, got_, want_);                                    \
		}                                                                                \
	} while (0)

#define CHECK_STR(got, want)                                                                   \
	do {                                                                                   \
		const char *got_ = (got), *want_ = (want);                                     \
		check_count++;                                                                 \
		if (strcmp(got_, want_)) {                                                     \
			check_failures++;                                                      \
			fprintf(stderr, "%s:%d: %s is\n  %s\nnot\n  %s\n", __FILE__, __LINE__, \
				#got, got_, want_);                                            \
		}                                                                              \
	} while (0)

/* What takes so long on a quiet machine takes that long here and now; see tests/pace.c, which runs. */
static inline int64_t scaled_ms(int64_t ms)
{
	char command[4096];
	ssize_t n = readlink("/proc/self/exe", command, sizeof command - sizeof "/pace");
	double factor;
	FILE *f;

	must(n > 0);
	command[n] = '\0';
	strcpy(strrchr(command, '/'), "/pace");
	f = popen(command, "r");
	must(f && fscanf(f, "%lf", &factor) == 1);
	pclose(f);
	return (int64_t)((double)ms * factor);
}

/* For RUN_UNTIL(): whether `limit_ms` is over since then; only who is late asks how slow it is here. */
static inline bool check_is_over(int64_t start_ms, int64_t limit_ms)
{
	int64_t took_ms = clock_ms() - start_ms;

	return took_ms >= limit_ms && took_ms >= scaled_ms(limit_ms);
}

/* Runs the loop until `cond` holds, for at most `limit_ms`, scaled; true if it does. */
#define RUN_UNTIL(loop, cond, limit_ms)                                        \
	({                                                                     \
		int64_t start_ = clock_ms();                                   \
		struct timer *tick_ = timer_new((loop), check_tick, (loop));   \
		bool met_;                                                     \
		while (!(met_ = (cond)) && !check_is_over(start_, limit_ms)) { \
			timer_start(tick_, 5);                                 \
			uv_run(&(loop)->uv, UV_RUN_ONCE);                      \
		}                                                              \
		timer_clear(&tick_);                                           \
		met_;                                                          \
	})

/* Runs the loop for so long, and not longer because it is slow here: the subject is what doesn't happen. */
#define RUN_FOR(loop, ms)                                                    \
	do {                                                                 \
		int64_t until_ = clock_ms() + (ms);                          \
		struct timer *tick_ = timer_new((loop), check_tick, (loop)); \
		while (clock_ms() < until_) {                                \
			timer_start(tick_, 5);                               \
			uv_run(&(loop)->uv, UV_RUN_ONCE);                    \
		}                                                            \
		timer_clear(&tick_);                                         \
	} while (0)

static inline void check_tick(void *arg)
{
	(void)arg; /* it only wakes uv_run() */
}

static inline int check_done(void)
{
	printf("%d checks, %d failed\n", check_count, check_failures);
	return check_failures != 0;
}
