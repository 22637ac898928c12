/*
 * checkup.h - whether Redis does what the line needs, found out once a second whether anybody enters or
 * not: a server that answers, but takes no writes, scripts or messages, is of no use.
 *
 * What it refuses is the node's error (nodes.h) until it does the same again, and whoever enters has
 * met nothing else for a while. In a cluster one node is asked, that of a key of its own; the others are
 * known by what enters meet.
 */
#pragma once

#include "queue/redis/scripts.h"
#include "redis/call.h"

/* Zero it, fill in the first group. */
struct redis_checkup {
	struct loop *loop;
	struct redis_caller *caller;
	const struct redis_names *names;

	struct timer *timer;
	bool open;         /* it is asked right now */
	char unheard[120]; /* why messages can't be sent, "" if they can */
};

void redis_checkup_open(struct redis_checkup *c);

/* Before the caller is cleared. May be called twice. */
void redis_checkup_close(struct redis_checkup *c);

/* A link is up: looks at once, and warns of a server that may evict keys. */
void redis_checkup_link_up(struct redis_checkup *c, struct redis_node *node);
