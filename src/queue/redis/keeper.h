/*
 * keeper.h - the second thread: keeps leases in Redis alive, and nothing else.
 *
 * It has a blocking connection of its own, so a busy loop costs no lease. Loop and keeper share a
 * table of values under a mutex that is never held across I/O; what the keeper finds out comes
 * back on the loop as an id, which may be unknown there by then.
 *
 *      held turns      renewed every ttl / 3 (at least 250 ms), pipelined; the first time when
 *                      keeper_turn says so, which is soon if nothing has confirmed it yet
 *      waiters         touched every second, all of an account in one call, and with them the turns
 *                      that this process has there
 *      this process    its live key (750 ms) refreshed every 250 ms (or a quarter of the timeout, if
 *                      that is less), while it keeps anything
 *
 * It sleeps without wake-ups while it keeps nothing. In a cluster each node has a keeper of its
 * own; it doesn't follow redirections, but says so: its tickets are moved to another
 * (KEEPER_REFUSED), or the loop renews for it (KEEPER_ADRIFT) as long as their slot is between two
 * nodes.
 */
#pragma once

#include "base/loop.h"
#include "config/redis_address.h"
#include "queue/lock.h"
#include "queue/redis/scripts.h"
#include "redis/find.h"
#include "redis/tls.h"

enum {
	KEEPER_LIVE_MS = 750,       /* the lease of the live key */
	KEEPER_LIVE_EVERY_MS = 250, /* at least */
	KEEPER_TOUCH_MS = REDIS_TOUCH_MS,
};

struct keeper;

enum keeper_news_kind {
	KEEPER_LOST,   /* the turn `id` isn't ours any more, or can't be known to be: `cause` */
	KEEPER_BROKEN, /* the turn `id` goes on, but there may have been another beside it: `cause` */
	KEEPER_HAS,    /* the waiter `id` has the turn */
	KEEPER_UNKNOWN, /* the waiter `id` has neither place nor turn */
	KEEPER_TROUBLE, /* Redis doesn't answer; it did at `answered_ms` (clock_ms()) */
	KEEPER_DROPPED, /* `count` dead waiters were dropped */
	KEEPER_REFUSED, /* the lease of the waiter `id` can't be renewed: Redis says `refusal`; or
			 * that of the turn `id`, as it is elsewhere in a cluster */
	/*
	 * The lease of the turn `id`, or if that is empty of the waiters of `account`, can't be
	 * renewed by a script on all keys of the account: in a cluster they are on their way to
	 * another node, or have none. Told with each try, until keeper_renewed() or the lease's
	 * end.
	 */
	KEEPER_ADRIFT,
	/*
	 * The turn `id` of `account` was renewed after keeper_drop(), or may have been, as no
	 * answer came. If the give-back had overtaken the renewal, Redis may have taken it for a
	 * turn whose data were lost, and restored it.
	 */
	KEEPER_STRAY,
	KEEPER_LIMITED, /* windows of `account` are spent: `count` is windows() of prelude.lua */
	KEEPER_RESTS,   /* the answer to keeper_rest() */
};

struct keeper_news {
	enum keeper_news_kind kind;
	char id[LOCK_TICKET_MAX], account[LOCK_ACCOUNT_MAX];
	int64_t answered_ms, count;
	char refusal[80], cause[12]; /* cause: a word of loss.h */
};

/* A turn's lease lasts until `lease_until_ms` and is renewed for `ttl_ms` from `renew_at_ms` on, until
 * `hold_until_ms`; all by clock_ms(). */
struct keeper_turn {
	int64_t ttl_ms, lease_until_ms, renew_at_ms, hold_until_ms;
};

typedef void (*keeper_fn)(void *arg, const struct keeper_news *news);

/*
 * Starts the thread. `address`, `tls` (or NULL) and `names` outlive it. `fn` is called from the
 * loop, never from within a call. Aborts if there is no thread to be had.
 */
struct keeper *keeper_new(struct loop *loop, const struct redis_address *address,
			  struct redis_tls *tls, const struct redis_names *names, keeper_fn fn,
			  void *arg) MUST_USE;

/*
 * Tells the thread to end, and cuts a transfer in progress. Doesn't block: so several can end at a
 * time.
 */
void keeper_stop(struct keeper *k);

/*
 * The same, and waits for it. Blocks no longer than it takes to connect (the I/O timeout). Takes
 * NULL.
 */
void keeper_free(struct keeper *k);

/* Where Redis is from now on, as the loop's link has found it; not needed with a Unix socket. */
void keeper_aim(struct keeper *k, const struct redis_endpoint *endpoint);

/*
 * How long Redis may take to answer before that is told. Half of it, and a second at most, is for
 * one read or write.
 */
void keeper_set_timeout(struct keeper *k, int64_t timeout_ms);

/* When it refreshes the live key, which in a cluster lives at one node only. */
enum keeper_shows {
	KEEPER_SHOWS_BUSY, /* while it keeps anything; to begin with */
	KEEPER_SHOWS_ALWAYS,
	KEEPER_SHOWS_NOTHING,
};
void keeper_show_life(struct keeper *k, enum keeper_shows shows);

/* Ends keeping the turn `id`, to go on elsewhere; false: it isn't kept. */
bool keeper_take(struct keeper *k, const char *id, struct keeper_turn *ret) MUST_USE;

/* Keeps the turn `id` from now on (or with new values). */
void keeper_hold(struct keeper *k, const char *account, const char *id,
		 const struct keeper_turn *turn);

/* Keeps the waiter `id`'s place from now on. */
void keeper_wait(struct keeper *k, const char *account, const char *id);

/* Keeps `id` no longer. It may be unknown. */
void keeper_drop(struct keeper *k, const char *id);

/* The turn `id`, if it is kept, was renewed by a call that was sent at `sent_ms`. */
void keeper_renewed(struct keeper *k, const char *id, int64_t sent_ms);

/*
 * Asks to be told by KEEPER_RESTS when no call is under way that began before: the news of all of
 * them come first. Who keeps nothing any more knows then that nothing of it will reach Redis later.
 */
void keeper_rest(struct keeper *k);

/* Renews every turn and touches every waiter at once: something may have been missed. */
void keeper_refresh(struct keeper *k);

/* Whether the turn `id` is kept, and its lease not over. */
bool keeper_lease_lasts(struct keeper *k, const char *id);

/* How many turns are kept. */
int64_t keeper_held(struct keeper *k);

/* How often a turn's lease was renewed since start. */
int64_t keeper_renewals(struct keeper *k);

/* When a turn whose lease is `ttl_ms` is to be renewed, counted from its last renewal. */
int64_t keeper_interval_ms(int64_t ttl_ms);
