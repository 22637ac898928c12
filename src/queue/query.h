/*
 * query.h - an operator's queries and orders to a backend, all asynchronous.
 *
 *      lock_query_send(b, q) ──> q->answered(q, answer)      once, on the loop, never from within the call
 *           └─ lock_query_cancel(b, q): nothing is heard, though what was ordered may still happen
 *
 * With Redis an answer is about the whole fleet, with the memory backend about this process. An
 * answer comes within redis.command_timeout_ms; a backend that can't be asked is -ENOTCONN. In a
 * cluster lists and surveys leave out the accounts that can't be asked about, unless that is all.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config/runtime.h"
#include "queue/lock.h"

enum lock_verb {
	LOCK_LIST,  /* a page of the accounts in use, or lately so: without waiters and samples */
	LOCK_LOOK,  /* `account`, with everything; one that nobody uses is idle, not an error */
	LOCK_FORCE, /* ends the turn that `ticket` has, or all turns of `account` (NULL), whoever has
		     * them, and serves the next; -ENOENT */
	LOCK_PAUSE, /* from now on nobody of `account` gets a turn, over restarts; again: nothing */
	LOCK_RESUME,  /* ends that; -ENOENT if it isn't paused */
	LOCK_RELEASE, /* ends a hold by the upstream's limit (lock.h); -ENOENT if there is none */
	LOCK_REMOVE, /* `ticket` leaves the line and hears LOCK_REMOVED; -ENOENT, -EBUSY: it holds */
	LOCK_SETTINGS, /* stores `settings`; see lock_settings_fn */
	LOCK_SURVEY, /* all accounts as LOCK_LIST has them, those `watched` as LOCK_LOOK; and beacons */
	LOCK_CLAIM, /* `claim` is for one process of the fleet, for `claim_ms` from now; -EBUSY: some
		     * process has it already. Nobody has `claim_over` (NULL: none) any more */
	LOCK_BEACON, /* `beacon` is what surveys tell of this process, until LOCK_BEACON_MS have passed */
};

enum {
	LOCK_LIST_MAX = 500,    /* accounts of an answer */
	LOCK_WAITERS_MAX = 500, /* waiters of an answer, the first in line */
	LOCK_SHARES_MAX = 50,   /* shares of an answer */
	LOCK_SAMPLES_MAX = 512, /* turns of an account that are remembered, the latest ones */
	LOCK_RECENT_MS = 5 * 60 * 1000, /* of these, and for how long an idle account is listed */
	LOCK_SURVEY_MAX = 2000,         /* accounts of a survey, those last used */
	LOCK_WATCHED_MAX = 32,          /* of these, with everything */
	LOCK_BEACON_MAX = 8 * 1024,     /* bytes of a beacon; longer ones aren't stored */
	LOCK_BEACON_MS = 60 * 1000,
	LOCK_CLAIM_MAX = 255,
};

/* All settings there are, whenever they may have changed. They live during the call. */
typedef void (*lock_settings_fn)(void *arg, const struct runtime_setting *settings, size_t count);

struct lock_waiter {
	char ticket[LOCK_TICKET_MAX], client[LOCK_CLIENT_MAX];
	char share[LOCK_SHARE_MAX], mark[LOCK_MARK_MAX], session[LOCK_SESSION_MAX];
	double rank;       /* -1: not known */
	int64_t waited_ms; /* of a holder: from joining to its turn; -1: not known */
};

struct lock_holder {
	struct lock_waiter who; /* its ticket isn't empty */
	int64_t held_ms;        /* since the turn's start; less than 0: in the delay before */
	bool held_known;        /* false: the holder is another program's */
	int64_t ttl_raw_ms;     /* as Redis' PTTL: -1: no lease */
};

/* Somebody who has left lately: after a turn, or (hold_ms is -1) without having used any. */
struct lock_sample {
	int64_t ago_ms, wait_ms, hold_ms;
};

/* One share in the last LOCK_RECENT_MS. */
struct lock_share {
	char name[LOCK_SHARE_MAX]; /* "": the others, where there are more than LOCK_SHARES_MAX */
	int64_t waiting;           /* now */
	int64_t turns, held_ms;    /* that have ended */
	int64_t left;              /* requests that left the line without one */
};

struct lock_view {
	char account[LOCK_ACCOUNT_MAX];
	struct lock_holder *holders; /* in the order of their turns */
	size_t holder_count;
	int64_t turns;        /* that the account may have at once; 0: not known */
	int64_t last_at_ms;   /* wall clock of the backend: the last completion; 0: none known */
	int64_t paused_at_ms; /* the same; 0: not paused */
	struct lock_view_hold {
		enum hold_kind kind; /* HOLD_NONE: the account isn't held */
		int64_t since_ms;    /* how long ago that was */
		int64_t left_ms;     /* until its end; less than 0: over, and a probe is due */
		int64_t probe_ms;    /* until the next probe, likewise */
		int64_t refusals;    /* in a row */
	} hold, family_holds[LIMIT_FAMILIES]; /* of requests for such models, see limits.h */
	int64_t waiting;
	int64_t kept;                /* places that are kept */
	int64_t oldest_wait_ms;      /* of the first waiter; 0: nobody waits, -1: not known */
	struct lock_waiter *waiters; /* in the order of their ranks */
	size_t waiter_count;
	struct lock_sample *samples; /* of the last LOCK_RECENT_MS */
	size_t sample_count;
	struct lock_share *shares;
	size_t share_count;
};

/* The holder that relays know as the lock's: one with an empty ticket and ttl_raw_ms -2 if none. */
const struct lock_holder *lock_view_first(const struct lock_view *v);

/* What a process has said of itself: LOCK_BEACON. */
struct lock_beacon {
	int64_t age_ms;
	char *text;
};

struct lock_answer {
	int error;               /* 0, -ENOTCONN, -EIO or as the verb says */
	struct lock_view *views; /* LOCK_LIST, LOCK_SURVEY: any number; LOCK_LOOK: one */
	size_t count;
	int64_t next;  /* LOCK_LIST: the `offset` of the next page; 0: this was the last */
	int64_t known; /* LOCK_SURVEY: accounts there are, also beyond LOCK_SURVEY_MAX */
	struct lock_beacon *beacons;
	size_t beacon_count;
};

/* Zero it and fill in the first group; it and what it points to must live until it is answered. */
struct lock_query {
	enum lock_verb verb;
	const char *account, *ticket;
	int64_t offset, limit; /* LOCK_LIST: where to begin; at most LOCK_LIST_MAX */
	const struct runtime_setting *settings;
	size_t setting_count;
	const char *const *watched; /* LOCK_SURVEY: names of accounts, at most LOCK_WATCHED_MAX */
	size_t watched_count;
	const char *beacon;
	const char *claim, *claim_over; /* at most LOCK_CLAIM_MAX bytes; what for is the asker's */
	int64_t claim_ms;
	void (*answered)(struct lock_query *q, const struct lock_answer *answer);

	void *entry; /* the backend's while it is open */
};

/* `q` must not be open. */
void lock_query_send(struct lock_backend *b, struct lock_query *q);

/* Also for a query that isn't open. */
void lock_query_cancel(struct lock_backend *b, struct lock_query *q);

/* --- for backends --------------------------------------------------------------------------- */

/* An answer on its way. Zeroed by query_reply_new(); `answer` is filled in by the backend. */
struct query_reply {
	struct job job;
	struct lock_query *q; /* NULL: cancelled */
	struct lock_answer answer;
};

struct query_reply *query_reply_new(struct lock_query *q) MUST_USE;

/* A view more in its answer, zeroed but for the account's name; valid until the next is added. */
struct lock_view *query_reply_view(struct query_reply *r, const char *account);

/* A holder more in a view, zeroed; valid until the next is added. */
struct lock_holder *query_view_holder(struct lock_view *v);

/* The row of that share, added if need be; the one of all others if there are too many. */
struct lock_share *query_view_share(struct lock_view *v, const char *name);

/* What a view holds besides itself. */
void query_view_clear(struct lock_view *v);

/* A beacon more in its answer; `text` is copied. */
void query_reply_beacon(struct query_reply *r, int64_t age_ms, struct span text);

/* Whether a survey is to show all there is of `account`. */
bool query_watches(const struct lock_query *q, struct span account);

/* Ends it: tells whoever asked, from a job. Frees it. */
void query_reply_send(struct query_reply *r, struct loop *loop, int error);

/* The same at once; not from within lock_query_send(). */
void query_reply_now(struct query_reply *r, int error);

/* Frees one that isn't to be heard. */
void query_reply_free(struct query_reply *r);
