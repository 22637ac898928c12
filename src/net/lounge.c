#include "net/lounge.h"

#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"

struct lounge {
	struct list list;
	struct timer *timer;
	const int64_t *limit_ms;
	int64_t known_limit_ms; /* what the timer was set by */
	int64_t timeouts;
};

static void on_timer(void *arg)
{
	struct lounge *l = arg;
	struct seat *seat;

	l->known_limit_ms = *l->limit_ms;
	while ((seat = list_first(&l->list, struct seat, link))) {
		int64_t left = seat->since_ms + *l->limit_ms - clock_ms();

		if (left > 0) {
			timer_start(l->timer, left);
			return;
		}
		list_remove(&seat->link);
		l->timeouts++;
		shutdown(seat->fd, SHUT_RDWR);
	}
}

void lounge_enter(struct lounge *l, struct seat *seat)
{
	seat->since_ms = clock_ms();
	if (list_empty(&l->list)) {
		l->known_limit_ms = *l->limit_ms;
		timer_start(l->timer, *l->limit_ms);
	} else if (*l->limit_ms < l->known_limit_ms) {
		timer_start(l->timer, 0);
	}
	list_append(&l->list, &seat->link);
}

void lounge_leave(struct seat *seat)
{
	list_remove(&seat->link);
}

struct seat *lounge_oldest(const struct lounge *l)
{
	return list_first(&l->list, struct seat, link);
}

void lounge_clear(struct lounge *l)
{
	struct seat *seat;

	list_for_each (seat, &l->list, link)
		shutdown(seat->fd, SHUT_RDWR);
}

int64_t lounge_timeouts(const struct lounge *l)
{
	return l->timeouts;
}

struct lounge *lounge_new(struct loop *loop, const int64_t *limit_ms)
{
	struct lounge *l = xcalloc(1, sizeof *l);

	l->limit_ms = limit_ms;
	l->timer = timer_new(loop, on_timer, l);
	list_init(&l->list);
	return l;
}

void lounge_free(struct lounge *l)
{
	if (!l)
		return;
	must(list_empty(&l->list));
	timer_clear(&l->timer);
	free(l);
}
