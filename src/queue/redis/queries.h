/*
 * queries.h - an operator's queries, asked in Redis. Inside of lock_redis.c.
 *
 * A list is two round trips: a page of the index, then all its accounts at once. So is a survey of
 * a cluster, which has the LOCK_LIST_MAX accounts last used, and those that are watched.
 */
#pragma once

#include "base/histogram.h"
#include "queue/query.h"
#include "queue/redis/presence.h"
#include "queue/redis/scripts.h"
#include "queue/settings.h"
#include "redis/call.h"

/* Scripts may hand a turn to one of our own waiters: `fn` gets every answer of theirs. */
typedef void (*redis_queries_fn)(void *arg, const struct script_answer *answer);

struct redis_queries {
	struct loop *loop;
	struct redis_caller *caller;
	const struct redis_names *names;
	struct redis_presence *presence;
	struct settings settings; /* as Redis had them last */
	struct list runs;
	struct timer *pulse; /* the next look at the settings */
	bool pulsing;        /* one is under way */
	int64_t pulsed_us;
	int64_t round_trip_us; /* of the last pulse; -1: none yet, or the link is down */
	struct histogram round_trips;
	redis_queries_fn fn;
	void *arg;
};

/* Zero it, set the first four, `fn` and `arg`; all outlive it. */
void redis_queries_open(struct redis_queries *a);

void redis_queries_ask(struct redis_queries *a, struct lock_query *q);
void redis_queries_cancel(struct lock_query *q);

/*
 * While the link is up the settings are read every 800 ms (one HGETALL of a small hash): so a
 * change is in effect everywhere within a second without any message that could get lost, a Redis
 * that fell silent is noticed though nothing is asked, and the round trip is known.
 */
void redis_queries_link_up(struct redis_queries *a);
void redis_queries_link_down(struct redis_queries *a);

/* After the link was freed. No query may be open. May be called twice. */
void redis_queries_close(struct redis_queries *a);
