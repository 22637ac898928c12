#include "config/redis_address.h"

#include <ctype.h>
#include <errno.h>

static const char bad_login[] = "has an empty or badly percent-encoded user or password",
		  bad_db[] = "has a bad database number",
		  bad_param[] = "has something else than db=, user= or password= after \"?\"";

/* A terminated copy with %XX decoded, or NULL if it is malformed or contains %00. */
static char *decode(struct span s)
{
	CLEANUP(freep) char *out = xcalloc(1, s.len + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		char hex[3] = { 0 };

		if (s.ptr[i] != '%') {
			out[n++] = s.ptr[i];
			continue;
		}
		if (i + 2 >= s.len || !isxdigit((unsigned char)s.ptr[i + 1]) ||
		    !isxdigit((unsigned char)s.ptr[i + 2]))
			return NULL;
		memcpy(hex, s.ptr + i + 1, 2);
		out[n] = (char)strtol(hex, NULL, 16);
		if (!out[n++])
			return NULL;
		i += 2;
	}
	return steal(&out);
}

static bool parse_number(struct span s, int max, int *ret)
{
	int n = 0;

	if (!s.len || s.len > 5)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (!isdigit((unsigned char)s.ptr[i]))
			return false;
		n = n * 10 + (s.ptr[i] - '0');
	}
	*ret = n;
	return n <= max;
}

/* Splits at the first `c`: `*ret_before` and what is behind, or false if there is none. */
static bool split(struct span *s, char c, struct span *ret_before)
{
	const char *at = s->len ? memchr(s->ptr, c, s->len) : NULL;

	if (!at)
		return false;
	*ret_before = (struct span){ s->ptr, (size_t)(at - s->ptr) };
	*s = (struct span){ at + 1, s->len - ret_before->len - 1 };
	return true;
}

static bool set(char **to, struct span value)
{
	free(*to);
	*to = decode(value);
	return *to && **to;
}

static const char *parse_login(struct redis_address *a, struct span login)
{
	struct span user;

	if (!split(&login, ':', &user))
		return "has something else than :PASSWORD or USER:PASSWORD in front of the \"@\"";
	if ((user.len && !set(&a->user, user)) || !set(&a->password, login))
		return bad_login;
	return NULL;
}

static const char *parse_host(struct span at, char **ret_host, int *ret_port)
{
	struct span host = at;
	bool port = false;

	if (span_starts(at, SPAN("["))) {
		at = (struct span){ at.ptr + 1, at.len - 1 };
		if (!split(&at, ']', &host))
			return "has no \"]\" behind its address";
		port = span_starts(at, SPAN(":"));
		if (at.len && !port)
			return "has something else than :PORT behind the \"]\"";
		at = port ? (struct span){ at.ptr + 1, at.len - 1 } : at;
	} else {
		port = split(&at, ':', &host);
	}
	if (!set(ret_host, host))
		return "has no host";
	if (port && (!parse_number(at, 65535, ret_port) || !*ret_port))
		return "has a bad port";
	return NULL;
}

/* Takes "login@" off an authority, if there is one. */
static const char *take_login(struct redis_address *a, struct span *authority)
{
	const char *at = authority->len ? memrchr(authority->ptr, '@', authority->len) : NULL;
	struct span login;

	if (!at)
		return NULL;
	login = (struct span){ authority->ptr, (size_t)(at - authority->ptr) };
	*authority = (struct span){ at + 1, authority->len - login.len - 1 };
	return parse_login(a, login);
}

static const char *parse_db(struct redis_address *a, struct span db)
{
	return !db.len || parse_number(db, 65535, &a->db) ? NULL : bad_db;
}

static const char *parse_tcp(struct redis_address *a, struct span rest)
{
	struct span authority = rest;
	bool db = split(&rest, '/', &authority);
	const char *wrong = take_login(a, &authority);

	a->port = 6379;
	if (!wrong)
		wrong = parse_host(authority, &a->host, &a->port);
	if (!wrong && db)
		wrong = parse_db(a, rest);
	return wrong;
}

static const char *add_sentinel(struct redis_address *a, struct span at)
{
	struct redis_host *h;

	a->sentinels = xrealloc(a->sentinels, (a->sentinel_count + 1) * sizeof *a->sentinels);
	h = &a->sentinels[a->sentinel_count++];
	*h = (struct redis_host){ NULL, 26379 };
	return parse_host(at, &h->name, &h->port);
}

static const char *parse_sentinel(struct redis_address *a, struct span rest)
{
	struct span authority, sentinel, master;
	const char *wrong;

	if (!split(&rest, '/', &authority))
		return "has no name of a master: redis+sentinel://HOST[:PORT],HOST[:PORT]/MASTER";
	wrong = take_login(a, &authority);
	while (!wrong && span_next(&authority, ',', &sentinel))
		wrong = add_sentinel(a, sentinel);
	if (!wrong && !a->sentinel_count)
		wrong = "has no host";
	if (!split(&rest, '/', &master)) {
		master = rest;
		rest.len = 0;
	}
	if (!wrong && !set(&a->master, master))
		wrong = "has no name of a master behind the \"/\"";
	return wrong ? wrong : parse_db(a, rest);
}

/* "db=3" of "?db=3&user=u" */
static const char *parse_param(struct redis_address *a, struct span value)
{
	struct span name;

	if (!split(&value, '=', &name))
		return bad_param;
	if (span_eq(name, SPAN("db")))
		return parse_number(value, 65535, &a->db) ? NULL : bad_db;
	if (span_eq(name, SPAN("user")))
		return set(&a->user, value) ? NULL : bad_login;
	if (span_eq(name, SPAN("password")))
		return set(&a->password, value) ? NULL : bad_login;
	return bad_param;
}

static const char *parse_unix(struct redis_address *a, struct span rest)
{
	struct span path = rest, param;
	bool more = split(&rest, '?', &path);
	const char *wrong = set(&a->path, path) ? NULL : "has no path";

	while (!wrong && more && span_next(&rest, '&', &param))
		wrong = parse_param(a, param);
	return wrong;
}

static bool take_scheme(struct span *url, struct span scheme)
{
	if (!span_starts(*url, scheme))
		return false;
	*url = (struct span){ url->ptr + scheme.len, url->len - scheme.len };
	return true;
}

int redis_address_parse(struct span url, struct buf *why, struct redis_address *ret)
{
	struct redis_address a = { 0 };
	const char *wrong;

	if (take_scheme(&url, SPAN("redis://")))
		wrong = parse_tcp(&a, url);
	else if (take_scheme(&url, SPAN("unix:")))
		wrong = parse_unix(&a, url);
	else if (take_scheme(&url, SPAN("redis+sentinel://")))
		wrong = parse_sentinel(&a, url);
	else if (take_scheme(&url, SPAN("rediss://")))
		wrong = parse_tcp(&a, url), a.tls = true;
	else
		wrong = "has another scheme";
	if (wrong) {
		buf_puts(why, wrong);
		redis_address_clear(&a);
		return -EINVAL;
	}
	*ret = a;
	return 0;
}

static char *copy(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

void redis_address_copy(const struct redis_address *a, struct redis_address *ret)
{
	*ret = (struct redis_address){
		.path = copy(a->path),
		.master = copy(a->master),
		.host = copy(a->host),
		.port = a->port,
		.sentinels = xcalloc(a->sentinel_count + 1, sizeof *a->sentinels),
		.sentinel_count = a->sentinel_count,
		.db = a->db,
	};
	for (size_t i = 0; i < a->sentinel_count; i++)
		ret->sentinels[i] =
			(struct redis_host){ xstrdup(a->sentinels[i].name), a->sentinels[i].port };
}

void redis_address_clear(struct redis_address *a)
{
	for (size_t i = 0; i < a->sentinel_count; i++)
		free(a->sentinels[i].name);
	free(a->sentinels);
	free(a->master);
	free(a->path);
	free(a->host);
	free(a->user);
	free(a->password);
	*a = (struct redis_address){ 0 };
}
