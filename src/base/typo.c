#include "base/typo.h"

#include "base/mem.h"

enum { LONGEST = 63 };

/* Only three rows of the algorithm's table are kept. */
int typo_distance(struct span a, struct span b)
{
	int rows[3][LONGEST + 1];
	int *before = rows[0], *above = rows[1], *row = rows[2];

	if (a.len > LONGEST || b.len > LONGEST)
		return TYPO_FAR;
	for (size_t j = 0; j <= b.len; j++)
		row[j] = (int)j;
	for (size_t i = 1; i <= a.len; i++) {
		int *spare = before;

		before = above;
		above = row;
		row = spare;
		row[0] = (int)i;
		for (size_t j = 1; j <= b.len; j++) {
			int same = a.ptr[i - 1] == b.ptr[j - 1];

			row[j] = MIN(above[j - 1] + !same, MIN(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] &&
			    a.ptr[i - 2] == b.ptr[j - 1])
				row[j] = MIN(row[j], before[j - 2] + 1);
		}
	}
	return row[b.len];
}

int typo_limit(struct span name)
{
	return name.len < 5 ? 1 : name.len < 8 ? 2 : 3;
}
