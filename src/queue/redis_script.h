/*
 * redis_script.h - commands and the scripts of src/queue/lua as bytes, and what scripts answer.
 *
 * Used by the loop's connection and by the keeper's, from either thread: no state.
 * Protocol: RESP 2, https://redis.io/docs/reference/protocol-spec/
 */
#pragma once

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/mem.h"

enum {
	/* A waiter that isn't touched for so long is dead. The same number is in prelude.lua. */
	REDIS_LEASE_MS = 3000,
};

enum redis_script {
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
	SCRIPT_NOTE,
	SCRIPT_EXTEND,
	SCRIPT_STAY,
	SCRIPT_COUNT,
};

/*
 * A command that is being built: its arguments so far. Zero it; redis_command_clear() at the end.
 */
struct redis_command {
	struct buf args;
	int argc;
	unsigned slot; /* of the latest key: all keys of a command share one */
};

void redis_arg(struct redis_command *c, struct span arg);
void redis_arg_str(struct redis_command *c, const char *arg);
void redis_arg_int(struct redis_command *c, int64_t arg);
/* An argument that is a key: says in which slot of a cluster the command is to be done. */
void redis_arg_key(struct redis_command *c, const char *key);
void redis_command_clear(struct redis_command *c);

/* Appends the whole command to `out`. */
void redis_command_encode(const struct redis_command *c, struct buf *out);

/*
 * The same for a script: `c` is what comes behind EVALSHA and its digest. `by_text` sends the
 * script itself (EVAL), for a server that answered NOSCRIPT.
 */
void redis_script_encode(enum redis_script script, bool by_text, const struct redis_command *c,
			 struct buf *out);

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
void redis_script_account(struct redis_command *c, const struct redis_names *names,
			  const char *account);

/*
 * The same for a script on one key alone of the account, "lock" or "alive" say, without prefix and
 * owner.
 */
void redis_script_account_key(struct redis_command *c, const struct redis_names *names,
			      const char *kind, const char *account);

/* What the scripts on an account answer; pointers are into the reply. */
struct redis_answer {
	struct span what;    /* "granted", "waiting", ... */
	int64_t number;      /* its meaning is the script's */
	struct span granted; /* a ticket of ours that has the turn now, or empty */
	int64_t elapsed_ms;  /* since the last completion; -1: none known */
	int64_t dropped;     /* waiters taken for dead */
	redisReply **more;   /* what comes behind */
	size_t more_count;
};

/* False if it isn't such an answer (an error, a surprise). Takes NULL. */
bool redis_answer_read(const redisReply *reply, struct redis_answer *ret) MUST_USE;

/* Whether it is an error of that kind: "NOSCRIPT", "READONLY", ... wherever a script put it. */
bool redis_is_error(const redisReply *reply, const char *kind);

/* How a cluster says that a command is for elsewhere, or for later. */
enum redis_redirect {
	REDIRECT_NONE,
	REDIRECT_MOVED, /* that slot is another node's */
	REDIRECT_ASK,   /* the slot is on its way there: this once, ask there */
	REDIRECT_LATER, /* TRYAGAIN, CLUSTERDOWN: no node can do it right now */
};
enum redis_redirect redis_redirect_of(const char *error);

/* Errors after which a connection is of no use: the server isn't a master that serves us. */
bool redis_is_unusable(const redisReply *reply);
bool redis_error_is_unusable(const char *error);
