/*
 * metrics.h - everything countable as Prometheus' text format 0.0.4.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/ . One list in metrics.c has a row a
 * metric. Seconds and bytes, never their parts; no label whose values come from clients, but for
 * admin.metrics_accounts.
 */
#pragma once

#include "admin/lag.h"
#include "admin/webhook.h"
#include "base/buf.h"
#include "proxy/proxy.h"
#include "proxy/stats.h"
#include "queue/lock.h"

struct metrics_source {
	const struct proxy *proxy;
	struct proxy_gauges gauges;
	struct lock_stats lock;
	const char *backend;
	const struct webhook_counters *webhook;
	const struct lag *lag;
	int64_t max_clients; /* connections of the proxy */
	int64_t started_wall_ms;
};

/* Appends all metrics. Blocks for a look at /proc/self. */
void metrics_put(const struct metrics_source *s, struct buf *to);
