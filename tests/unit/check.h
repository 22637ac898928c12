/*
 * check.h - what a unit test needs: checks that say where and what, and a closing line.
 *
 * A test is a program; it runs its cases from main() and ends with `return check_done();`.
 */
#pragma once

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/loop.h"

enum { LATE_MS = 400 }; /* what a busy machine may add to a time */

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

/* Runs the loop until `cond` holds, for at most `limit_ms`; true if it does. */
#define RUN_UNTIL(loop, cond, limit_ms)                                      \
	({                                                                   \
		int64_t end_ = clock_ms() + (limit_ms);                      \
		struct timer *tick_ = timer_new((loop), check_tick, (loop)); \
		bool met_;                                                   \
		while (!(met_ = (cond)) && clock_ms() < end_) {              \
			timer_start(tick_, 5);                               \
			uv_run(&(loop)->uv, UV_RUN_ONCE);                    \
		}                                                            \
		timer_clear(&tick_);                                         \
		met_;                                                        \
	})

static inline void check_tick(void *arg)
{
	(void)arg; /* it only wakes uv_run() */
}

static inline int check_done(void)
{
	printf("%d checks, %d failed\n", check_count, check_failures);
	return check_failures != 0;
}
