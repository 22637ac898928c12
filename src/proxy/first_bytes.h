/*
 * first_bytes.h - how long clients waited lately for the first byte of their answer, and which part
 * of that was the upstream's: what a person in line feels.
 *
 * The latest FIRST_BYTES_MAX of them, of the last FIRST_BYTES_MS; by this process.
 */
#pragma once

#include <stdint.h>

enum { FIRST_BYTES_MAX = 512, FIRST_BYTES_MS = 5 * 60 * 1000 };

struct first_byte {
	int64_t at_ms;       /* clock_ms() */
	int64_t ttfb_ms;     /* from the client's last byte */
	int64_t upstream_ms; /* from when the upstream was asked */
};

/* A zeroed one is empty. */
struct first_bytes {
	struct first_byte ring[FIRST_BYTES_MAX];
	int64_t count; /* since start: the next goes to ring[count % FIRST_BYTES_MAX] */
};

struct first_bytes_figures {
	int64_t count; /* of those that the rest is about; without any, the rest is 0 */
	int64_t p50_ms, p95_ms;
	int64_t upstream_p50_ms, upstream_p95_ms;
};

void first_bytes_add(struct first_bytes *f, const struct first_byte *b);

void first_bytes_look(const struct first_bytes *f, int64_t now_ms, struct first_bytes_figures *ret);
