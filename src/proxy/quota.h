/*
 * quota.h - what the upstream has said of each account: its windows, how much of them is used, and how it
 * answered in the last hours.
 *
 *      a response's head ──> quotas_read()     the rate fields, whatever the status
 *      it is judged      ──> quotas_count()    of which kind the answer was
 *
 * A reading of a window replaces the older one; what is over is dropped (limits_drop_past()). Names come
 * from clients: QUOTAS_MAX accounts are kept, below 4 MiB, and the one of which nothing was heard for
 * longest makes room.
 */
#pragma once

#include "base/mem.h"
#include "request/limits.h"

enum { QUOTAS_MAX = 2000, QUOTA_HOURS = 24 };

/* X(enum, word for metrics, name in JSON): the refusals for a limit as in limits.h, and the rest */
#define QUOTA_ANSWERS(X)                                           \
	X(OK, "ok", "ok")                                          \
	X(THROTTLE, "throttle", "throttle")                        \
	X(QUOTA, "quota", "quota")                                 \
	X(OVERLOADED, "overloaded", "overloaded")                  \
	X(NOT_A_LIMIT, "not_a_limit", "notALimit")                 \
	X(UNKNOWN, "unknown", "unknown")                           \
	X(FAILED, "failed", "failed")    /* 5xx of another kind */ \
	X(REFUSED, "refused", "refused") /* 4xx of another kind: the request's own fault */

enum quota_answer {
#define X(name, ...) QUOTA_##name,
	QUOTA_ANSWERS(X)
#undef X
		QUOTA_ANSWER_COUNT
};

/* What an answer of that status counts as that was judged so. */
enum quota_answer quota_answer_of(int status, enum limit_kind kind);

struct quota {
	struct limit_reading reading;        /* without windows: nothing is known */
	int64_t answers[QUOTA_ANSWER_COUNT]; /* in the last QUOTA_HOURS hours */
};

struct quotas;

struct quotas *quotas_new(void) MUST_USE;
void quotas_free(struct quotas *q); /* takes NULL */

/*
 * The rate fields of a response. True: the status of a window is another one than before, which is in
 * `ret`; told at most once a minute and account.
 */
bool quotas_read(struct quotas *q, const char *account, const struct headers *fields,
		 int64_t now_ms, struct limit_window *ret);

/* An answer; wall clock. QUOTA_REFUSED only for an account that is known. */
void quotas_count(struct quotas *q, const char *account, enum quota_answer answer, int64_t now_ms);

/* What is known of an account now; all zero if nothing is. */
void quotas_get(const struct quotas *q, const char *account, int64_t now_ms, struct quota *ret);
