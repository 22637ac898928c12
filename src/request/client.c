#include "request/client.h"

#include <stdio.h>
#include <string.h>

/* Where one is in a list of elements that spans fields, from its end. */
struct hops {
	const struct headers *headers;
	struct span name;
	size_t field;     /* the fields from here on are read */
	struct span rest; /* what is left of the one before */
};

/* Takes the last element; false at the list's begin. A comma within quotes ends no element. */
static bool take_last(struct span *rest, struct span *ret)
{
	bool quoted = false;
	size_t at = rest->len;

	if (!rest->ptr)
		return false;
	while (at > 0 && (quoted || rest->ptr[at - 1] != ',')) {
		quoted ^= rest->ptr[at - 1] == '"';
		at--;
	}
	*ret = span_trim((struct span){ rest->ptr + at, rest->len - at });
	*rest = at ? (struct span){ rest->ptr, at - 1 } : (struct span){ NULL, 0 };
	return true;
}

/* Empty elements are no elements (RFC 9110, section 5.6.1). */
static bool previous_hop(struct hops *h, struct span *ret)
{
	for (;;) {
		while (take_last(&h->rest, ret)) {
			if (ret->len)
				return true;
		}
		do {
			if (!h->field)
				return false;
			h->field--;
		} while (!span_ieq(h->headers->fields[h->field].name, h->name));
		h->rest = h->headers->fields[h->field].value;
	}
}

/* The value of "for" in an element of Forwarded, without its quotes; empty if there is none. */
static struct span forwarded_for(struct span element)
{
	const struct span name = SPAN("for=");
	struct span pair;

	while (span_next(&element, ';', &pair)) {
		if (pair.len <= name.len || !span_ieq((struct span){ pair.ptr, name.len }, name))
			continue;
		pair = (struct span){ pair.ptr + name.len, pair.len - name.len };
		if (pair.len >= 2 && pair.ptr[0] == '"' && pair.ptr[pair.len - 1] == '"')
			return (struct span){ pair.ptr + 1, pair.len - 2 };
		return pair;
	}
	return (struct span){ NULL, 0 };
}

/* "1.2.3.4", "1.2.3.4:5", "::1", "[::1]" or "[::1]:5" without port and brackets. */
static bool read_address(struct span text, char ret[CLIENT_ADDRESS_MAX])
{
	const char *colon = text.len ? memchr(text.ptr, ':', text.len) : NULL;

	if (span_starts(text, SPAN("["))) {
		const char *end = memchr(text.ptr, ']', text.len);

		if (!end)
			return false;
		text = (struct span){ text.ptr + 1, (size_t)(end - text.ptr - 1) };
	} else if (colon && !memchr(colon + 1, ':', (size_t)(text.ptr + text.len - colon - 1))) {
		text.len = (size_t)(colon - text.ptr);
	}
	if (!text.len || text.len >= CLIENT_ADDRESS_MAX)
		return false;
	memcpy(ret, text.ptr, text.len);
	ret[text.len] = '\0';
	return address_is_numeric(ret);
}

void client_find(const struct address_range *trusted, const struct headers *headers,
		 const char *peer, char ret[CLIENT_ADDRESS_MAX])
{
	bool x_forwarded = headers_get(headers, SPAN("X-Forwarded-For")).ptr;
	struct hops hops = { headers,
			     x_forwarded ? SPAN("X-Forwarded-For") : SPAN("Forwarded"),
			     headers->count,
			     { 0 } };
	char next[CLIENT_ADDRESS_MAX];
	struct span hop;

	snprintf(ret, CLIENT_ADDRESS_MAX, "%s", peer);
	while (address_is_in(trusted, ret) && previous_hop(&hops, &hop)) {
		if (!read_address(x_forwarded ? hop : forwarded_for(hop), next))
			return;
		memcpy(ret, next, sizeof next);
	}
}
