/*
 * idle.h - connections without a request, and for how long they may stay so.
 *
 * All entries of a list have the same limit, so they are in order, the oldest first, and share one
 * timer. An entry that exceeds the limit gets its socket shut down; the connection's owner hears of
 * that from the socket.
 */
#pragma once

#include <stdint.h>

#include "base/list.h"
#include "base/loop.h"

struct idle_list;

/* Lives in the connection; zero it and set `fd`. */
struct idle_entry {
	struct list link;
	int64_t since_ms;
	int fd;
};

/* `limit_ms` is read at each addition and each timer (reload), and outlives the list. */
struct idle_list *idle_list_new(struct loop *loop, const int64_t *limit_ms) MUST_USE;

void idle_list_add(struct idle_list *l, struct idle_entry *entry);
void idle_entry_remove(struct idle_entry *entry); /* also when it is on no list */

/* The one that is idle for longest; NULL: the list is empty. */
struct idle_entry *idle_list_oldest(const struct idle_list *l);

/* Shuts down the sockets of all. */
void idle_list_shutdown(struct idle_list *l);

/* How many have exceeded the limit. */
int64_t idle_list_timeouts(const struct idle_list *l);

/* Takes NULL. The list must be empty. */
void idle_list_free(struct idle_list *l);
