/*
 * redis_call.h - calls of scripts over the loop's link, which outlive whoever asked.
 *
 * A call is embedded as the first member of its owner's record of it. It is on the caller's list
 * until it is answered, so that what is still open when the link is freed can be freed, too.
 */
#pragma once

#include "queue/redis_link.h"
#include "queue/redis_script.h"

struct redis_caller {
	struct redis_link *link;
	struct list open;
};

struct redis_call {
	struct list link;
	struct redis_caller *caller;
	enum redis_script script; /* SCRIPT_COUNT: `command` is a plain command */
	struct redis_command command;
	/* The answer, or NULL if the link went down. Owns the call from now on. */
	void (*done)(struct redis_call *call, const redisReply *reply);
	/* Whether it is to be sent again, as text, to a server that didn't know it. NULL: always. */
	bool (*wanted)(const struct redis_call *call);
};

/*
 * Sends it; 0, and `done` comes once, never from within, unless the caller is cleared.
 * -ENOTCONN: not sent, the call is still the caller's own.
 */
int redis_call_send(struct redis_caller *caller, struct redis_call *call) MUST_USE;

/* Frees a call, with the record that begins with it. */
void redis_call_free(struct redis_call *call);

/* Frees all that are open; after the link was freed. */
void redis_caller_clear(struct redis_caller *caller);
