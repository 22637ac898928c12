/*
 * test_client_shards.c - small loads share a shard, large ones spread; what is left is closed.
 */
#include "check.h"
#include "http/client_shards.h"

enum { MAX_EACH = 4, KEEP_MS = 20, TRANSFERS = 2 * MAX_EACH + 1 };

static struct {
	int opened, closed;
} client;

static struct client_shard *open_shard(void *ctx)
{
	CHECK(ctx == &client);
	client.opened++;
	return xcalloc(1, sizeof(struct client_shard));
}

static void close_shard(struct client_shard *shard)
{
	client.closed++;
	free(shard);
}

static void pass_time(void *arg)
{
	*(bool *)arg = true;
}

/* Runs for that long: what is due before has happened then. */
static void run_for(struct loop *loop, int64_t ms)
{
	bool passed = false;
	struct timer *t = timer_new(loop, pass_time, &passed);

	timer_start(t, ms);
	CHECK(RUN_UNTIL(loop, passed, 5000));
	timer_clear(&t);
}

static void test_spreading(struct client_shards *s, struct client_shard *of[TRANSFERS])
{
	for (int i = 0; i < 1000; i++) /* one after another */
		client_shard_leave(client_shards_join(s));
	CHECK_INT(client.opened, 1);

	for (int i = 0; i < TRANSFERS; i++) {
		of[i] = client_shards_join(s);
		CHECK(of[i]->shard.members <= MAX_EACH);
	}
	CHECK_INT(client.opened, 3);
	CHECK(of[0] == of[MAX_EACH - 1] && of[0] != of[MAX_EACH]);

	/* room that is free again is taken at once: its connection is warm */
	client_shard_leave(of[1]);
	CHECK(client_shards_join(s) == of[0]);
}

static void test_closing(struct loop *loop, struct client_shards *s,
			 struct client_shard *of[TRANSFERS])
{
	struct client_shard *last = of[TRANSFERS - 1];

	client_shard_leave(last);
	CHECK(client_shards_join(s) == last); /* in use again before its time */
	run_for(loop, 3 * KEEP_MS);
	CHECK_INT(client.closed, 0);

	client_shard_leave(last);
	CHECK(RUN_UNTIL(loop, client.closed == 1, 2000));
	for (int i = 0; i < TRANSFERS - 1; i++)
		client_shard_leave(of[i]);
	CHECK(RUN_UNTIL(loop, client.closed == 2, 2000));
	run_for(loop, 3 * KEEP_MS);
	CHECK_INT(client.closed, 2); /* one stays, however long */
	client_shard_leave(client_shards_join(s));
	CHECK_INT(client.opened, 3);
}

int main(void)
{
	const struct client_shard_options options = {
		.max = MAX_EACH,
		.keep_ms = KEEP_MS,
		.open = open_shard,
		.close = close_shard,
		.ctx = &client,
	};
	struct client_shard *of[TRANSFERS];
	struct loop loop;
	struct client_shards *s;

	loop_open(&loop);
	s = client_shards_new(&loop, &options);
	test_spreading(s, of);
	test_closing(&loop, s, of);
	client_shards_free(s);
	CHECK_INT(client.closed, client.opened);
	client_shards_free(NULL);
	loop_close(&loop);
	return check_done();
}
