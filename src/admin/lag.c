#include "admin/lag.h"

#include "base/clock.h"
#include "base/mem.h"

enum {
	LOOK_EVERY_MS = 250,
	WINDOW_US = 10 * 1000 * 1000,
};

struct lag {
	struct timer *timer;
	int64_t due_us;
	struct histogram delays;
	int64_t window_us, longest_us, longest_before_us; /* of this window, and the one before */
};

/* Moves on to the window that `now` is in. */
static void turn_window(struct lag *l, int64_t now)
{
	if (now - l->window_us < WINDOW_US)
		return;
	l->longest_before_us = now - l->window_us < 2 * WINDOW_US ? l->longest_us : 0;
	l->longest_us = 0;
	l->window_us = now;
}

static void look_again(struct lag *l)
{
	l->due_us = clock_us() + LOOK_EVERY_MS * 1000;
	timer_start(l->timer, LOOK_EVERY_MS);
}

static void look(void *arg)
{
	struct lag *l = arg;
	int64_t now = clock_us(), delay = now - l->due_us;

	turn_window(l, now);
	l->longest_us = MAX(l->longest_us, delay);
	histogram_add(&l->delays, delay);
	look_again(l);
}

const struct histogram *lag_delays(const struct lag *l)
{
	return &l->delays;
}

int64_t lag_longest_us(const struct lag *l)
{
	return MAX(l->longest_us, l->longest_before_us);
}

struct lag *lag_new(struct loop *loop)
{
	struct lag *l = xcalloc(1, sizeof *l);

	l->delays.scale = &histogram_quick;
	l->window_us = clock_us();
	l->timer = timer_new(loop, look, l);
	look_again(l);
	return l;
}

void lag_free(struct lag *l)
{
	if (!l)
		return;
	timer_clear(&l->timer);
	free(l);
}
