#include "http/lanes.h"

#include <stdlib.h>

struct lanes {
	struct loop *loop;
	struct lane_options options;
	struct groups groups;
};

static void close_lane(struct lane *lane)
{
	group_remove(&lane->group);
	timer_clear(&lane->closing);
	lane->lanes->options.close(lane);
}

static void on_closing(void *arg)
{
	struct lane *lane = arg;

	if (!group_is_alone(&lane->group))
		close_lane(lane);
}

static struct lane *open_lane(struct lanes *l)
{
	struct lane *lane = l->options.open(l->options.ctx);

	lane->lanes = l;
	lane->closing = timer_new(l->loop, on_closing, lane);
	groups_add(&l->groups, &lane->group);
	return lane;
}

struct lane *lanes_enter(struct lanes *l)
{
	struct group *room = groups_choose(&l->groups);
	struct lane *lane = room ? container_of(room, struct lane, group) : open_lane(l);

	group_entered(&lane->group);
	timer_stop(lane->closing);
	return lane;
}

void lane_leave(struct lane *lane)
{
	group_left(&lane->group);
	if (!lane->group.members)
		timer_start(lane->closing, lane->lanes->options.keep_ms);
}

struct lanes *lanes_new(struct loop *loop, const struct lane_options *options)
{
	struct lanes *l = xcalloc(1, sizeof *l);

	l->loop = loop;
	l->options = *options;
	groups_init(&l->groups, options->max);
	return l;
}

void lanes_free(struct lanes *l)
{
	struct lane *lane;

	if (!l)
		return;
	while ((lane = list_first(&l->groups.list, struct lane, group.link)))
		close_lane(lane);
	free(l);
}
