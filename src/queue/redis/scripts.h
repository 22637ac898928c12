/*
 * scripts.h - the scripts of lua/: which there are, what they are given, and what they answer.
 *
 * Used by the loop's connections and by the keepers', from either thread: no state.
 */
#pragma once

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

#include "redis/command.h"
#include "redis/reply.h"

/* Numbers of the protocol: the scripts have them from here, see lua/embed.py. */
enum {
	REDIS_LEASE_MS = 3000,   /* a waiter that isn't touched for so long is dead */
	REDIS_TOUCH_MS = 1000,   /* how often it is touched */
	REDIS_CONFIRM_MS = 2000, /* a turn that was handed over ends then, unless it is renewed */
	REDIS_GATHER_MS = 1500,  /* after Redis lost a line nobody gets a turn: a touch, and some */
	REDIS_PLACES_MS = 60000, /* a line that nobody uses is forgotten then */
};

enum script {
	SCRIPT_ENTER,
	SCRIPT_GIVE_BACK,
	SCRIPT_RENEW,
	SCRIPT_TOUCH,
	SCRIPT_SWEEP,
	SCRIPT_LOOK,
	SCRIPT_FORCE,
	SCRIPT_PAUSE,
	SCRIPT_REMOVE,
	SCRIPT_INDEX,
	SCRIPT_UNINDEX,
	SCRIPT_FORGET,
	SCRIPT_SURVEY,
	SCRIPT_BEACON,
	SCRIPT_EXTEND,
	SCRIPT_STAY,
	SCRIPT_RETUNE,
	SCRIPT_HOLD,
	SCRIPT_RELEASE,
	SCRIPT_CHECK,
	SCRIPT_COUNT,
	SCRIPT_NONE = SCRIPT_COUNT, /* a plain command */
};

/* What a script answers; NULL for SCRIPT_NONE. */
redis_form_fn script_form(enum script script);

/* Lives as long as the program; NULL for SCRIPT_NONE. */
const struct redis_script *script_get(enum script script);

/* How keys and channels are named. */
struct redis_names {
	char *prefix;
	bool cluster; /* accounts in braces, so that an account's keys share a slot */
	char *owner;  /* this process: "<instance>.<boot>" */
};

/* The slot that an account's keys share in a cluster; of no meaning without one. */
unsigned redis_account_slot(const struct redis_names *names, const char *account);

/*
 * Begins the arguments of a script on an account: its keys, prefix and owner. What the script
 * itself wants comes behind.
 */
void script_account(struct redis_command *c, const struct redis_names *names, const char *account);

/*
 * The same for a script on one key alone of the account, "lock" or "alive" say, without prefix and
 * owner.
 */
void script_account_key(struct redis_command *c, const struct redis_names *names, const char *kind,
			const char *account);

/* What the scripts on an account answer; pointers are into the reply. */
struct script_answer {
	struct span what;     /* "granted", "waiting", ... */
	int64_t number;       /* its meaning is the script's */
	redisReply **granted; /* tickets of ours that have got a turn, each with script_granted() */
	size_t granted_count;
	int64_t dropped;   /* waiters taken for dead */
	redisReply **more; /* what comes behind */
	size_t more_count;
};

struct script_turn {
	struct span id;      /* the ticket that has got it */
	int64_t start_in_ms; /* in how many ms it begins */
	bool probe;          /* the account is held, and this turn asks whether it still is */
};

/* The i-th of `granted`. */
struct script_turn script_granted(const struct script_answer *a, size_t i);

/* What comes behind as text; empty if there is none. */
struct span script_text(const struct script_answer *a, size_t i);

/* The same as a number; 0 if there is none. */
int64_t script_number(const struct script_answer *a, size_t i);

/* False if it isn't such an answer (an error, a surprise). Takes NULL. */
bool script_answer_read(const redisReply *reply, struct script_answer *ret) MUST_USE;
