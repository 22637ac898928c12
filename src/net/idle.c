#include "net/idle.h"

#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"

struct idle_list {
	struct list list;
	struct timer *timer;
	const int64_t *limit_ms;
	int64_t known_limit_ms; /* what the timer was set by */
	int64_t timeouts;
};

static void on_timer(void *arg)
{
	struct idle_list *l = arg;
	struct idle_entry *entry;

	l->known_limit_ms = *l->limit_ms;
	while ((entry = list_first(&l->list, struct idle_entry, link))) {
		int64_t left = entry->since_ms + *l->limit_ms - clock_ms();

		if (left > 0) {
			timer_start(l->timer, left);
			return;
		}
		list_remove(&entry->link);
		l->timeouts++;
		shutdown(entry->fd, SHUT_RDWR);
	}
}

void idle_list_add(struct idle_list *l, struct idle_entry *entry)
{
	entry->since_ms = clock_ms();
	if (list_empty(&l->list)) {
		l->known_limit_ms = *l->limit_ms;
		timer_start(l->timer, *l->limit_ms);
	} else if (*l->limit_ms < l->known_limit_ms) {
		timer_start(l->timer, 0);
	}
	list_append(&l->list, &entry->link);
}

void idle_entry_remove(struct idle_entry *entry)
{
	list_remove(&entry->link);
}

struct idle_entry *idle_list_oldest(const struct idle_list *l)
{
	return list_first(&l->list, struct idle_entry, link);
}

void idle_list_shutdown(struct idle_list *l)
{
	struct idle_entry *entry;

	list_for_each (entry, &l->list, link)
		shutdown(entry->fd, SHUT_RDWR);
}

int64_t idle_list_timeouts(const struct idle_list *l)
{
	return l->timeouts;
}

struct idle_list *idle_list_new(struct loop *loop, const int64_t *limit_ms)
{
	struct idle_list *l = xcalloc(1, sizeof *l);

	l->limit_ms = limit_ms;
	l->timer = timer_new(loop, on_timer, l);
	list_init(&l->list);
	return l;
}

void idle_list_free(struct idle_list *l)
{
	if (!l)
		return;
	must(list_empty(&l->list));
	timer_clear(&l->timer);
	free(l);
}
