#include "base/histogram.h"

#include <sys/param.h>

#define MS 1000LL
#define S  (1000 * MS)

const struct histogram_scale histogram_waits = {
	{ 1 * MS, 5 * MS, 10 * MS, 25 * MS, 50 * MS, 100 * MS, 250 * MS, 500 * MS, 1 * S, 2500 * MS,
	  5 * S, 10 * S, 30 * S, 60 * S, 120 * S, 180 * S, 300 * S, 600 * S },
};
const struct histogram_scale histogram_quick = {
	{ 50, 100, 250, 500, 1 * MS, 2500, 5 * MS, 10 * MS, 25 * MS, 50 * MS, 100 * MS, 250 * MS,
	  500 * MS, 1 * S, 2500 * MS, 5 * S, 10 * S, 30 * S },
};

void histogram_add(struct histogram *h, int64_t us)
{
	size_t i = 0;

	us = MAX(us, 0);
	while (i < HISTOGRAM_BOUNDS && us > h->scale->le_us[i])
		i++;
	h->buckets[i]++;
	h->sum_us += us;
}

int64_t histogram_count(const struct histogram *h)
{
	int64_t n = 0;

	for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++)
		n += h->buckets[i];
	return n;
}
