/*
 * redis_ask.h - an operator's questions, asked in Redis. Inside of lock_redis.c.
 *
 * A list is two round trips: a page of the index, then all its accounts at once. So is a survey of
 * a cluster, which has the LOCK_LIST_MAX accounts last used, and those that are watched.
 */
#pragma once

#include "base/histogram.h"
#include "queue/ask.h"
#include "queue/redis_call.h"
#include "queue/redis_presence.h"
#include "queue/settings.h"

/* Scripts may hand a turn to one of our own waiters: `fn` gets every answer of theirs. */
typedef void (*redis_ask_fn)(void *arg, const struct redis_answer *answer);

struct redis_ask {
	struct loop *loop;
	struct redis_caller *caller;
	const struct redis_names *names;
	struct redis_presence *presence;
	struct settings settings; /* as Redis had them last */
	struct list inquiries;
	struct timer *pulse; /* the next look at the settings */
	bool pulsing;        /* one is under way */
	int64_t pulsed_us;
	int64_t round_trip_us; /* of the last pulse; -1: none yet, or the link is down */
	struct histogram round_trips;
	redis_ask_fn fn;
	void *arg;
};

/* Zero it, set the first four, `fn` and `arg`; all outlive it. */
void redis_ask_open(struct redis_ask *a);

void redis_ask_ask(struct redis_ask *a, struct lock_question *q);
void redis_ask_cancel(struct lock_question *q);

/*
 * While the link is up the settings are read every 800 ms (one HGETALL of a small hash): so a
 * change is in effect everywhere within a second without any message that could get lost, a Redis
 * that fell silent is noticed though nothing is asked, and the round trip is known.
 */
void redis_ask_link_up(struct redis_ask *a);
void redis_ask_link_down(struct redis_ask *a);

/* After the link was freed. No question may be open. May be called twice. */
void redis_ask_close(struct redis_ask *a);
