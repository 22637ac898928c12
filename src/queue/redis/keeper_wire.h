/*
 * keeper_wire.h - the keeper's own connection: blocking, one round of pipelined calls at a time.
 */
#pragma once

#include "config/redis_address.h"
#include "queue/lock.h"
#include "queue/redis/scripts.h"
#include "redis/find.h"
#include "redis/tls.h"

/* One call to a script within a round. */
struct keeper_call {
	struct list link;
	enum script script; /* RENEW or TOUCH */
	struct redis_command command;
	char account[LOCK_ACCOUNT_MAX];
	char (*turns)[LOCK_TICKET_MAX]; /* those that it renews: of RENEW, one */
	size_t turn_count;
	bool by_text, answered;
	char refusal[80]; /* what the server says instead of an answer; empty: nothing */
};

/* Frees all of a list of them. */
void keeper_calls_free(struct list *calls);

struct keeper_wire;

/* All outlive it; `tls` may be NULL. Doesn't connect yet. */
struct keeper_wire *keeper_wire_new(const struct redis_address *address, struct redis_tls *tls,
				    const struct redis_names *names) MUST_USE;

/* Takes NULL. */
void keeper_wire_free(struct keeper_wire *w);

/* From another thread: where Redis is. A connection to elsewhere is cut. */
void keeper_wire_aim(struct keeper_wire *w, const struct redis_endpoint *endpoint);

/* From another thread: a talk in progress fails at once, and every later one. */
void keeper_wire_cut(struct keeper_wire *w);

/* An answer to `call`; sent_ms is when it was sent, by clock_ms(). */
typedef void (*keeper_answer_fn)(void *arg, struct keeper_call *call,
				 const struct script_answer *answer, int64_t sent_ms);

/*
 * Refreshes the live key (or if `live` is false sends a PING), makes all `calls` (a list of
 * keeper_call), and tells their answers. Blocks, for `timeout_ms` in a read or write. A connection
 * that was closed meanwhile is made again; a server that is silent isn't tried twice. False: it
 * can't be asked, and what hasn't been told is unknown. A call that got an error isn't told,
 * either, but says so in `refusal`.
 */
bool keeper_wire_talk(struct keeper_wire *w, int64_t timeout_ms, bool live, struct list *calls,
		      keeper_answer_fn fn, void *arg) MUST_USE;
