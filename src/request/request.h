/*
 * request.h - what is this request, and whose? The door to the room.
 *
 * Pure functions: no clock, no log, no global. The proxy asks request_is_looked_at() when the
 * headers are in, feeds the body as it arrives, and takes the verdict at its end:
 *
 *      headers ─> request_is_looked_at? ─no─> passes, unseen
 *                        │yes
 *      body ───> look_feed(), piece by piece ──> look_finish() ──> verdict: gated? kind, reason,
 *                (decode.c, tail.c)              (classify.c, unclear.c,      account
 *                                                 marks.c, account.c,          share
 *                                                 share.c, kept.c) 
 */
#pragma once

#include <stdbool.h>

#include "base/header.h"
#include "base/mem.h"
#include "config/accounts.h"
#include "config/config.h"
#include "request/account.h"
#include "request/kept.h"
#include "request/reason.h"
#include "request/share.h"

enum { REQUEST_MODEL_MAX = 64 };

struct request_verdict {
	bool gated;
	enum request_kind kind;
	enum request_reason why;
	const char *reason;                    /* its code, such as "text" */
	char account[ACCOUNT_NAME_MAX];        /* as in account.h; "" where it wasn't looked at */
	enum account_source_kind account_from; /* ACCOUNT_NONE: nothing yielded, "default" */
	/*
	 * Names of the API keys that it shows ("key-…"): the one that counts, and one that differs, of
	 * which the relay may think otherwise; "": none.
	 */
	char key[ACCOUNT_KEY_NAME_MAX], other_key[ACCOUNT_KEY_NAME_MAX];
	int64_t patience_ms; /* as in patience.h */

	/* Of what is gated, or would be but for an exemption; else empty. */
	char share[SHARE_NAME_MAX]; /* as in share.h; "": nothing tells */
	double weight;              /* of that share */
	const char *mark; /* what it is for, as in marks.h: "title", …; "": nothing in particular */
	size_t exempt;    /* which rule of the share's queue.exempt holds, from 1; 0: none */
	bool yields;      /* a rule of the share's queue.yield holds */
	bool stream;      /* the answer is to come as events */
	char model[REQUEST_MODEL_MAX]; /* of visible ASCII; "": none, or not of that form */
	unsigned families; /* of that model and those that its tools name, see limits_families() */
	char session[KEPT_SESSION_MAX]; /* hashed; "": none */
	char keep_key[KEPT_KEY_MAX];    /* as in kept.h; "" if it isn't gated */
};

/* "other", "user_message", "unclear", "exempt", "tool_result", "not_user", "unreadable". */
const char *request_kind_name(enum request_kind kind);

/* The ungated verdict on a request that request_is_looked_at() doesn't want to see. */
void request_not_looked_at(struct request_verdict *ret);

/*
 * Whether the body decides: a POST whose path (the target up to "?") ends with an entry of
 * queue.paths however it is spelt (path.h), unless queue.mode is off. The method in any case, too.
 */
bool request_is_looked_at(const struct config *config, struct span method, struct span target);

/*
 * The look at one body. Owned by the caller; look_free() takes NULL. Of the headers only the
 * content coding is read, and nothing of them kept.
 */
struct look;
struct look *look_new(const struct headers *headers) MUST_USE;
void look_free(struct look *look);

/* The next bytes of the body, in any split. Keeps none of them but `metadata`'s, bounded. */
void look_feed(struct look *look, const char *data, size_t len);

/*
 * The body has ended; call it once. `body` is all of it, and as long as what was fed: a verdict
 * on a part of a body would be a wrong one. The headers and the client's address (as in account.h)
 * are needed for the account, the share and exemptions. Never fails: what can't be read is a verdict too.
 */
void look_finish(struct look *look, const struct config *config, const struct headers *headers,
		 const char *client, struct span body, struct request_verdict *ret);

/*
 * How a gated request is queued: as its account is, but no longer than its client waits
 * (queue.client_budget, patience.h). The request began `elapsed_ms` ago; a margin is left for our
 * answer to arrive. Where nothing is left, the wait is 1 ms: a request that gets the turn at once is
 * served all the same.
 *
 * With `streams` and heartbeats before the client's patience is over, that doesn't count: a client
 * that hears something waits on. Any other wait is silent, and CONFIG_QUIET_MAX_MS at most.
 */
void request_terms(const struct config *config, const struct headers *headers, const char *account,
		   bool streams, int64_t elapsed_ms, struct account_terms *ret);
