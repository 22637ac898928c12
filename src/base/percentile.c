#include "base/percentile.h"

#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

int64_t percentile(int64_t *values, size_t count, size_t of_100)
{
	qsort(values, count, sizeof *values, ascending);
	return values[(count * of_100 + 99) / 100 - 1];
}
