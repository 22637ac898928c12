#include "request/keys.h"

#include "base/mem.h"

static const struct span fields[] = {
	SPAN("x-api-key"), SPAN("authorization"),     SPAN("x-goog-api-key"),
	SPAN("api-key"),   SPAN("x-litellm-api-key"),
};

static bool is_visible(char c)
{
	return c > ' ' && c < 0x7f;
}

struct span key_trim(struct span s)
{
	while (s.len && !is_visible(s.ptr[0]))
		s.ptr++, s.len--;
	while (s.len && !is_visible(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

/* Takes off "Bearer", as often as it is there. */
static struct span without_bearer(struct span s)
{
	const struct span bearer = SPAN("bearer");

	s = key_trim(s);
	while (s.len >= bearer.len && span_ieq((struct span){ s.ptr, bearer.len }, bearer) &&
	       (s.len == bearer.len || !is_visible(s.ptr[bearer.len])))
		s = key_trim((struct span){ s.ptr + bearer.len, s.len - bearer.len });
	return s;
}

/* Takes off another scheme: a word and a blank. False if there is none. */
static bool without_scheme(struct span *s)
{
	size_t n = 0;

	while (n < s->len && s->ptr[n] != ' ' && s->ptr[n] != '\t')
		n++;
	if (n == s->len)
		return false;
	*s = key_trim((struct span){ s->ptr + n, s->len - n });
	return true;
}

static void take(struct keys *k, struct span key)
{
	if (!key.len || span_eq(key, k->first))
		return;
	if (!k->first.len)
		k->first = key;
	else if (!k->other.len)
		k->other = key;
}

/* The first field of that name only, and no key behind a scheme: where most relays look. */
static void take_usual(struct keys *k, const struct headers *headers, struct span name)
{
	struct span key = without_bearer(headers_get(headers, name)), rest = key;

	if (!without_scheme(&rest))
		take(k, key);
}

static void take_all(struct keys *k, const struct headers *headers, struct span name)
{
	for (size_t i = 0; i < headers->count; i++) {
		struct span key = headers->fields[i].value;

		if (!span_ieq(headers->fields[i].name, name))
			continue;
		key = without_bearer(key);
		without_scheme(&key);
		take(k, key);
	}
}

static bool is_forwarded(const struct headers *headers, struct span name)
{
	return headers_get(headers, name).ptr && !headers_connection_names(headers, name);
}

void keys_find(const struct headers *headers, struct keys *ret)
{
	*ret = (struct keys){ 0 };
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (is_forwarded(headers, fields[i]))
			take_usual(ret, headers, fields[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (is_forwarded(headers, fields[i]))
			take_all(ret, headers, fields[i]);
	}
}
