/*
 * test_descriptors.c - how many connections a limit of open files allows.
 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "check.h"
#include "config/config.h"
#include "proxy/descriptors.h"

/* All that is in use at once: each client, and for each what its request takes at the upstream. */
static int64_t in_use(const struct descriptor_plan *plan, int64_t each)
{
	return plan->connections * each + plan->admin;
}

static struct descriptor_plan plan(const char *const *overrides, int64_t limit)
{
	CLEANUP(config_freep) struct config *config = NULL;
	CLEANUP(buf_clear) struct buf errors = { 0 };
	struct config_sources sources = { .overrides = overrides };
	struct descriptor_plan ret;

	must(config_load(&sources, &errors, &config) == 0);
	descriptors_plan(config, limit, &ret);
	return ret;
}

#define PLAN(limit, ...) plan((const char *const[]){ __VA_ARGS__, NULL }, limit)

static void test_room(void)
{
	static const int64_t limits[] = { 100, 256, 300, 1024, 4096, 20000, 41000, 1048576 };

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		struct descriptor_plan p = PLAN(limits[i], "admin.address=127.0.0.1:1");

		CHECK(in_use(&p, 2) + 64 <= limits[i]);
		CHECK(p.connections == 10000 ||
		      in_use(&p, 2) + 64 + 2 * 100 + limits[i] / 40 >= limits[i]);
		CHECK(p.connections <= 10000 && p.connections >= 1);
		CHECK(p.admin >= 8 && p.admin <= 256);
		CHECK((p.needed <= limits[i]) == (p.connections == 10000));
	}
}

/* A name has to be looked up; TLS has a pair of sockets more. */
static void test_each(void)
{
	static const struct {
		const char *url, *proxy, *socket;
		int64_t each;
	} rows[] = {
		{ "http://127.0.0.1:3000", "", "", 2 },
		{ "http://127.0.0.1/p", "", "", 2 },
		{ "http://[::1]:3000", "", "", 2 },
		{ "http://relay:3000", "", "", 3 },
		{ "https://api.anthropic.com", "", "", 3 },
		{ "http://relay:3000", "", "/run/relay.sock", 2 },
		{ "http://relay:3000", "http://10.0.0.1:3128", "", 2 },
		{ "http://127.0.0.1:3000", "http://u:p@proxy:3128", "", 3 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP(freep) char *url = xasprintf("upstream.url=%s", rows[i].url);
		CLEANUP(freep) char *proxy = xasprintf("upstream.proxy=%s", rows[i].proxy);
		CLEANUP(freep) char *path = xasprintf("upstream.unix_socket=%s", rows[i].socket);
		struct descriptor_plan p = PLAN(1000, url, proxy, path, "admin.address=");

		CHECK_INT(p.connections, (1000 - 64 - (rows[i].each == 2 ? 13 : 8)) / rows[i].each);
		CHECK_INT(p.admin, 0);
	}
	CHECK_INT(PLAN(1000, "admin.address=", "listen.tls_cert=/dev/null",
		       "listen.tls_key=/dev/null")
			  .connections,
		  (1000 - 64 - 5) / 4);
}

/* The unit's limit has room for the default, whatever a connection takes. */
static void test_unit(void)
{
	const char *root = getenv("SOURCE_ROOT");
	CLEANUP(freep) char *path = xasprintf("%s/config/turnstile.service", root ? root : ".");
	CLEANUP(buf_clear) struct buf text = { 0 }, why = { 0 };
	const char *limit;

	must(file_read(path, &text, &why) == 0);
	limit = strstr(buf_str(&text), "\nLimitNOFILE=");
	must(limit);
	CHECK_INT(PLAN(atoll(strchr(limit, '=') + 1), "upstream.url=http://relay:3000",
		       "listen.tls_cert=/dev/null", "listen.tls_key=/dev/null",
		       "admin.address=127.0.0.1:1")
			  .connections,
		  10000);
}

static void test_few(void)
{
	CHECK_INT(PLAN(10, "admin.address=").connections, 1);
	CHECK_INT(PLAN(1000, "listen.max_connections=7").connections, 7);
}

int main(void)
{
	test_room();
	test_each();
	test_few();
	test_unit();
	return check_done();
}
