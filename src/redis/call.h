/*
 * call.h - calls of scripts over the loop's links, which outlive whoever asked.
 *
 * A call is embedded as the first member of its owner's record of it. It is on one of the caller's
 * lists until it is answered, so that what is still open when the links are freed can be freed,
 * too.
 *
 * In a cluster a call goes to the node that has its slot, and on to where that one says (MOVED,
 * ASK). What no node can do right now (TRYAGAIN while a slot's keys are moved, CLUSTERDOWN) is
 * tried again every 25 ms, until command_timeout_ms have passed; then that error is the answer.
 */
#pragma once

#include "redis/command.h"
#include "redis/nodes.h"
#include "redis/reply.h"

struct redis_caller {
	struct redis_nodes *nodes;
	struct list open;    /* under way */
	struct list parked;  /* to be tried again */
	struct timer *again; /* when */
};

struct redis_call {
	struct list link;
	struct redis_caller *caller;
	const struct redis_script *script; /* NULL: `command` is a plain command */
	struct redis_command command;
	redis_form_fn form; /* of the answer; NULL: any */
	/*
	 * The answer, an error or of the form that it must have; or NULL if the link went down, as it
	 * does upon one of another form. Owns the call from now on.
	 */
	void (*done)(struct redis_call *call, const redisReply *reply);
	/*
	 * Whether it is to be sent again: as text to a server that didn't know it, or to another
	 * node. What was asked for later may be done by then, so this must be false for a call that
	 * a later one was to undo. It ends as if the link had gone down. NULL: always.
	 */
	bool (*wanted)(const struct redis_call *call);

	/*
	 * What is asked for behind it at that node is done behind it, though the server may not know
	 * its script yet: it is always sent as text.
	 */
	bool in_order;

	struct redis_node *node; /* where it was sent last */
	bool by_text, asking;    /* how */
	int hops;
	int64_t until_ms;
	char refusal[80]; /* why it is parked */
};

/* Zero it first. */
void redis_caller_open(struct redis_caller *caller, struct loop *loop, struct redis_nodes *nodes);

/*
 * Sends it; 0, and `done` comes once, never from within, unless the caller is cleared.
 * -ENOTCONN: not sent, the call is still the caller's own.
 */
int redis_call_send(struct redis_caller *caller, struct redis_call *call) MUST_USE;

/* Frees a call, with the record that begins with it. */
void redis_call_free(struct redis_call *call);

/* Frees all that are open; after the links were freed. */
void redis_caller_clear(struct redis_caller *caller);
