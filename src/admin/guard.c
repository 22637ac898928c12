#include "admin/guard.h"

#include <arpa/inet.h>

bool guard_equal(struct span given, struct span wanted)
{
	volatile unsigned difference = given.len != wanted.len;

	for (size_t i = 0; i < given.len; i++)
		difference |= (unsigned char)given.ptr[i] ^
			      (unsigned char)(wanted.len ? wanted.ptr[i % wanted.len] : 0);
	return !difference;
}

static bool has_token(const struct headers *headers, struct span token)
{
	struct span value = headers_get(headers, SPAN("Authorization"));
	const struct span scheme = SPAN("Bearer ");

	if (value.len < scheme.len || !span_ieq((struct span){ value.ptr, scheme.len }, scheme))
		return false;
	return guard_equal(
		span_trim((struct span){ value.ptr + scheme.len, value.len - scheme.len }), token);
}

/* "host", "host:port" or "[v6]:port" without the port. */
static struct span host_of(struct span authority)
{
	size_t n = 0;

	if (span_starts(authority, SPAN("["))) {
		const char *end = memchr(authority.ptr, ']', authority.len);

		return (struct span){ authority.ptr, end ? (size_t)(end + 1 - authority.ptr) : 0 };
	}
	while (n < authority.len && authority.ptr[n] != ':')
		n++;
	return (struct span){ authority.ptr, n };
}

/* A name in DNS may lead here as well, so only what isn't looked up there. */
static bool names_this_machine(struct span authority)
{
	struct span host = host_of(authority);
	char text[INET_ADDRSTRLEN];
	struct in_addr v4;

	if (!host.len || span_starts(host, SPAN("[")) || span_ieq(host, SPAN("localhost")))
		return true;
	if (host.len >= sizeof text)
		return false;
	memcpy(text, host.ptr, host.len);
	text[host.len] = '\0';
	return inet_pton(AF_INET, text, &v4) == 1;
}

static bool is_from_here(const struct headers *headers, struct span host)
{
	struct span site = headers_get(headers, SPAN("Sec-Fetch-Site"));
	struct span origin = headers_get(headers, SPAN("Origin"));
	const struct span http = SPAN("http://");

	if (site.ptr && !span_eq(site, SPAN("same-origin")) && !span_eq(site, SPAN("none")))
		return false;
	if (!origin.ptr)
		return true;
	return host.len && span_starts(origin, http) &&
	       span_ieq((struct span){ origin.ptr + http.len, origin.len - http.len }, host);
}

static bool is_json(struct span type)
{
	struct span media;

	return span_next(&type, ';', &media) && span_ieq(media, SPAN("application/json"));
}

enum guard_verdict guard_check(const struct headers *headers, enum route_access access,
			       const char *token, bool has_body)
{
	struct span host = headers_get(headers, SPAN("Host"));
	struct span type = headers_get(headers, SPAN("Content-Type"));

	if (access == ROUTE_OPEN)
		return GUARD_FINE;
	if (token[0] && !has_token(headers, span_of(token)))
		return GUARD_NO_TOKEN;
	if (!token[0] && !names_this_machine(host))
		return GUARD_WRONG_HOST;
	if (access != ROUTE_WRITE)
		return GUARD_FINE;
	if (!token[0] && !is_from_here(headers, host))
		return GUARD_OTHER_SITE;
	if ((has_body || type.ptr) && !is_json(type))
		return GUARD_NOT_JSON;
	return GUARD_FINE;
}
