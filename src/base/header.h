/*
 * header.h - HTTP header fields as pointers into somebody else's memory.
 */
#pragma once

#include <stddef.h>

#include "base/span.h"

struct header {
	struct span name, value; /* as received, without white space around the value */
};

struct headers {
	const struct header *fields; /* in order of arrival, duplicates included */
	size_t count;
};

/* The value of the first field of that name (any case); a span with a NULL ptr if there is none. */
static inline struct span headers_get(const struct headers *h, struct span name)
{
	for (size_t i = 0; i < h->count; i++) {
		if (span_ieq(h->fields[i].name, name))
			return h->fields[i].value;
	}
	return (struct span){ NULL, 0 };
}
