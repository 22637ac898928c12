#include "net/sockets.h"

#include <stdlib.h>
#include <string.h>

struct watched {
	uv_poll_t poll;
	struct sockets *sockets;
	void *arg;
	int fd;
	bool connection; /* we hear when it is closed; else (resolver) it may be with its last use */
	bool used;       /* it is connected: until then it may be closed without telling us */
	int registered;  /* UV_READABLE | UV_WRITABLE: what the loop reports */
	int wanted;      /* what the library wants to hear of now */
};

struct sockets {
	struct loop *loop;
	socket_fn fn;
	struct watched **by_fd; /* NULL where there is no socket of that number */
	size_t count;
};

static void on_event(uv_poll_t *poll, int status, int events);

static void reregister(struct watched *w, int events)
{
	w->registered = events;
	if (events)
		must(uv_poll_start(&w->poll, events, on_event) == 0);
	else
		uv_poll_stop(&w->poll);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
	struct watched *w = container_of(poll, struct watched, poll);
	bool broken = status < 0;

	if (!broken && loop_is_late(w->sockets->loop))
		return; /* reported again, in the same order, behind what else has come */
	if (broken) {   /* libuv stops a handle when it reports an error */
		w->registered = 0;
		events = w->wanted;
	}
	if (events & ~w->wanted)
		reregister(w, w->wanted);
	if (events & w->wanted)
		w->sockets->fn(w->arg, w->fd, events & w->wanted, broken);
}

static void free_watched(uv_handle_t *poll)
{
	free(container_of((uv_poll_t *)poll, struct watched, poll));
}

static struct watched *watched(const struct sockets *s, int fd)
{
	return (size_t)fd < s->count ? s->by_fd[fd] : NULL;
}

static void make_room(struct sockets *s, int fd)
{
	size_t count = s->count ? s->count : 64;

	while (count <= (size_t)fd)
		count *= 2;
	if (count == s->count)
		return;
	s->by_fd = xrealloc(s->by_fd, count * sizeof *s->by_fd);
	memset(s->by_fd + s->count, 0, (count - s->count) * sizeof *s->by_fd);
	s->count = count;
}

static struct watched *watch(struct sockets *s, int fd, void *arg)
{
	struct watched *w = xcalloc(1, sizeof *w);

	make_room(s, fd);
	w->sockets = s;
	w->fd = fd;
	w->arg = arg;
	must(uv_poll_init_socket(&s->loop->uv, &w->poll, fd) == 0);
	s->by_fd[fd] = w;
	return w;
}

static void unwatch(struct watched *w)
{
	w->sockets->by_fd[w->fd] = NULL;
	uv_close((uv_handle_t *)&w->poll, free_watched);
}

void sockets_opened(struct sockets *s, int fd, void *arg)
{
	watch(s, fd, arg)->connection = true;
}

void sockets_closed(struct sockets *s, int fd)
{
	struct watched *w = watched(s, fd);

	if (w)
		unwatch(w);
}

static void set_wanted(struct watched *w, int events)
{
	w->wanted = events;
	/* Reading stays registered; an unwanted UV_WRITABLE would be reported at once. */
	if (w->wanted & ~w->registered || w->registered & ~w->wanted & UV_WRITABLE)
		reregister(w, w->wanted | (w->registered & UV_READABLE));
}

void sockets_want(struct sockets *s, int fd, int events, void *arg)
{
	struct watched *w = watched(s, fd);

	if (!w)
		w = watch(s, fd, arg);
	w->used |= (events & UV_READABLE) != 0;
	set_wanted(w, events);
}

void sockets_drop(struct sockets *s, int fd)
{
	struct watched *w = watched(s, fd);

	if (w && w->connection && w->used)
		set_wanted(w, 0);
	else if (w)
		unwatch(w);
}

struct sockets *sockets_new(struct loop *loop, socket_fn fn)
{
	struct sockets *s = xcalloc(1, sizeof *s);

	s->loop = loop;
	s->fn = fn;
	return s;
}

void sockets_free(struct sockets *s)
{
	if (!s)
		return;
	free(s->by_fd);
	free(s);
}
