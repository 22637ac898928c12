/*
 * test_config_values.c - each type of option: what it takes, and what it says about the rest.
 */
#include <errno.h>

#include "config_run.h"

static void test_good_values(void)
{
	static const struct {
		const char *given, *name, *want;
	} cases[] = {
		{ "queue.enabled=FALSE", "queue.enabled", "false" },
		{ "queue.enabled=no", "queue.enabled", "false" },
		{ "queue.enabled=0", "queue.enabled", "false" },
		{ "queue.enabled=on", "queue.enabled", "true" },
		{ "queue.delay_ms=0", "queue.delay_ms", "0" },
		{ "queue.delay_ms= 10000 ", "queue.delay_ms", "10000" },
		{ "listen.max_body_bytes=1024", "listen.max_body_bytes", "1KiB" },
		{ "listen.max_body_bytes=1025", "listen.max_body_bytes", "1025" },
		{ "listen.max_body_bytes=1536 kib", "listen.max_body_bytes", "1536KiB" },
		{ "listen.max_body_bytes=1024MiB", "listen.max_body_bytes", "1GiB" },
		{ "log.level=DEBUG", "log.level", "debug" },
		{ "queue.release_on=headers", "queue.release_on", "headers" },
		{ "queue.max_hold_ms=5000", "queue.max_hold_ms", "5000" },
		{ "upstream.request_timeout_ms=7000", "queue.max_hold_ms", "7000" },
		{ "listen.address=[::1]:0", "listen.address", "[::1]:0" },
		{ "listen.address=localhost:65535", "listen.address", "localhost:65535" },
		{ "listen.address=unix:/run/t.sock", "listen.address", "unix:/run/t.sock" },
		{ "upstream.url=HTTPS://relay.example:8443/a/b//", "upstream.url",
		  "HTTPS://relay.example:8443/a/b" },
		{ "upstream.url=http://[::1]/", "upstream.url", "http://[::1]" },
		{ "upstream.proxy=socks5h://u:p%40@h:1080/", "upstream.proxy",
		  "socks5h://u:p%40@h:1080" },
		{ "upstream.host=client", "upstream.host", "client" },
		{ "upstream.host=api.example:8443", "upstream.host", "api.example:8443" },
		{ "upstream.ca_file=/dev/null", "upstream.ca_file", "/dev/null" },
		{ "redis.url=redis://h", "redis.url", "redis://h" },
		{ "redis.url=redis://:p%2Fw@[::1]:6380/12", "redis.url",
		  "redis://:p%2Fw@[::1]:6380/12" },
		{ "redis.url=rediss://u:p@@h/", "redis.url", "rediss://u:p@@h/" },
		{ "redis.url=unix:/tmp/r?db=3&user=u&password=p=q", "redis.url",
		  "unix:/tmp/r?db=3&user=u&password=p=q" },
		{ "redis.url=redis+sentinel://:p%2Fw@a,[::1]:7,c.d:26380/main/3", "redis.url",
		  "redis+sentinel://:p%2Fw@a,[::1]:7,c.d:26380/main/3" },
		{ "redis.url=", "redis.url", "" },
		{ "redis.instance=a.b_C-9", "redis.instance", "a.b_C-9" },
		{ "queue.paths=/v1/messages,/x , /y", "queue.paths", "/v1/messages, /x, /y" },
		{ "account.source=header:X-A,metadata.account_uuid,metadata.session_id,"
		  "api-key,static:a.b@c:d",
		  "account.source",
		  "header:X-A, metadata.account_uuid, metadata.session_id, api-key, "
		  "static:a.b@c:d" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run run = load(NULL, NULL, OVER(cases[i].given));

		CHECK_STR(buf_str(&run.errors), "");
		if (run.config)
			check_value(run.config, cases[i].name, cases[i].want);
		end(&run);
	}
}

/* Each type's bad values, with what is said about them. */
#define NUMBERS   "; allowed: 0 to 10000"
#define SIZES     "; allowed: 1KiB to 1GiB"
#define ADDRESSES "; allowed: HOST:PORT, [IPV6]:PORT or unix:PATH"
#define URLS      "; allowed: http:// or https://, HOST[:PORT][/PATH]"
#define HOOKS     "; allowed: empty, or http[s]://HOST[:PORT][/PATH][?QUERY]"
#define PROXIES                                                                           \
	"; allowed: empty, or http[s]://, socks4[a]:// or socks5[h]://[USER[:PASSWORD]@]" \
	"HOST[:PORT]"
#define REDISES                                                           \
	"; allowed: empty, redis[s]://[USER:PASSWORD@]HOST[:PORT][/DB], " \
	"redis+sentinel: or unix:"
#define SOURCES                                                                         \
	"; allowed: header:NAME, api-key, metadata.account_uuid, metadata.session_id, " \
	"metadata.device_id, client, static:NAME"
#define LONG_64 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl"
static const struct {
	const char *name, *value, *want;
} bad_values[] = {
	{ "queue.enabled", "maybe", "\"maybe\" is neither; allowed: true or false" },
	{ "queue.enabled", "", "is empty; allowed: true or false" },
	{ "queue.delay_ms", "20000", "\"20000\" is out of range" NUMBERS },
	{ "queue.delay_ms", "-1", "\"-1\" is out of range" NUMBERS },
	{ "queue.delay_ms", "", "is empty" NUMBERS },
	{ "queue.delay_ms", "-", "\"-\" is not a whole number" NUMBERS },
	{ "queue.delay_ms", "+5", "\"+5\" is not a whole number" NUMBERS },
	{ "queue.delay_ms", "0x5", "\"0x5\" is not a whole number" NUMBERS },
	{ "queue.delay_ms", "5s", "\"5s\" is not a whole number" NUMBERS },
	{ "queue.delay_ms", "1.5", "\"1.5\" is not a whole number" NUMBERS },
	{ "queue.delay_ms", "18446744073709551617",
	  "\"18446744073709551617\" is out of range" NUMBERS },
	{ "queue.delay_ms", "\x1b[1m\"", "\"\\u001b[1m\\\"\" is not a whole number" NUMBERS },
	{ "listen.max_body_bytes", "1MB",
	  "\"1MB\" is not a whole number of bytes, KiB, MiB or GiB" SIZES },
	{ "listen.max_body_bytes", "MiB",
	  "\"MiB\" is not a whole number of bytes, KiB, MiB or GiB" SIZES },
	{ "listen.max_body_bytes", "1023", "\"1023\" is out of range" SIZES },
	{ "listen.max_body_bytes", "9223372036854775807GiB",
	  "\"9223372036854775807GiB\" is out of range" SIZES },
	{ "log.level", "loud", "\"loud\" is none of them; allowed: error, warn, info, debug" },
	{ "queue.release_on", "", "is empty; allowed: end, headers" },
	{ "listen.address", "", "has no host" ADDRESSES },
	{ "listen.address", ":80", "has no host" ADDRESSES },
	{ "listen.address", "localhost", "has no port" ADDRESSES },
	{ "listen.address", "localhost:", "has a bad port" ADDRESSES },
	{ "listen.address", "localhost:65536", "has a bad port" ADDRESSES },
	{ "listen.address", "localhost:+1", "has a bad port" ADDRESSES },
	{ "listen.address", "256.0.0.1:80", "has a bad IPv4 address" ADDRESSES },
	{ "listen.address", "[::g]:80", "has no IPv6 address in its brackets" ADDRESSES },
	{ "listen.address", "[::1:80", "has no IPv6 address in its brackets" ADDRESSES },
	{ "listen.address", "a b:80", "has a bad host (an IPv6 address needs brackets)" ADDRESSES },
	{ "listen.address", "unix:", "has no path" ADDRESSES },
	{ "listen.address", "unix:" LONG_64 LONG_64,
	  "has a path that is too long for a socket (107 bytes)" ADDRESSES },
	{ "upstream.url", "", "has no scheme://" URLS },
	{ "upstream.url", "relay:3000", "has no scheme://" URLS },
	{ "upstream.url", "ftp://h", "has another scheme" URLS },
	{ "upstream.url", "http://", "has no host" URLS },
	{ "upstream.url", "http:///p", "has no host" URLS },
	{ "upstream.url", "http://h:0", "has a bad port" URLS },
	{ "upstream.url", "http://h:", "has a bad port" URLS },
	{ "upstream.url", "http://h?q", "has a query or fragment" URLS },
	{ "upstream.url", "http://h/p#f", "has a query or fragment" URLS },
	{ "upstream.url", "http://u:secret@h", "has a user or password" URLS },
	{ "upstream.url", "http://h/a b",
	  "has a blank or a byte that must be written as %XX" URLS },
	{ "upstream.url", "http://h/a ;b", "has a \";\" where a comment would begin" URLS },
	{ "upstream.url", "http://h/\x01", "has a control character" URLS },
	{ "admin.webhook", "ftp://h/p", "has another scheme" HOOKS },
	{ "admin.webhook", "https://u:p@h/p", "has a user or password" HOOKS },
	{ "admin.webhook", "https://h/p?q#f", "has a fragment" HOOKS },
	{ "admin.webhook", "https://h:0/p?q", "has a bad port" HOOKS },
	{ "upstream.proxy", "h:1080", "has no scheme://" PROXIES },
	{ "upstream.proxy", "http://h/p", "has a path" PROXIES },
	{ "upstream.proxy", "http://u:%zz@h", "has a bad %XX in its user or password" PROXIES },
	{ "upstream.host", "a/b",
	  "has a bad host (an IPv6 address needs brackets); "
	  "allowed: upstream, client or HOST[:PORT]" },
	{ "upstream.ca_file", "/nonexistent",
	  "can't be read: No such file or directory; "
	  "allowed: empty, or a file that can be read" },
	{ "redis.url", "http://:secret@h", "has another scheme" REDISES },
	{ "redis.url", "redis://:secret@", "has no host" REDISES },
	{ "redis.url", "redis://:sec/ret@h", "has no host" REDISES },
	{ "redis.url", "redis://h/one", "has a bad database number" REDISES },
	{ "redis.url", "redis://h/1/2", "has a bad database number" REDISES },
	{ "redis.url", "redis://h?db=1", "has a query or fragment" REDISES },
	{ "redis.url", "redis://:%00@h",
	  "has an empty or badly percent-encoded user or password" REDISES },
	{ "redis.url", "redis://secret@h",
	  "has something else than :PASSWORD or USER:PASSWORD in front of the \"@\"" REDISES },
	{ "redis.url", "REDIS://h", "has another scheme" REDISES },
	{ "redis.url", "redis+sentinel:h/m", "has no scheme://" REDISES },
	{ "redis.url", "redis+sentinel:///m", "has no host" REDISES },
	{ "redis.url", "redis+sentinel://h,,i/m", "has no host" REDISES },
	{ "redis.url", "redis+sentinel://h,i:x/m", "has a bad port" REDISES },
	{ "redis.url", "redis+sentinel://h,redis://i/m", "has a bad port" REDISES },
	{ "redis.url", "redis+sentinel://h,i j/m",
	  "has a blank or a byte that must be written as %XX" REDISES },
	{ "redis.url", "redis+sentinel://h",
	  "has no name of a master: "
	  "redis+sentinel://HOST[:PORT],HOST[:PORT]/MASTER" REDISES },
	{ "redis.url", "redis+sentinel://h/", "has no name of a master behind the \"/\"" REDISES },
	{ "redis.url", "redis+sentinel://h/m/x", "has a bad database number" REDISES },
	{ "redis.url", "redis+sentinel://h/m?db=1", "has a query or fragment" REDISES },
	{ "redis.url", "unix:", "has no path" REDISES },
	{ "redis.url", "unix:/s?db=x", "has a bad database number" REDISES },
	{ "redis.url", "unix:/s?password=%4",
	  "has an empty or badly percent-encoded user or password" REDISES },
	{ "redis.url", "unix:/s?secret",
	  "has something else than db=, user= or password= after \"?\"" REDISES },
	{ "redis.url", "unix:/s?pass=x",
	  "has something else than db=, user= or password= after \"?\"" REDISES },
	{ "redis.key_prefix", "", "is empty; allowed: 1 to 64 of letters, digits, \"._-:\"" },
	{ "redis.key_prefix", "a{b}",
	  "has another character; allowed: 1 to 64 of letters, digits, \"._-:\"" },
	{ "redis.instance", "a:b",
	  "has another character; allowed: 1 to 64 of letters, digits, \"._-\"" },
	{ "redis.instance", LONG_64 "m",
	  "is too long; allowed: 1 to 64 of letters, digits, \"._-\"" },
	{ "queue.paths", "", "is empty; allowed: /PATH, /PATH, ..." },
	{ "queue.paths", "/a,,/b", "is empty; allowed: /PATH, /PATH, ..." },
	{ "queue.paths", "/a,b", "\"b\" doesn't begin with \"/\"; allowed: /PATH, /PATH, ..." },
	{ "queue.paths", "/a?b",
	  "\"/a?b\" has a character that no path has; allowed: /PATH, /PATH, ..." },
	{ "account.source", "", "is empty" SOURCES },
	{ "account.source", "api-key,", "is empty" SOURCES },
	{ "account.source", "apikey", "\"apikey\" is none of them" SOURCES },
	{ "account.source", "header:", "\"header:\" names no header" SOURCES },
	{ "account.source", "api-key, header:a b", "\"header:a b\" names no header" SOURCES },
	{ "account.source", "static:a/b",
	  "\"static:a/b\" is no name of up to 128 letters, digits and \"._-@:\"" SOURCES },
	{ "account.source", "static:" LONG_64 LONG_64 "m",
	  "\"static:" LONG_64 LONG_64 "m\" is no name of up to 128 letters, digits and "
	  "\"._-@:\"" SOURCES },
};

static void test_bad_values(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_values); i++) {
		CLEANUP(freep)
		char *given = xasprintf("%s=%s", bad_values[i].name, bad_values[i].value);
		CLEANUP(freep)
		char *want = xasprintf("-o %s: %s\n", bad_values[i].name, bad_values[i].want);
		struct run run = load(NULL, NULL, OVER(given));

		CHECK_INT(run.result, -EINVAL);
		CHECK(!run.config);
		CHECK_STR(buf_str(&run.errors), want);
		end(&run);
	}
}

static void test_addresses(void)
{
	static const struct {
		const char *listen, *admin, *want;
	} cases[] = {
		{ "listen.address=127.0.0.1:8081", "admin.address=127.0.0.1:8081",
		  "admin.address: is listen.address too; give it one of its own\n" },
		{ "listen.address=unix:/x", "admin.address=unix:/x",
		  "admin.address: is listen.address too; give it one of its own\n" },
		{ "listen.address=127.0.0.1:0", "admin.address=127.0.0.1:0", "" },
		{ "listen.address=[::1]:8081", "admin.address=127.0.0.1:8081", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run run = load(NULL, NULL, OVER(cases[i].listen, cases[i].admin));

		CHECK_STR(buf_str(&run.errors), cases[i].want);
		end(&run);
	}
}

/* Certificate and key: both or none; they may become others, but not come or go. */
static void test_tls(void)
{
	static const char *const first[] = { "listen.tls_cert=/dev/null",
					     "listen.tls_key=/dev/null", NULL };
	static const char *const second[] = { "listen.tls_cert=/proc/self/status",
					      "listen.tls_key=/proc/self/status", NULL };
	static const struct {
		const char *const *from, *const *to;
		bool is_fine;
	} cases[] = { { first, second, true }, { first, NULL, false }, { NULL, first, false } };
	struct run run = load(NULL, NULL, OVER("listen.tls_cert=/dev/null"));

	CHECK_STR(buf_str(&run.errors),
		  "listen.tls_key: is empty; TLS needs a certificate and its key\n");
	end(&run);
	run = load(NULL, NULL, OVER("listen.tls_key=/dev/null"));
	CHECK_STR(buf_str(&run.errors),
		  "listen.tls_cert: is empty; TLS needs a certificate and its key\n");
	end(&run);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run live = load(NULL, NULL, cases[i].from);
		struct run fresh = load(NULL, NULL, cases[i].to);
		struct buf errors = { 0 };

		CHECK_INT(config_reload(live.config, steal(&fresh.config), &errors),
			  cases[i].is_fine ? 0 : -EINVAL);
		CHECK_INT(errors.len != 0, !cases[i].is_fine);
		end(&live);
		end(&fresh);
		buf_clear(&errors);
	}
}

int main(void)
{
	test_addresses();
	test_tls();
	work_begin();
	test_good_values();
	test_bad_values();
	work_end();
	return check_done();
}
