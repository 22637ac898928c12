/*
 * lounge.h - connections on which nothing is under way, and for how long they may stay so.
 *
 * All of a lounge have the same limit, so they are one list, the oldest first, with one timer. Who
 * overstays gets its socket shut down; whoever owns the connection hears of that from the socket.
 */
#pragma once

#include <stdint.h>

#include "base/list.h"
#include "base/loop.h"

struct lounge;

/* Lives in the connection; zero it and set `fd`. */
struct seat {
	struct list link;
	int64_t since_ms;
	int fd;
};

/* `limit_ms` is read when somebody enters and at each look (reload), and outlives the lounge. */
struct lounge *lounge_new(struct loop *loop, const int64_t *limit_ms) MUST_USE;

void lounge_enter(struct lounge *l, struct seat *seat);
void lounge_leave(struct seat *seat); /* also when it is in none */

/* Who is in it for longest; NULL if nobody is. */
struct seat *lounge_oldest(const struct lounge *l);

/* Shuts down everybody's socket. */
void lounge_clear(struct lounge *l);

/* How many have overstayed. */
int64_t lounge_timeouts(const struct lounge *l);

/* Takes NULL. Who is still in it must leave before its memory is freed. */
void lounge_free(struct lounge *l);
