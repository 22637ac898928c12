/*
 * presence.h - shows others that this process lives, and which accounts it uses; bounds how
 * many idle ones Redis remembers (redis.max_accounts).
 *
 * For cleaning up (sweep.h): before a ticket is entered the live key must be there, and the account
 * in the index. Both cost a command only now and then: four times a second, and once in 30 s for
 * each account. While anything is entered the keeper refreshes the live key, too.
 */
#pragma once

#include "queue/redis/scripts.h"
#include "redis/call.h"

struct known_account;

/* Zero it, then redis_presence_open(). */
struct redis_presence {
	struct redis_caller *caller;
	const struct redis_names *names;
	struct known_account *known; /* those listed lately, by name */
	struct list by_age;
	int64_t live_at_ms;
	int64_t forgotten;        /* idle accounts, for want of room */
	int64_t told, told_at_ms; /* how many of them a log line has counted, and when */
};

/* Both outlive it. */
void redis_presence_open(struct redis_presence *p, struct redis_caller *caller,
			 const struct redis_names *names);

/*
 * `account` is about to be entered. Calls nobody back; what has to be forgotten for it is asked for
 * later.
 */
void redis_presence_show(struct redis_presence *p, const char *account);

/* Redis may have forgotten everything: list all again. Also frees all there is to free. */
void redis_presence_reset(struct redis_presence *p);

/* Appends "SET live-key 1 PX lease". */
void redis_presence_live_command(const struct redis_names *names, struct redis_command *ret);
