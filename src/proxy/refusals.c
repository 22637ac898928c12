#include "proxy/refusals.h"

void refusals_add(struct refusals *r, const struct refusal *refusal)
{
	r->ring[r->count++ % REFUSALS_KEPT] = *refusal;
}

const struct refusal *refusals_get(const struct refusals *r, size_t back)
{
	if ((int64_t)back >= r->count || back >= REFUSALS_KEPT)
		return NULL;
	return &r->ring[(r->count - 1 - (int64_t)back) % REFUSALS_KEPT];
}
