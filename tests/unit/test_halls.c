/*
 * test_halls.c - connections go where there is room; no hall is fuller than it may be.
 */
#include <unistd.h>

#include "check.h"
#include "http/halls.h"

enum { GUESTS = 2 * HALL_MAX + HALL_MAX / 2 };

struct fake {
	struct hall *hall;
	int fd, runs, more;
};

static struct {
	struct fake daemons[8];
	int opened, closed, max;
} house;

static void *open_daemon(void *ctx, struct hall *hall, int *ret_fd)
{
	struct fake *f = &house.daemons[house.opened];
	int ends[2];

	CHECK(ctx == &house);
	if (house.opened == house.max)
		return NULL;
	must(!pipe(ends));
	close(ends[1]); /* readable for ever, until somebody wants no more of it */
	*f = (struct fake){ hall, ends[0], 0, 0 };
	house.opened++;
	*ret_fd = ends[0];
	return f;
}

static bool run_daemon(void *daemon)
{
	struct fake *f = daemon;

	f->runs++;
	return f->more-- > 0;
}

static void close_daemon(void *daemon)
{
	struct fake *f = daemon;

	while (f->hall->group.members)
		hall_left(f->hall);
	close(f->fd);
	house.closed++;
}

static const struct hall_service fakes = { open_daemon, run_daemon, close_daemon };

static void test_room(struct halls *h)
{
	struct hall *of[GUESTS], *first;

	for (int i = 0; i < GUESTS; i++) {
		of[i] = halls_choose(h);
		must(of[i]);
		hall_entered(of[i]);
	}
	CHECK_INT(house.opened, 3);
	for (int i = 0; i < house.opened; i++)
		CHECK(house.daemons[i].hall->group.members <= HALL_MAX);

	/* a place that is free again is taken before another hall is opened */
	first = of[0];
	hall_left(first);
	for (int i = 0; i < HALL_MAX / 2 + 1; i++)
		hall_entered(halls_choose(h));
	CHECK_INT(first->group.members, HALL_MAX);
	CHECK_INT(house.opened, 3);

	house.max = 3;
	CHECK(!halls_choose(h));
	hall_left(first);
	CHECK(halls_choose(h) == first);
	hall_entered(first);
}

static void test_runs(struct loop *loop)
{
	struct fake *f = &house.daemons[1];
	int before = f->runs;

	f->more = 40; /* more than one job does */
	CHECK(RUN_UNTIL(loop, f->runs > before + 40, 2000));
}

int main(void)
{
	struct loop loop;
	struct halls *h;

	loop_open(&loop);
	house.max = 0;
	CHECK(!halls_new(&loop, &fakes, &house));
	house.max = 8;
	h = halls_new(&loop, &fakes, &house);
	must(h);
	CHECK_INT(house.opened, 1);
	test_room(h);
	test_runs(&loop);
	halls_free(h); /* full ones, too: their connections leave meanwhile */
	CHECK_INT(house.closed, house.opened);
	halls_free(NULL);
	loop_close(&loop);
	return check_done();
}
