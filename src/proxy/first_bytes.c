#include "proxy/first_bytes.h"

#include <stdlib.h>

#include "base/mem.h"

void first_bytes_add(struct first_bytes *f, const struct first_byte *b)
{
	f->ring[f->count++ % FIRST_BYTES_MAX] = *b;
}

static int by_size(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The smallest that `percent` of them don't exceed. */
static int64_t percentile(const int64_t *sorted, int64_t count, int percent)
{
	return count ? sorted[(count * percent + 99) / 100 - 1] : 0;
}

void first_bytes_look(const struct first_bytes *f, int64_t now_ms, struct first_bytes_figures *ret)
{
	int64_t ttfb[FIRST_BYTES_MAX], upstream[FIRST_BYTES_MAX], n = 0;

	for (int64_t i = 0; i < MIN(f->count, FIRST_BYTES_MAX); i++) {
		const struct first_byte *b = &f->ring[i];

		if (b->at_ms <= now_ms - FIRST_BYTES_MS)
			continue;
		ttfb[n] = b->ttfb_ms;
		upstream[n++] = b->upstream_ms;
	}
	qsort(ttfb, (size_t)n, sizeof *ttfb, by_size);
	qsort(upstream, (size_t)n, sizeof *upstream, by_size);
	*ret = (struct first_bytes_figures){
		.count = n,
		.p50_ms = percentile(ttfb, n, 50),
		.p95_ms = percentile(ttfb, n, 95),
		.upstream_p50_ms = percentile(upstream, n, 50),
		.upstream_p95_ms = percentile(upstream, n, 95),
	};
}
