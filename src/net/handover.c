/*
 * handover.c - the side that gives: one successor at a time, on the loop.
 *
 *      WAITING ──connect──> LINKED ──"take": sockets──> LINKED ──"go": "gone"──> OVER
 *         └──────── it went away, or said nonsense ───────┘
 *
 * Nothing changes for our clients before "go": a successor that fails to start costs nothing.
 */
#include "net/handover.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "net/listener.h"
#include "net/watch.h"

enum { REST_MS = 100 };

struct handover {
	struct loop *loop;
	struct handover_options options;
	int door, link; /* -1: none */
	bool given;     /* who is linked has the sockets */
	struct watch *door_watch, *link_watch;
	struct timer *rest; /* of the door, while there is no descriptor for who comes */
};

static void close_watched(int *fd, struct watch **watch)
{
	watch_clear(watch);
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The path goes first: when the successor hears of it, it may have it. */
static void leave_path(struct handover *h)
{
	if (h->door < 0)
		return;
	unlink(h->options.path);
	timer_clear(&h->rest);
	close_watched(&h->door, &h->door_watch);
}

static int send_sockets(const struct handover *h)
{
	const struct handover_options *o = &h->options;
	CLEANUP(buf_clear) struct buf text = { 0 };
	int fds[HANDOVER_SOCKETS_MAX] = { 0 };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof fds)] = { 0 };
	struct iovec data;
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = CMSG_SPACE(o->count * sizeof fds[0]) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);

	buf_puts(&text, HANDOVER_SOCKETS);
	for (size_t i = 0; i < o->count; i++) {
		buf_printf(&text, "%s %s\n", o->sockets[i].name, o->sockets[i].address);
		fds[i] = o->sockets[i].fd;
	}
	data = (struct iovec){ text.data, text.len };
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(o->count * sizeof fds[0]);
	memcpy(CMSG_DATA(c), fds, o->count * sizeof fds[0]);
	return sendmsg(h->link, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* It may be that it never hears of it: it serves all the same. */
static void go(struct handover *h)
{
	leave_path(h);
	if (send(h->link, HANDOVER_GONE, strlen(HANDOVER_GONE), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_warn("the successor didn't hear that it has taken over",
			 LOG_STR("error", strerror(errno)));
	close_watched(&h->link, &h->link_watch);
	h->options.taken(h->options.arg);
}

static void part(struct handover *h, const char *why)
{
	log_warn("a successor came and didn't take over: going on", LOG_STR("error", why));
	close_watched(&h->link, &h->link_watch);
	h->given = false;
}

static void on_link(void *arg, int error, int events)
{
	struct handover *h = arg;
	char text[HANDOVER_MESSAGE_MAX];
	ssize_t n = recv(h->link, text, sizeof text, MSG_DONTWAIT);
	struct span said = { text, n > 0 ? (size_t)n : 0 };
	int r;

	(void)error, (void)events;
	if (n < 0 && errno == EAGAIN)
		return;
	if (span_eq(said, SPAN(HANDOVER_GO))) {
		go(h);
	} else if (span_eq(said, SPAN(HANDOVER_TAKE))) {
		r = send_sockets(h);
		h->given = !r;
		if (r < 0)
			part(h, strerror(-r));
	} else {
		part(h, n > 0 ? "it says something unknown" : "it went away");
	}
}

/*
 * Who may read and write the path is us, or root: and so it is checked where that isn't enforced.
 */
static bool is_ours(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof peer;

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

static void on_rested(void *arg)
{
	struct handover *h = arg;

	watch_for(h->door_watch, UV_READABLE);
}

/* Who couldn't be accepted still stands there: the watch would fire for ever. */
static void out_of_resources(struct handover *h, int error)
{
	log_warn("listen.takeover: a successor can't be let in yet",
		 LOG_STR("error", strerror(error)));
	watch_for(h->door_watch, 0);
	timer_start(h->rest, REST_MS);
}

static void on_door(void *arg, int error, int events)
{
	struct handover *h = arg;
	int fd = accept4(h->door, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)error, (void)events;
	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
		out_of_resources(h, errno);
	if (fd < 0)
		return;
	if (h->link >= 0 || !is_ours(fd)) {
		log_warn("listen.takeover: somebody was turned away",
			 LOG_BOOL("another_is_here", h->link >= 0));
		close(fd);
		return;
	}
	h->link = fd;
	h->link_watch = watch_new(h->loop, fd, on_link, h);
	watch_for(h->link_watch, UV_READABLE);
}

int handover_new(struct loop *loop, const struct handover_options *options, struct buf *errors,
		 struct handover **ret)
{
	struct handover *h;
	int fd = listener_open_packets(options->path);

	if (fd < 0) {
		buf_printf(errors, "listen.takeover %s: %s\n", options->path, strerror(-fd));
		return fd;
	}
	must(options->count && options->count <= HANDOVER_SOCKETS_MAX);
	h = xcalloc(1, sizeof *h);
	h->loop = loop;
	h->options = *options;
	h->door = fd;
	h->link = -1;
	h->rest = timer_new(loop, on_rested, h);
	h->door_watch = watch_new(loop, fd, on_door, h);
	watch_for(h->door_watch, UV_READABLE);
	*ret = h;
	return 0;
}

bool handover_has_given(const struct handover *h)
{
	return h && h->given;
}

void handover_free(struct handover *h)
{
	if (!h)
		return;
	leave_path(h);
	close_watched(&h->link, &h->link_watch);
	free(h);
}
