/*
 * list.h - intrusive doubly linked lists, circular, as in the kernel.
 *
 * A struct list is a head or a link in some object. A link that is on no list points to itself
 * (list_init()), so list_remove() may be called twice. A zeroed link is on no list as well.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

/* Whether a head has no elements, or a link is on no list. */
static inline bool list_empty(const struct list *l)
{
	return !l->next || l->next == l;
}

static inline void list_insert_before(struct list *at, struct list *link)
{
	must(list_empty(link));
	link->prev = at->prev;
	link->next = at;
	at->prev->next = link;
	at->prev = link;
}

static inline void list_append(struct list *head, struct list *link)
{
	list_insert_before(head, link);
}

static inline void list_prepend(struct list *head, struct list *link)
{
	list_insert_before(head->next, link);
}

static inline void list_remove(struct list *link)
{
	if (list_empty(link))
		return;
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}

/* The first element of a list, or NULL if it is empty. */
#define list_first(head, type, member) \
	(list_empty(head) ? NULL : container_of((head)->next, type, member))

#define list_for_each(pos, head, member)                                                         \
	for (pos = container_of((head)->next, __typeof__(*pos), member); &pos->member != (head); \
	     pos = container_of(pos->member.next, __typeof__(*pos), member))

/* The same, and `pos` may be removed or freed meanwhile (`tmp` may not). */
#define list_for_each_safe(pos, tmp, head, member)                          \
	for (pos = container_of((head)->next, __typeof__(*pos), member),    \
	    tmp = container_of(pos->member.next, __typeof__(*pos), member); \
	     &pos->member != (head);                                        \
	     pos = tmp, tmp = container_of(pos->member.next, __typeof__(*pos), member))
