#include "admin/guard.h"

#include <arpa/inet.h>
#include <stdio.h>

bool guard_equal(struct span given, struct span wanted)
{
	volatile unsigned difference = given.len != wanted.len;

	for (size_t i = 0; i < given.len; i++)
		difference |= (unsigned char)given.ptr[i] ^
			      (unsigned char)(wanted.len ? wanted.ptr[i % wanted.len] : 0);
	return !difference;
}

/* Not one that is empty: an unset admin.token opens nothing. */
static bool compare(struct span given, const char *secret, const char *name, bool may_write,
		    struct guard_person *ret)
{
	if (!guard_equal(given, span_of(secret)) || !secret[0])
		return false;
	snprintf(ret->name, sizeof ret->name, "%s", name);
	ret->may_write = may_write;
	return true;
}

static bool find_person(const struct headers *headers, const struct guard_tokens *tokens,
			struct guard_person *ret)
{
	struct span value = headers_get(headers, SPAN("Authorization"));
	const struct span scheme = SPAN("Bearer ");
	bool found;

	if (value.len < scheme.len || !span_ieq((struct span){ value.ptr, scheme.len }, scheme))
		return false;
	value = span_trim((struct span){ value.ptr + scheme.len, value.len - scheme.len });
	found = compare(value, tokens->token, "admin", true, ret);
	for (const struct admin_token *t = tokens->tokens; t && t->name; t++)
		found |= compare(value, t->secret, t->name, t->may_write, ret);
	return found;
}

static bool needs_token(const struct guard_tokens *tokens)
{
	return tokens->token[0] || (tokens->tokens && tokens->tokens->name);
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

static enum guard_verdict check_write(const struct headers *headers, bool has_token, bool has_body)
{
	struct span type = headers_get(headers, SPAN("Content-Type"));

	if (!has_token && !is_from_here(headers, headers_get(headers, SPAN("Host"))))
		return GUARD_OTHER_SITE;
	if ((has_body || type.ptr) && !is_json(type))
		return GUARD_NOT_JSON;
	return GUARD_FINE;
}

enum guard_verdict guard_check(const struct headers *headers, enum route_access access,
			       const struct guard_tokens *tokens, bool has_body,
			       struct guard_person *ret)
{
	struct guard_person person = { .may_write = true };
	enum guard_verdict verdict = GUARD_FINE;

	if (access != ROUTE_OPEN && needs_token(tokens) && !find_person(headers, tokens, &person))
		return GUARD_NO_TOKEN;
	if (access != ROUTE_OPEN && !needs_token(tokens) &&
	    !names_this_machine(headers_get(headers, SPAN("Host"))))
		return GUARD_WRONG_HOST;
	if (access == ROUTE_WRITE && !person.may_write)
		return GUARD_READ_ONLY;
	if (access == ROUTE_WRITE)
		verdict = check_write(headers, needs_token(tokens), has_body);
	if (verdict == GUARD_FINE)
		*ret = person;
	return verdict;
}
