/*
 * driver.h - fuzzers by count and seed: fuzz_NAME [COUNT [SEED]]. They end; a finding is repeatable.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "random.h"

static inline size_t fuzz_count(int argc, char **argv, size_t usual, struct random *ret)
{
	size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : usual;

	ret->state = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
	if (count && ret->state)
		return count;
	fprintf(stderr, "usage: %s [COUNT [SEED]]\n", argv[0]);
	exit(2);
}
