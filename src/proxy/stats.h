/*
 * stats.h - what the proxy has counted, and what it has now: for metrics and status.
 *
 * Counters are plain numbers that the loop's thread counts up where things happen; whoever reads
 * them runs on the loop as well.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"
#include "http/http_server.h"
#include "proxy/first_bytes.h"
#include "proxy/history.h"
#include "proxy/outcome.h"
#include "proxy/quota.h"
#include "proxy/refusals.h"
#include "proxy/tally.h"
#include "queue/shadow.h"
#include "request/limits.h"
#include "request/request.h"

enum { PROXY_STATES = 8, STATUS_CLASSES = 6, PROXY_PEOPLE_MAX = 1000 };

/* Since start. */
struct proxy_counters {
	int64_t requests[KIND_COUNT][OUTCOME_COUNT]; /* that have ended */
	int64_t reasons[REQUEST_REASON_COUNT];       /* of their verdicts */
	int64_t upstream_responses[STATUS_CLASSES];  /* by the status' first digit */
	int64_t limits[LIMIT_KIND_COUNT];        /* refusals of requests that had a turn, by kind */
	int64_t retries[LIMIT_KIND_COUNT];       /* of these, those that were to be sent again */
	int64_t heartbeat_responses, heartbeats; /* that began so; pings in all of them */
	int64_t bytes_in, bytes_out;             /* of bodies, from and to clients */
	int64_t abandoned;                       /* requests that went on without their client */
	int64_t connect_retries; /* the upstream was asked again, as it couldn't be reached */
	int64_t displaced;       /* bodies that came too slowly, when others needed the room */
	struct histogram wait;   /* gated requests, from joining to the end of it */
	struct histogram hold;   /* turns, from their start to the give-back */

	/* Gated requests that the upstream answered: until the answer's first byte, from the client's last
	 * one, and from when the upstream was asked. */
	struct histogram ttfb, upstream_ttfb;
};

/* Now. */
struct proxy_gauges {
	struct {
		const char *name;
		int64_t count;
	} states[PROXY_STATES];
	int64_t exchanges;        /* that have not ended */
	int64_t waiting, holding; /* exchanges that wait for a turn; that have one */
	int64_t oldest_wait_ms;   /* of those that wait; 0 if none does */
	int64_t buffered_bytes;   /* of bodies that wait */
	int64_t upstream_resent;  /* requests, since start, for a kept connection that was closed */
	int64_t upstream_down_since_ms; /* clock_ms(), that it can't be reached; 0: it can */
	bool draining;
	struct http_server_stats listener;
};

struct proxy;

/* Lives as long as the proxy. */
const struct proxy_counters *proxy_counters(const struct proxy *p);

/*
 * What queue.mode = observe has seen; how many shadows there are now. Lives as long as the proxy.
 */
const struct shadow_counters *proxy_observed(const struct proxy *p);
int64_t proxy_shadows(const struct proxy *p);

/* The latest requests that were answered with an error of ours. Lives as long as the proxy. */
const struct refusals *proxy_refusals(const struct proxy *p);

/* By account: what the upstream has said of it, to this process. Lives as long as the proxy. */
const struct quotas *proxy_quotas(const struct proxy *p);

/* By account, as far as admin.metrics_accounts allows. Lives as long as the proxy. */
const struct tally *proxy_tally(const struct proxy *p);

/*
 * By share, over all accounts: those that a section names (config/shares.h), and all others as one. Without such
 * sections it is empty. Lives as long as the proxy.
 */
const struct tally *proxy_people(const struct proxy *p);

/* Of the last hours and days. Lives as long as the proxy. */
const struct history *proxy_history(const struct proxy *p);

/* How long clients waited lately for the first byte of their answer. */
void proxy_first_bytes(const struct proxy *p, struct first_bytes_figures *ret);

void proxy_gauges(const struct proxy *p, struct proxy_gauges *ret);

/*
 * The accounts whose holder is here and hasn't moved a byte for `limit_ms`, at most `max` of them;
 * returns how many. The names live until the loop goes on.
 */
size_t proxy_stalled(const struct proxy *p, int64_t limit_ms, const char **ret, size_t max);

/* A request that is in line or has a turn, as its own process knows it. The texts live until the loop goes on. */
struct proxy_request {
	const char *ticket, *id, *path, *model, *session; /* "": none; the session hashed */
	const char *upstream_id;                          /* NULL: the upstream hasn't answered */
	const char *state;
	int64_t age_ms;     /* since it came */
	int64_t body_bytes; /* that came so far */
	bool stream;
};

/* Calls `fn` for each of the account's requests that are here, the one that came first before the others of its state. */
void proxy_each_request(const struct proxy *p, const char *account,
			void (*fn)(void *arg, const struct proxy_request *r), void *arg);
