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

/*
 * Whether a Connection field names this one: then it is meant for the next hop only, and whoever
 * forwards the request drops it (RFC 9110, section 7.6.1).
 */
static inline bool headers_connection_names(const struct headers *h, struct span name)
{
	for (size_t i = 0; i < h->count; i++) {
		struct span rest = h->fields[i].value, token;

		if (!span_ieq(h->fields[i].name, SPAN("Connection")))
			continue;
		while (span_next(&rest, ',', &token)) {
			if (span_ieq(token, name))
				return true;
		}
	}
	return false;
}
