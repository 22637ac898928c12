/*
 * histogram.h - how often a duration was how long, in fixed buckets, as Prometheus counts.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/#histograms-and-summaries
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_BOUNDS = 18 };

/* Upper bounds in microseconds, each included, ascending. */
struct histogram_scale {
	int64_t le_us[HISTOGRAM_BOUNDS];
};

extern const struct histogram_scale histogram_waits; /* 1 ms to 10 minutes */
extern const struct histogram_scale histogram_quick; /* 50 us to 30 s */

/* Zero it and set `scale`. */
struct histogram {
	const struct histogram_scale *scale;
	int64_t buckets[HISTOGRAM_BOUNDS + 1]; /* not cumulated; the last one has no bound */
	int64_t sum_us;
};

/* Counts one duration; less than 0 counts as 0. */
void histogram_add(struct histogram *h, int64_t us);

/* How many were counted. */
int64_t histogram_count(const struct histogram *h);
