/*
 * groups.h - members in groups of bounded size, those with room first.
 *
 * For libraries whose work grows with the number of what one of their objects holds: each group
 * has such an object of its own. A new member goes into the first group, which is the one that came
 * to have room last: so few members share one group, and when they become fewer, others empty.
 */
#pragma once

#include "base/list.h"

struct groups {
	struct list list; /* struct group */
	int max;          /* members of a group */
};

/* Lives in whatever a group is. */
struct group {
	struct list link;
	struct groups *of;
	int members;
};

void groups_init(struct groups *g, int max);

/* A group without members. It is the first now. */
void groups_add(struct groups *g, struct group *group);
void group_remove(struct group *group);

bool group_is_alone(const struct group *group); /* there is no other group */

/* Where the next member goes; NULL: all are full, or there is none. */
struct group *groups_choose(const struct groups *g);

/* A member came, or went. Not more than there is room for. */
void group_entered(struct group *group);
void group_left(struct group *group);
