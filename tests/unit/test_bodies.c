/*
 * test_bodies.c - whose kept bodies make room for whose: only those whose end brings somebody nearer to having it.
 */
#include "check.h"
#include "config/config.h"
#include "proxy/bodies.h"

enum { KIB = 1024 };

static struct body_account body(struct bodies *b, const char *address, const char *key,
				int64_t bytes)
{
	struct header field = { SPAN("x-api-key"), span_of(key) };
	struct headers headers = { &field, 1 };
	struct body_account a = { 0 };

	bodies_open(b, address, &headers, &a);
	if (bytes)
		CHECK_INT(bodies_charge(b, &a, bytes), BODIES_ROOM);
	return a;
}

int main(void)
{
	static const char *const overrides[] = { "listen.max_body_bytes=64KiB",
						 "listen.max_buffered_bytes=1MiB",
						 "listen.max_buffered_share=10", NULL };
	CLEANUP(config_freep) struct config *config = NULL;
	CLEANUP(buf_clear) struct buf errors = { 0 };
	struct config_sources sources = { .overrides = overrides };
	struct body_account spent, same_key, same_address, stranger, mine, empty;
	struct bodies *b;

	must(config_load(&sources, &errors, &config) == 0);
	b = bodies_new(config); /* 102 KiB is a share, and one body has room in it */
	spent = body(b, "a1", "k1", 60 * KIB);
	same_key = body(b, "a2", "k1", 40 * KIB);
	same_address = body(b, "a3", "k2", 10 * KIB);
	stranger = body(b, "a4", "k4", 10 * KIB);
	mine = body(b, "a3", "k1", 0);
	empty = body(b, "a2", "k1", 0);

	/* The key has its share, the address hasn't. */
	CHECK_INT(bodies_charge(b, &mine, 20 * KIB), BODIES_OF_OWNER);
	CHECK(bodies_would_help(b, &mine, &spent, BODIES_OF_OWNER));
	CHECK(bodies_would_help(b, &mine, &same_key, BODIES_OF_OWNER));
	CHECK(!bodies_would_help(b, &mine, &same_address, BODIES_OF_OWNER));
	CHECK(!bodies_would_help(b, &mine, &stranger, BODIES_OF_OWNER));
	CHECK(!bodies_would_help(b, &mine, &empty, BODIES_OF_OWNER));
	/* Where there is no room for anybody, each that has some helps. */
	CHECK(bodies_would_help(b, &mine, &stranger, BODIES_FULL));
	CHECK(!bodies_would_help(b, &mine, &empty, BODIES_FULL));
	CHECK_INT(bodies_bytes(b), 120 * KIB);

	bodies_close(b, &same_key);
	bodies_close(b, &same_key);
	CHECK_INT(bodies_charge(b, &mine, 20 * KIB), BODIES_ROOM);
	bodies_close(b, &spent);
	bodies_close(b, &same_address);
	bodies_close(b, &stranger);
	bodies_close(b, &mine);
	bodies_close(b, &empty);
	CHECK_INT(bodies_bytes(b), 0);
	bodies_free(b);
	return check_done();
}
