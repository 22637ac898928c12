#include "proxy/first_bytes.h"

#include "base/mem.h"
#include "base/percentile.h"

void first_bytes_add(struct first_bytes *f, const struct first_byte *b)
{
	f->ring[f->count++ % FIRST_BYTES_MAX] = *b;
}

static int64_t percentile_or_0(int64_t *values, size_t count, size_t of_100)
{
	return count ? percentile(values, count, of_100) : 0;
}

void first_bytes_look(const struct first_bytes *f, int64_t now_ms, struct first_bytes_figures *ret)
{
	int64_t ttfb[FIRST_BYTES_MAX], upstream[FIRST_BYTES_MAX];
	size_t n = 0;

	for (int64_t i = 0; i < MIN(f->count, FIRST_BYTES_MAX); i++) {
		const struct first_byte *b = &f->ring[i];

		if (b->at_ms <= now_ms - FIRST_BYTES_MS)
			continue;
		ttfb[n] = b->ttfb_ms;
		upstream[n++] = b->upstream_ms;
	}
	*ret = (struct first_bytes_figures){
		.count = (int64_t)n,
		.p50_ms = percentile_or_0(ttfb, n, 50),
		.p95_ms = percentile_or_0(ttfb, n, 95),
		.upstream_p50_ms = percentile_or_0(upstream, n, 50),
		.upstream_p95_ms = percentile_or_0(upstream, n, 95),
	};
}
