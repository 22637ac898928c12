/*
 * test_lanes.c - a small load shares one lane; a large one spreads; what it leaves is closed.
 */
#include "check.h"
#include "http/lanes.h"

enum { MAX_EACH = 4, KEEP_MS = 20, TRANSFERS = 2 * MAX_EACH + 1 };

static struct {
	int opened, closed;
} street;

static struct lane *open_lane(void *ctx)
{
	CHECK(ctx == &street);
	street.opened++;
	return xcalloc(1, sizeof(struct lane));
}

static void close_lane(struct lane *lane)
{
	street.closed++;
	free(lane);
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

static void test_spreading(struct lanes *l, struct lane *of[TRANSFERS])
{
	for (int i = 0; i < 1000; i++) /* one after another */
		lane_leave(lanes_enter(l));
	CHECK_INT(street.opened, 1);

	for (int i = 0; i < TRANSFERS; i++) {
		of[i] = lanes_enter(l);
		CHECK(of[i]->group.members <= MAX_EACH);
	}
	CHECK_INT(street.opened, 3);
	CHECK(of[0] == of[MAX_EACH - 1] && of[0] != of[MAX_EACH]);

	/* a place that is free again is taken at once: its connection is warm */
	lane_leave(of[1]);
	CHECK(lanes_enter(l) == of[0]);
}

static void test_closing(struct loop *loop, struct lanes *l, struct lane *of[TRANSFERS])
{
	struct lane *last = of[TRANSFERS - 1];

	lane_leave(last);
	CHECK(lanes_enter(l) == last); /* in use again before its time */
	run_for(loop, 3 * KEEP_MS);
	CHECK_INT(street.closed, 0);

	lane_leave(last);
	CHECK(RUN_UNTIL(loop, street.closed == 1, 2000));
	for (int i = 0; i < TRANSFERS - 1; i++)
		lane_leave(of[i]);
	CHECK(RUN_UNTIL(loop, street.closed == 2, 2000));
	run_for(loop, 3 * KEEP_MS);
	CHECK_INT(street.closed, 2); /* one stays, however long */
	lane_leave(lanes_enter(l));
	CHECK_INT(street.opened, 3);
}

int main(void)
{
	const struct lane_options options = {
		.max = MAX_EACH,
		.keep_ms = KEEP_MS,
		.open = open_lane,
		.close = close_lane,
		.ctx = &street,
	};
	struct lane *of[TRANSFERS];
	struct loop loop;
	struct lanes *l;

	loop_open(&loop);
	l = lanes_new(&loop, &options);
	test_spreading(l, of);
	test_closing(&loop, l, of);
	lanes_free(l);
	CHECK_INT(street.closed, street.opened);
	lanes_free(NULL);
	loop_close(&loop);
	return check_done();
}
