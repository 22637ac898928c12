/*
 * command.h - commands and calls of scripts as bytes.
 *
 * No state: used by links on the loop, and by threads with connections of their own.
 * Protocol: RESP 2, https://redis.io/docs/reference/protocol-spec/
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/mem.h"

/* A Lua script, which Redis knows by the SHA-1 of its text, in hex. */
struct redis_script {
	const char *sha, *text;
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
/* All arguments of another one, behind its own. */
void redis_command_append(struct redis_command *c, const struct redis_command *other);
void redis_command_clear(struct redis_command *c);

/* Appends the whole command to `out`. */
void redis_command_encode(const struct redis_command *c, struct buf *out);

/*
 * The same for a script: `c` is what comes behind EVALSHA and its digest. `by_text` sends the
 * script itself (EVAL), for a server that answered NOSCRIPT.
 */
void redis_script_encode(const struct redis_script *script, bool by_text,
			 const struct redis_command *c, struct buf *out);
