#include "net/groups.h"

void groups_init(struct groups *g, int max)
{
	list_init(&g->list);
	g->max = max;
}

void groups_add(struct groups *g, struct group *group)
{
	group->of = g;
	group->members = 0;
	list_prepend(&g->list, &group->link);
}

void group_remove(struct group *group)
{
	list_remove(&group->link);
}

bool group_is_alone(const struct group *group)
{
	return group->link.next == group->link.prev;
}

struct group *groups_choose(const struct groups *g)
{
	struct group *first = list_first(&g->list, struct group, link);

	return first && first->members < g->max ? first : NULL;
}

void group_entered(struct group *group)
{
	must(group->members < group->of->max);
	if (++group->members < group->of->max)
		return;
	list_remove(&group->link);
	list_append(&group->of->list, &group->link);
}

void group_left(struct group *group)
{
	must(group->members > 0);
	if (group->members-- < group->of->max)
		return;
	list_remove(&group->link);
	list_prepend(&group->of->list, &group->link);
}
