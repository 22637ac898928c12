/*
 * outlook.h - what those who stand in a line may know of it: who is where, and when its turn comes.
 *
 *      outlooks_ask() ──> LOCK_LOOK, at most one a second and account ──> answered()
 *           └──────────────── known for less than a second ──────────────────┘
 *
 * Clients ask, as often as they like, so what a question costs the backend has a bound: one a second for
 * each account, and OUTLOOK_ACCOUNTS_MAX accounts a second.
 */
#pragma once

#include <stdint.h>

#include "config/config.h"
#include "queue/queue.h"

enum {
	OUTLOOK_FRESH_MS = 1000,
	OUTLOOK_ACCOUNTS_MAX = 200,
	OUTLOOK_TURNS = 15, /* that a turn's length is the median of */
};

/* One who waits. */
struct outlook_place {
	char ticket[LOCK_TICKET_MAX], session[LOCK_SESSION_MAX], share[LOCK_SHARE_MAX];
	int64_t waited_ms; /* -1: not known */
	int64_t estimate_ms; /* until its turn; -1: not known, as an operator has paused the account */
};

struct outlook {
	int64_t turns, running, waiting; /* turns: that there may be at once */
	struct outlook_place *places;    /* of those who wait, in the order of their turns */
	size_t count;                    /* the first LOCK_WAITERS_MAX */
	bool paused;                     /* by an operator */
	enum hold_kind hold;             /* by the upstream's limit */
	int64_t hold_until_ms;           /* wall clock */
};

/*
 * From a view by LOCK_LOOK, of now. A turn takes as long as the median of the account's latest ones,
 * or, if it had none lately, `turn_ms`. Pure. To be cleared.
 */
void outlook_of(const struct lock_view *view, const struct account_terms *terms, int64_t turn_ms,
		struct outlook *ret);
void outlook_clear(struct outlook *o); /* may be called twice */

struct outlooks;

/* Zero it and fill in the first group; it and `account` must live until it is answered. */
struct outlook_query {
	const char *account;

	/*
	 * Once, on the loop, never from within the call. `o` is valid during the callback; NULL: it can't be
	 * told, error is -EBUSY where too many accounts are asked about, else the backend's. `age_ms`: for
	 * how long it has been known.
	 */
	void (*answered)(struct outlook_query *q, const struct outlook *o, int64_t age_ms,
			 int error);
	struct list link; /* ours */
};

/* `loop`, `config` (read at any time) and `queue` outlive them. */
struct outlooks *outlooks_new(struct loop *loop, const struct config *config, struct queue *queue)
	MUST_USE;

/* Nobody must be asking. Takes NULL. */
void outlooks_free(struct outlooks *o);

void outlooks_ask(struct outlooks *o, struct outlook_query *q);

/* Nothing is heard any more. Also for a query that isn't open. */
void outlooks_cancel(struct outlook_query *q);
