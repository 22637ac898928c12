/*
 * redis_turn.h - one ticket's place or turn in Redis, as far as this process knows. Inside of
 * redis_turns.c, which asks and hears; its states are explained there.
 */
#pragma once

#include "queue/redis_turns.h"

#define uthash_fatal(msg) must_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

enum turn_state {
	TURN_ENTERING, /* no answer yet */
	TURN_WAITING,
	TURN_CONFIRMING, /* handed over to us; the keeper still takes it for a waiter */
	TURN_HELD,
	TURN_UNSURE, /* told that it is over; Redis may still have it */
	TURN_NONE,   /* Redis doesn't have it */
};

/* What `ticket->entry` points to. */
struct place {
	struct postbox box;
	struct redis_turns *turns;
	struct redis_node *node; /* where its account lives, and whose keeper keeps it */
	enum turn_state state;
	int64_t entered_ms, starts_ms; /* starts_ms: of the turn, the delay included */
	bool doubted;      /* told that it has lost a turn that it wasn't known to have */
	UT_hash_handle hh; /* by box.ticket->id */
};

/* By its ticket's id; NULL: it has been given back, or is none of ours. */
struct place *place_find(struct redis_turns *r, const char *id, size_t len);
struct place *place_find_str(struct redis_turns *r, const char *id);

/* Its ticket hears no more. What the keeper keeps of it is to be dropped before. */
void place_free(struct place *p);

/* Its ticket hears that, later. */
void place_tell(struct place *p, struct lock_news news);

/* Its keeper forgets it. */
void place_unkeep(struct place *p);

/* Its ticket hears that it has neither place nor turn; `state` says what is known of that. */
void place_fail(struct place *p, enum turn_state state);

/* Somebody says that it has no turn any more, which may be old news of one that it hasn't yet. */
void place_lose(struct place *p);

/* An operator took it out of the line. */
void place_remove(struct place *p);

/* The line is full: it doesn't join, or had lost its place and gets no other. */
void place_turn_away(struct place *p);

/*
 * It has the turn, to start in `delay_ms`, for `lease_ms` from when Redis was asked, at `sent_ms`,
 * and is renewed `renew_in_ms` after that. Its ticket hears that.
 */
void place_hold(struct place *p, int64_t delay_ms, int64_t sent_ms, int64_t lease_ms,
		int64_t renew_in_ms);
