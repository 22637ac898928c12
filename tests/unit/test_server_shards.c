/*
 * test_server_shards.c - connections go where there is room; no shard is fuller than it may be.
 */
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "http/server_shards.h"

enum { CONNECTIONS = 2 * SERVER_SHARD_MAX + SERVER_SHARD_MAX / 2 };

struct fake {
	struct server_shard *shard;
	int fd, runs, more;
	int64_t us; /* how long a run takes */
};

static struct {
	struct fake daemons[8];
	int opened, closed, max;
} server;

static void *open_daemon(void *ctx, struct server_shard *shard, int *ret_fd)
{
	struct fake *f = &server.daemons[server.opened];
	int ends[2];

	CHECK(ctx == &server);
	if (server.opened == server.max)
		return NULL;
	must(!pipe(ends));
	close(ends[1]); /* readable for ever, until somebody wants no more of it */
	*f = (struct fake){ .shard = shard, .fd = ends[0] };
	server.opened++;
	*ret_fd = ends[0];
	return f;
}

static bool run_daemon(void *daemon)
{
	struct fake *f = daemon;

	int64_t until_us = clock_us() + f->us;

	f->runs++;
	while (clock_us() < until_us)
		continue;
	return f->more-- > 0;
}

static void close_daemon(void *daemon)
{
	struct fake *f = daemon;

	while (f->shard->shard.members)
		server_shard_left(f->shard);
	close(f->fd);
	server.closed++;
}

static const struct server_shard_service fakes = { open_daemon, run_daemon, close_daemon };

static void test_room(struct server_shards *s)
{
	struct server_shard *of[CONNECTIONS], *first;

	for (int i = 0; i < CONNECTIONS; i++) {
		of[i] = server_shards_choose(s);
		must(of[i]);
		server_shard_joined(of[i]);
	}
	CHECK_INT(server.opened, 3);
	for (int i = 0; i < server.opened; i++)
		CHECK(server.daemons[i].shard->shard.members <= SERVER_SHARD_MAX);

	/* room that is free again is taken before another shard is opened */
	first = of[0];
	server_shard_left(first);
	for (int i = 0; i < SERVER_SHARD_MAX / 2 + 1; i++)
		server_shard_joined(server_shards_choose(s));
	CHECK_INT(first->shard.members, SERVER_SHARD_MAX);
	CHECK_INT(server.opened, 3);

	server.max = 3;
	CHECK(!server_shards_choose(s));
	server_shard_left(first);
	CHECK(server_shards_choose(s) == first);
	server_shard_joined(first);
}

static void test_runs(struct loop *loop)
{
	struct fake *f = &server.daemons[1];
	int before = f->runs;

	f->more = 40; /* more than one job does */
	CHECK(RUN_UNTIL(loop, f->runs > before + 40, 2000));
}

/* Whose runs take long gets one in a turn. */
static void test_long_runs(struct loop *loop)
{
	struct fake *f = &server.daemons[1];

	f->us = LOOP_TURN_US;
	f->more = 10;
	for (int turn = 0; turn < 4; turn++) {
		int before = f->runs;

		server_shard_run(f->shard);
		uv_run(&loop->uv, UV_RUN_NOWAIT);
		CHECK(f->runs <= before + 1);
	}
	f->more = 0;
	CHECK(RUN_UNTIL(loop, f->more < 0, 2000));
	f->us = 0;
}

int main(void)
{
	struct loop loop;
	struct server_shards *s;

	loop_open(&loop);
	server.max = 0;
	CHECK(!server_shards_new(&loop, &fakes, &server));
	server.max = 8;
	s = server_shards_new(&loop, &fakes, &server);
	must(s);
	CHECK_INT(server.opened, 1);
	test_room(s);
	test_runs(&loop);
	test_long_runs(&loop);
	server_shards_free(s); /* full ones, too: their connections leave meanwhile */
	CHECK_INT(server.closed, server.opened);
	server_shards_free(NULL);
	loop_close(&loop);
	return check_done();
}
