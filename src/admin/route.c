#include "admin/route.h"

#include <errno.h>
#include <string.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

bool route_decode(struct span s, char ret[ROUTE_PARAM_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		int c = (unsigned char)s.ptr[i];

		if (c == '%') {
			int high = i + 2 < s.len ? hex_digit(s.ptr[i + 1]) : -1;
			int low = i + 2 < s.len ? hex_digit(s.ptr[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = high * 16 + low;
			i += 2;
		}
		if (c < ' ' || c == 0x7f || n + 1 >= ROUTE_PARAM_MAX)
			return false;
		ret[n++] = (char)c;
	}
	ret[n] = '\0';
	return n > 0;
}

/* Takes the segment behind the next "/" off the front; false at the end. */
static bool next_segment(struct span *path, struct span *ret)
{
	const char *end;

	if (!path->len || path->ptr[0] != '/')
		return false;
	path->ptr++, path->len--;
	end = path->len ? memchr(path->ptr, '/', path->len) : NULL;
	*ret = (struct span){ path->ptr, end ? (size_t)(end - path->ptr) : path->len };
	path->ptr += ret->len;
	path->len -= ret->len;
	return true;
}

static bool matches(const char *pattern, struct span path, struct route_params *params)
{
	struct span wanted = span_of(pattern), want, got;
	size_t n = 0;

	while (next_segment(&wanted, &want)) {
		if (!next_segment(&path, &got))
			return false;
		if (!span_starts(want, SPAN("{"))) {
			if (!span_eq(want, got))
				return false;
			continue;
		}
		must(n < ROUTE_PARAMS);
		if (!route_decode(got, params->text[n++]))
			return false;
	}
	return !path.len;
}

static bool serves(const struct route *route, struct span method)
{
	if (span_eq(method, SPAN("HEAD")))
		method = SPAN("GET");
	return span_eq(method, span_of(route->method));
}

static struct span path_of(struct span target)
{
	const char *query = target.len ? memchr(target.ptr, '?', target.len) : NULL;

	return query ? (struct span){ target.ptr, (size_t)(query - target.ptr) } : target;
}

int route_find(const struct route *table, size_t count, struct span method, struct span target,
	       const struct route **ret, struct route_params *params, struct buf *allow)
{
	struct span path = path_of(target);
	bool known = false;

	for (size_t i = 0; i < count; i++) {
		if (serves(&table[i], method) && matches(table[i].path, path, params)) {
			*ret = &table[i];
			return 0;
		}
	}
	for (size_t i = 0; i < count; i++) {
		if (!matches(table[i].path, path, params))
			continue;
		buf_printf(allow, "%s%s%s", known ? ", " : "", table[i].method,
			   strcmp(table[i].method, "GET") ? "" : ", HEAD");
		known = true;
	}
	return known ? -EACCES : -ENOENT;
}

struct span route_query(struct span target, struct span name)
{
	struct span rest, pair;
	size_t path = path_of(target).len;

	if (path == target.len)
		return (struct span){ NULL, 0 };
	rest = (struct span){ target.ptr + path + 1, target.len - path - 1 };
	while (span_next(&rest, '&', &pair)) {
		if (span_starts(pair, name) && pair.len > name.len && pair.ptr[name.len] == '=')
			return (struct span){ pair.ptr + name.len + 1, pair.len - name.len - 1 };
	}
	return (struct span){ NULL, 0 };
}
