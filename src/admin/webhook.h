/*
 * webhook.h - calls an operator's address when something is wrong, and when it is right again.
 *
 *      alert() of any room ──┐                                          ┌──> POST admin.webhook
 *      Redis, relay, turns   ├──> told lately? ──> claim ──> pending ───┤      again after 1, 2, 4, 8, 16 s
 *      once a second ────────┘    (10 minutes)              (64)        └──> given up: logged, counted
 *
 * A fleet that has a Redis tells each once: who claims it there tells it (LOCK_CLAIM), for 10 minutes.
 * Where Redis can't be asked each process that notices tells it. That something is over is told
 * whenever its begin was, though it may have been over before in these 10 minutes.
 *
 * One at a time, in order, and never in anybody's way: a receiver that hangs costs its own calls.
 * The options are read at each call (reload). What isn't sent when the process ends is lost; the
 * log has it all the same.
 */
#pragma once

#include "admin/beacon.h"
#include "base/loop.h"
#include "config/config.h"
#include "http/post.h"
#include "proxy/proxy.h"
#include "queue/queue.h"

struct webhook;

struct webhook_parts {
	struct loop *loop;
	const struct config *config;
	struct queue *queue;
	struct proxy *proxy;
	const struct beacon *beacon; /* whose name events have */
};

/* Since start. */
struct webhook_counters {
	int64_t sent;
	int64_t failed;  /* refused, or given up */
	int64_t dropped; /* there were too many before it */
	int64_t claimed; /* another process of the fleet tells it */
};

/* Hears of all alerts from now on. All parts outlive it. */
struct webhook *webhook_new(const struct webhook_parts *parts) MUST_USE;

/* Before the backend stops. Takes NULL. */
void webhook_free(struct webhook *w);

const struct webhook_counters *webhook_counters(const struct webhook *w);

/*
 * Sends one at once, beside all others, and once. `done` and the result are post_new()'s. NULL: no
 * address is set.
 */
struct post *webhook_test(struct webhook *w, void (*done)(void *arg, int status, const char *error),
			  void *arg) MUST_USE;
