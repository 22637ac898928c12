#include "queue/hold.h"

#include "base/mem.h"

/* How long a throttle lasts of which nothing is said, behind so many others. */
static int64_t guess_ms(int refusals)
{
	int64_t ms = HOLD_FIRST_MS;

	while (refusals-- > 0 && ms < HOLD_LAST_MS)
		ms *= 2;
	return MIN(ms, HOLD_LAST_MS);
}

void hold_refused(struct hold *h, enum hold_kind kind, int64_t for_ms, int64_t now_ms)
{
	int64_t ms = MIN(for_ms > 0 ? for_ms : guess_ms(h->refusals), HOLD_MAX_MS);

	if (!h->kind)
		h->since_ms = now_ms;
	h->kind = MAX(h->kind, kind);
	h->until_ms = MAX(h->until_ms, now_ms + ms);
	h->probe_ms = MIN(h->until_ms, now_ms + HOLD_PROBE_MS);
	h->refusals++;
}

bool hold_allows(const struct hold *h, int64_t holding, int64_t now_ms)
{
	return !h->kind || (!holding && now_ms >= h->probe_ms);
}

const char *hold_kind_name(enum hold_kind kind)
{
	static const char *const names[] = { "", "throttle", "quota" };

	return names[kind];
}
