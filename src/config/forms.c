/*
 * forms.c - is this text an address, a URL, a name?
 *
 *      address       127.0.0.1:8080   [::1]:8080   localhost:0   unix:/run/turnstile.sock
 *      http URL      https://relay.example:8443/prefix
 *      proxy URL     socks5h://user:password@10.0.0.1:1080
 *      redis URL     redis://[[user]:password@]host[:port][/db]         rediss:// for TLS
 *                    redis+sentinel://[user:password@]host[:port][,host[:port]...]/master[/db]
 *                    unix:PATH[?db=N&user=U&password=P]
 *
 * In user, password and the values after "?" of a redis URL, %XX stands for a byte (RFC 3986,
 * section 2.1), so that a password may hold "@" or "/".
 */
#include "config/forms.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/un.h>

#include "base/file.h"
#include "config/redis_address.h"

/* A URL's parts (RFC 3986, section 3); what is absent has a NULL ptr. */
struct url {
	struct span scheme, userinfo, host, port, path, query;
};

static int wrong(struct buf *why, const char *what)
{
	buf_puts(why, what);
	return -EINVAL;
}

/* Takes off and returns what stands before the first `c`, all of `*s` if there is none. */
static struct span take_until(struct span *s, const char *stops)
{
	struct span head = { s->ptr, 0 };

	while (head.len < s->len && !strchr(stops, s->ptr[head.len]))
		head.len++;
	s->ptr += head.len;
	s->len -= head.len;
	return head;
}

static struct span skip(struct span s, size_t n)
{
	return (struct span){ s.ptr + n, s.len - n };
}

bool form_is_name(struct span s, const char *others)
{
	for (size_t i = 0; i < s.len; i++) {
		if (!s.ptr[i] || (!isalnum((unsigned char)s.ptr[i]) && !strchr(others, s.ptr[i])))
			return false;
	}
	return s.len;
}

bool form_is_token(struct span s)
{
	return form_is_name(s, "!#$%&'*+-.^_`|~");
}

bool form_is_credential(struct span field)
{
	static const struct span ends[] = {
		SPAN("key"),    SPAN("token"),  SPAN("secret"),     SPAN("password"),
		SPAN("passwd"), SPAN("cookie"), SPAN("credential"), SPAN("authorization"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		if (field.len >= ends[i].len &&
		    span_ieq(skip(field, field.len - ends[i].len), ends[i]))
			return true;
	}
	return false;
}

/* A decimal number without a sign, `min` to `max`. */
static bool is_number(struct span s, int64_t min, int64_t max)
{
	int64_t n = 0;

	if (!s.len || s.len > 9)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (!isdigit((unsigned char)s.ptr[i]))
			return false;
		n = n * 10 + (s.ptr[i] - '0');
	}
	return n >= min && n <= max;
}

static bool is_ip(int family, struct span s)
{
	unsigned char binary[sizeof(struct in6_addr)];
	char text[INET6_ADDRSTRLEN];

	if (s.len >= sizeof text)
		return false;
	memcpy(text, s.ptr, s.len);
	text[s.len] = 0;
	return inet_pton(family, text, binary) == 1;
}

/* A name, an IPv4 address, or an IPv6 address in brackets. */
static int check_host(struct span s, struct buf *why)
{
	if (!s.len)
		return wrong(why, "has no host");
	if (s.ptr[0] == '[') {
		if (s.len < 2 || s.ptr[s.len - 1] != ']' ||
		    !is_ip(AF_INET6, (struct span){ s.ptr + 1, s.len - 2 }))
			return wrong(why, "has no IPv6 address in its brackets");
		return 0;
	}
	if (!form_is_name(s, ".-_") || s.len > 253)
		return wrong(why, "has a bad host (an IPv6 address needs brackets)");
	for (size_t i = 0; i < s.len; i++) {
		if (!isdigit((unsigned char)s.ptr[i]) && s.ptr[i] != '.')
			return 0;
	}
	return is_ip(AF_INET, s) ? 0 : wrong(why, "has a bad IPv4 address");
}

/* Splits "host:port" or "[v6]:port"; without ":" the port has a NULL ptr. */
static void split_port(struct span s, struct span *ret_host, struct span *ret_port)
{
	struct span rest = s;

	if (s.len && s.ptr[0] == '[')
		take_until(&rest, "]");
	take_until(&rest, ":");
	*ret_host = (struct span){ s.ptr, s.len - rest.len };
	*ret_port = rest.len ? skip(rest, 1) : (struct span){ NULL, 0 };
}

static int check_host_port(struct span host, struct span port, int64_t least, struct buf *why)
{
	int r = check_host(host, why);

	if (!r && port.ptr && !is_number(port, least, UINT16_MAX))
		return wrong(why, "has a bad port");
	return r;
}

static int check_socket_path(struct span path, struct buf *why)
{
	if (!path.len)
		return wrong(why, "has no path");
	if (path.len >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return wrong(why, "has a path that is too long for a socket (107 bytes)");
	return 0;
}

static int check_address(struct span *s, struct buf *why)
{
	struct span host, port;

	if (span_starts(*s, SPAN("unix:")))
		return check_socket_path(skip(*s, 5), why);
	split_port(*s, &host, &port);
	if (check_host_port(host, port, 0, why) < 0)
		return -EINVAL;
	return port.ptr ? 0 : wrong(why, "has no port");
}

bool form_is_loopback(struct span address)
{
	struct span host, port;
	char text[INET6_ADDRSTRLEN];
	struct in_addr v4;

	if (span_starts(address, SPAN("unix:")))
		return true;
	split_port(address, &host, &port);
	if (span_ieq(host, SPAN("localhost")) || span_eq(host, SPAN("[::1]")))
		return true;
	if (host.len >= sizeof text)
		return false;
	snprintf(text, sizeof text, "%.*s", SPAN_ARG(host));
	return inet_pton(AF_INET, text, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

static int check_line_path(struct span *s, struct buf *why)
{
	if (!s->len)
		return 0;
	if (s->len < 2 || s->ptr[0] != '/' || s->ptr[s->len - 1] == '/' ||
	    !form_is_name(*s, "/._~-"))
		return wrong(why, "isn't \"/\" and letters, digits or \"/._~-\" behind it");
	return 0;
}

static int check_socket(struct span *s, struct buf *why)
{
	return s->len ? check_socket_path(*s, why) : 0;
}

static int check_admin(struct span *s, struct buf *why)
{
	return s->len ? check_address(s, why) : 0;
}

/* RFC 6750, section 2.1: b64token. What is wrong is told without the text. */
static int check_secret(struct span *s, struct buf *why)
{
	if (!s->len)
		return 0;
	if (!form_is_name(*s, "-._~+/="))
		return wrong(why, "has a character that a bearer token can't have");
	if (s->len < SECRET_MIN || s->len > SECRET_MAX)
		return wrong(why, "is too short or too long");
	return 0;
}

static void split_authority(struct span authority, struct url *ret)
{
	size_t at = authority.len;

	while (at && authority.ptr[at - 1] != '@')
		at--;
	if (at)
		ret->userinfo = (struct span){ authority.ptr, at - 1 };
	split_port(skip(authority, at), &ret->host, &ret->port);
}

/* False if there is no "scheme://". */
static bool split_url(struct span s, struct url *ret)
{
	*ret = (struct url){ .scheme = take_until(&s, ":/?#") };
	if (!ret->scheme.len || !span_starts(s, SPAN("://")))
		return false;
	s = skip(s, 3);
	split_authority(take_until(&s, "/?#"), ret);
	ret->path = take_until(&s, "?#");
	if (s.len)
		ret->query = s;
	return true;
}

static bool one_of(struct span s, const char *const *words)
{
	while (*words && !span_ieq(s, span_of(*words)))
		words++;
	return *words;
}

static int check_bytes(struct span s, struct buf *why)
{
	for (size_t i = 0; i < s.len; i++) {
		if ((unsigned char)s.ptr[i] <= ' ' || (unsigned char)s.ptr[i] >= 0x7f)
			return wrong(why, "has a blank or a byte that must be written as %XX");
	}
	return 0;
}

/* The parts that all URLs have in common; `schemes` ends with NULL. */
static int check_url(struct span s, const char *const *schemes, struct url *ret, struct buf *why)
{
	if (check_bytes(s, why) < 0)
		return -EINVAL;
	if (!split_url(s, ret))
		return wrong(why, "has no scheme://");
	if (!one_of(ret->scheme, schemes))
		return wrong(why, "has another scheme");
	if (ret->query.ptr)
		return wrong(why, "has a query or fragment");
	return check_host_port(ret->host, ret->port, 1, why);
}

static int check_http_url(struct span *s, struct buf *why)
{
	static const char *const schemes[] = { "http", "https", NULL };
	struct url url;
	int r = check_url(*s, schemes, &url, why);

	if (r < 0)
		return r;
	if (url.userinfo.ptr)
		return wrong(why, "has a user or password");
	while (s->ptr[s->len - 1] == '/')
		s->len--;
	return 0;
}

/* Services put what is secret into path or query. */
static int check_webhook(struct span *s, struct buf *why)
{
	static const char *const schemes[] = { "http", "https", NULL };
	struct span rest = *s, plain = { s->ptr, take_until(&rest, "?").len };
	struct url url;
	int r = s->len ? check_bytes(*s, why) : 0;

	if (r < 0 || !s->len)
		return r;
	r = check_url(plain, schemes, &url, why);
	if (r < 0)
		return r;
	if (memchr(s->ptr, '#', s->len))
		return wrong(why, "has a fragment");
	return url.userinfo.ptr ? wrong(why, "has a user or password") : 0;
}

/* Whether every "%" begins a byte, and not NUL: these end up in terminated strings. */
static bool escapes_are_good(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] != '%')
			continue;
		if (s.len - i < 3 || !isxdigit((unsigned char)s.ptr[i + 1]) ||
		    !isxdigit((unsigned char)s.ptr[i + 2]) || !memcmp(s.ptr + i, "%00", 3))
			return false;
	}
	return true;
}

static int check_proxy_url(struct span *s, struct buf *why)
{
	static const char *const schemes[] = { "http",   "https",   "socks4", "socks4a",
					       "socks5", "socks5h", NULL };
	struct url url;
	int r = s->len ? check_url(*s, schemes, &url, why) : 0;

	if (r < 0 || !s->len)
		return r;
	if (!escapes_are_good(url.userinfo))
		return wrong(why, "has a bad %XX in its user or password");
	if (url.path.len > 1)
		return wrong(why, "has a path");
	s->len -= url.path.len;
	return 0;
}

/* How the hosts of a list are spelled. */
static int check_sentinels(struct span list, struct buf *why)
{
	struct span one, host, port;

	while (span_next(&list, ',', &one)) {
		split_port(one, &host, &port);
		if (check_host_port(host, port, 1, why) < 0)
			return -EINVAL;
	}
	return 0;
}

static int check_redis_sentinel(struct span url, struct buf *why)
{
	struct url parts;
	struct span hosts;

	if (check_bytes(url, why) < 0)
		return -EINVAL;
	split_url(url, &parts);
	if (parts.query.ptr)
		return wrong(why, "has a query or fragment");
	hosts.ptr = parts.host.ptr;
	hosts.len = (size_t)(parts.path.ptr - hosts.ptr);
	return check_sentinels(hosts, why);
}

static int check_redis_tcp(struct span url, struct buf *why)
{
	static const char *const schemes[] = { "redis", "rediss", NULL };
	struct url parts;

	return check_url(url, schemes, &parts, why);
}

static int check_redis_unix(struct span url, struct buf *why)
{
	struct span rest = skip(url, 5);

	return check_socket_path(take_until(&rest, "?"), why);
}

/* How hosts and paths may be spelled is said here, all else by who reads it. */
static int check_redis_url(struct span *s, struct buf *why)
{
	struct redis_address address = { 0 };
	int r;

	if (!s->len)
		return 0;
	if (span_starts(*s, SPAN("unix:")))
		r = check_redis_unix(*s, why);
	else if (span_starts(*s, SPAN("redis+sentinel://")))
		r = check_redis_sentinel(*s, why);
	else
		r = check_redis_tcp(*s, why);
	if (!r)
		r = redis_address_parse(*s, why, &address);
	redis_address_clear(&address);
	return r;
}

bool form_suits_cluster(struct span url)
{
	CLEANUP(buf_clear) struct buf why = { 0 };
	struct redis_address address = { 0 };
	bool suits;

	if (!url.len)
		return true;
	suits = redis_address_parse(url, &why, &address) == 0 && !address.master && !address.db;
	redis_address_clear(&address);
	return suits;
}

static int check_sent_host(struct span *s, struct buf *why)
{
	struct span host, port;

	split_port(*s, &host, &port);
	return check_host_port(host, port, 1, why);
}

static int check_file(struct span *s, struct buf *why)
{
	CLEANUP(freep) char *path = xstrndup(s->ptr, s->len);
	CLEANUP(buf_clear) struct buf text = { 0 }, cause = { 0 };
	int r = s->len ? file_read(path, &text, &cause) : 0;

	if (r < 0)
		buf_printf(why, "can't be read: %s", buf_str(&cause));
	return r < 0 ? -EINVAL : 0;
}

static int check_key_prefix(struct span *s, struct buf *why)
{
	if (!s->len)
		return wrong(why, "is empty");
	if (s->len > KEY_PREFIX_MAX)
		return wrong(why, "is too long");
	return form_is_name(*s, "._-:") ? 0 : wrong(why, "has another character");
}

static int check_instance(struct span *s, struct buf *why)
{
	if (!s->len)
		return wrong(why, "is empty");
	if (s->len > INSTANCE_MAX)
		return wrong(why, "is too long");
	return form_is_name(*s, "._-") ? 0 : wrong(why, "has another character");
}

const struct text_form form_address = {
	"HOST:PORT, [IPV6]:PORT or unix:PATH",
	check_address,
};
const struct text_form form_http_url = {
	"http:// or https://, HOST[:PORT][/PATH]",
	check_http_url,
};
const struct text_form form_webhook = {
	"empty, or http[s]://HOST[:PORT][/PATH][?QUERY]",
	check_webhook,
};
const struct text_form form_proxy_url = {
	"empty, or http[s]://, socks4[a]:// or socks5[h]://[USER[:PASSWORD]@]HOST[:PORT]",
	check_proxy_url,
};
const struct text_form form_redis_url = {
	"empty, redis[s]://[USER:PASSWORD@]HOST[:PORT][/DB], redis+sentinel: or unix:",
	check_redis_url,
};
const struct text_form form_host = {
	"upstream, client or HOST[:PORT]",
	check_sent_host,
};
const struct text_form form_file = {
	"empty, or a file that can be read",
	check_file,
};
const struct text_form form_line_path = {
	"empty, or a path as /.well-known/turnstile/line",
	check_line_path,
};
const struct text_form form_socket = {
	"empty, or the path of a Unix socket",
	check_socket,
};
const struct text_form form_admin = {
	"empty, HOST:PORT, [IPV6]:PORT or unix:PATH",
	check_admin,
};
const struct text_form form_secret = {
	"empty, or 16 to 256 of letters, digits, \"-._~+/=\"",
	check_secret,
};
const struct text_form form_key_prefix = {
	"1 to 64 of letters, digits, \"._-:\"",
	check_key_prefix,
};
const struct text_form form_instance = {
	"1 to 64 of letters, digits, \"._-\"",
	check_instance,
};

/* Some programs take the X of "X@host" for a password, so that is masked as well. */
static void mask_authority(struct span url, struct span userinfo, struct buf *to)
{
	struct span rest = userinfo;
	struct span user = take_until(&rest, ":");
	const char *end = userinfo.ptr + userinfo.len;

	buf_append(to, url.ptr, (size_t)(userinfo.ptr - url.ptr));
	if (rest.len)
		buf_printf(to, "%.*s:", SPAN_ARG(user));
	buf_puts(to, "***");
	buf_append(to, end, (size_t)(url.ptr + url.len - end));
}

static void mask_query(struct span url, struct buf *to)
{
	struct span query = url, part;
	struct span path = take_until(&query, "?");
	char separator = '?';

	buf_append(to, path.ptr, path.len);
	query = query.len ? skip(query, 1) : (struct span){ NULL, 0 };
	while (span_next(&query, '&', &part)) {
		if (span_starts(part, SPAN("password=")))
			part = SPAN("password=***");
		buf_printf(to, "%c%.*s", separator, SPAN_ARG(part));
		separator = '&';
	}
}

void form_mask(struct span url, struct buf *to)
{
	struct url parts;

	if (span_starts(url, SPAN("unix:")))
		mask_query(url, to);
	else if (split_url(url, &parts) && parts.userinfo.len)
		mask_authority(url, parts.userinfo, to);
	else
		buf_append(to, url.ptr, url.len);
}
