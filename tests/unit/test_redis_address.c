/* test_redis_address.c - redis.url in all its forms. */
#include <errno.h>

#include "check.h"
#include "config/redis_address.h"

static const char *or_none(const char *s)
{
	return s ? s : "(none)";
}

static void test_good(void)
{
	static const struct {
		const char *url, *path, *host;
		int port;
		const char *user, *password;
		int db;
	} rows[] = {
		{ "redis://localhost", NULL, "localhost", 6379, NULL, NULL, 0 },
		{ "redis://10.0.0.7:7000/3", NULL, "10.0.0.7", 7000, NULL, NULL, 3 },
		{ "redis://h/", NULL, "h", 6379, NULL, NULL, 0 },
		{ "redis://:pw@h", NULL, "h", 6379, NULL, "pw", 0 },
		{ "redis://me:pw@h:1", NULL, "h", 1, "me", "pw", 0 },
		{ "redis://me:p%40%3a%2F%25@h", NULL, "h", 6379, "me", "p@:/%", 0 },
		{ "redis://me:p@q@h", NULL, "h", 6379, "me", "p@q", 0 },
		{ "redis://[::1]", NULL, "::1", 6379, NULL, NULL, 0 },
		{ "redis://:x@[fe80::1]:65535/15", NULL, "fe80::1", 65535, NULL, "x", 15 },
		{ "unix:/run/redis.sock", "/run/redis.sock", NULL, 0, NULL, NULL, 0 },
		{ "unix:/a%20b?db=2&password=x%26y&user=u", "/a b", NULL, 0, "u", "x&y", 2 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct redis_address a = { 0 };
		struct buf errors = { 0 };

		CHECK_INT(redis_address_parse(span_of(rows[i].url), &errors, &a), 0);
		CHECK_INT(errors.len, 0);
		CHECK_STR(or_none(a.path), or_none(rows[i].path));
		CHECK_STR(or_none(a.host), or_none(rows[i].host));
		CHECK_INT(a.port, rows[i].port);
		CHECK_STR(or_none(a.user), or_none(rows[i].user));
		CHECK_STR(or_none(a.password), or_none(rows[i].password));
		CHECK_INT(a.db, rows[i].db);
		redis_address_clear(&a);
		redis_address_clear(&a);
	}
}

static void test_sentinels(void)
{
	struct redis_address a = { 0 }, copy = { 0 };
	struct buf errors = { 0 };

	CHECK_INT(redis_address_parse(SPAN("redis+sentinel://me:pw@a,[::1]:7,c:26380/main/3"),
				      &errors, &a),
		  0);
	CHECK_STR(or_none(a.master), "main");
	CHECK_INT(a.db, 3);
	CHECK_STR(or_none(a.user), "me");
	CHECK_STR(or_none(a.password), "pw");
	redis_address_copy(&a, &copy);
	redis_address_clear(&a);
	CHECK_INT(copy.sentinel_count, 3);
	CHECK_STR(copy.sentinels[0].name, "a");
	CHECK_INT(copy.sentinels[0].port, 26379);
	CHECK_STR(copy.sentinels[1].name, "::1");
	CHECK_INT(copy.sentinels[1].port, 7);
	CHECK_INT(copy.sentinels[2].port, 26380);
	CHECK(!copy.password);
	redis_address_clear(&copy);
	CHECK_INT(redis_address_parse(SPAN("rediss://h:7"), &errors, &a), 0);
	CHECK(a.tls);
	redis_address_clear(&a);
}

static void test_bad(void)
{
	static const char *const urls[] = {
		"",
		"localhost",
		"http://h",
		"redis:/h",
		"redis://",
		"redis://:6379",
		"redis:///3",
		"redis://secret@h",
		"redis://me:@h",
		"redis://h:",
		"redis://h:0",
		"redis://h:65536",
		"redis://h:7x",
		"redis://h:-1",
		"redis://h/x",
		"redis://h/1/2",
		"redis://h/99999999999",
		"redis://[::1",
		"redis://[::1]x",
		"redis://[]",
		"redis://me:secret%@h",
		"redis://me:secret%4@h",
		"redis://me:secret%zz@h",
		"redis://me:secret%00@h",
		"unix:",
		"unix:?db=1",
		"unix:/s?db=x",
		"unix:/s?db",
		"unix:/s?secret=1",
		"unix:/s?",
		"rediss://secret@h",
		"redis+sentinel://",
		"redis+sentinel://h",
		"redis+sentinel://h/",
		"redis+sentinel:///m",
		"redis+sentinel://h:0/m",
		"redis+sentinel://h,i:x/m",
		"redis+sentinel://h/m/x",
		"redis+sentinel://secret@h/m",
	};

	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		struct redis_address a = { 0 };
		struct buf errors = { 0 };

		CHECK_INT(redis_address_parse(span_of(urls[i]), &errors, &a), -EINVAL);
		CHECK(!strncmp(buf_str(&errors), "has ", 4));
		CHECK(!strstr(buf_str(&errors), "secret"));
		CHECK(!a.host && !a.path && !a.password);
		buf_clear(&errors);
	}
}

int main(void)
{
	test_good();
	test_sentinels();
	test_bad();
	return check_done();
}
