#include "net/watch.h"

#include "base/mem.h"

struct watch {
	uv_poll_t poll;
	watch_fn fn;
	void *arg;
};

static void on_event(uv_poll_t *poll, int status, int events)
{
	struct watch *w = container_of(poll, struct watch, poll);

	w->fn(w->arg, status, events);
}

void watch_for(struct watch *w, int events)
{
	if (events)
		must(uv_poll_start(&w->poll, events, on_event) == 0);
	else
		uv_poll_stop(&w->poll);
}

static void on_closed(uv_handle_t *poll)
{
	free(container_of((uv_poll_t *)poll, struct watch, poll));
}

struct watch *watch_new(struct loop *loop, int fd, watch_fn fn, void *arg)
{
	struct watch *w = xcalloc(1, sizeof *w);

	w->fn = fn;
	w->arg = arg;
	must(uv_poll_init(&loop->uv, &w->poll, fd) == 0);
	return w;
}

void watch_clear(struct watch **watch)
{
	struct watch *w = steal(watch);

	if (w)
		uv_close((uv_handle_t *)&w->poll, on_closed);
}
