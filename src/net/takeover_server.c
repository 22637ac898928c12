/*
 * takeover_server.c - the side that gives: one successor at a time, on the loop.
 *
 *      WAITING ──connect──> LINKED ──"take": sockets──> LINKED ──"go": "gone"──> OVER
 *         └──────── it went away, or said nonsense ───────┘
 *
 * Nothing changes for our clients before "go": a successor that fails to start costs nothing.
 */
#include "net/takeover_server.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "net/listener.h"
#include "net/watch.h"

enum { REST_MS = 100 };

struct takeover_server {
	struct loop *loop;
	struct takeover_server_options options;
	int listener, link; /* -1: none */
	bool given;         /* the successor at `link` has the sockets */
	struct watch *listener_watch, *link_watch;
	struct timer *rest; /* from accepting, while there is no descriptor for it */
};

static void close_watched(int *fd, struct watch **watch)
{
	watch_clear(watch);
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The path goes first: when the successor hears of it, it may have it. */
static void leave_path(struct takeover_server *s)
{
	if (s->listener < 0)
		return;
	unlink(s->options.path);
	timer_clear(&s->rest);
	close_watched(&s->listener, &s->listener_watch);
}

static int send_sockets(const struct takeover_server *s)
{
	const struct takeover_server_options *o = &s->options;
	CLEANUP(buf_clear) struct buf text = { 0 };
	int fds[TAKEOVER_SOCKETS_MAX] = { 0 };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof fds)] = { 0 };
	struct iovec data;
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = CMSG_SPACE(o->count * sizeof fds[0]) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);

	buf_puts(&text, TAKEOVER_SOCKETS);
	for (size_t i = 0; i < o->count; i++) {
		buf_printf(&text, "%s %s\n", o->sockets[i].name, o->sockets[i].address);
		fds[i] = o->sockets[i].fd;
	}
	data = (struct iovec){ text.data, text.len };
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(o->count * sizeof fds[0]);
	memcpy(CMSG_DATA(c), fds, o->count * sizeof fds[0]);
	return sendmsg(s->link, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* It may be that it never hears of it: it serves all the same. */
static void go(struct takeover_server *s)
{
	leave_path(s);
	if (send(s->link, TAKEOVER_GONE, strlen(TAKEOVER_GONE), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_warn("the successor didn't hear that it has taken over",
			 LOG_STR("error", strerror(errno)));
	close_watched(&s->link, &s->link_watch);
	s->options.taken(s->options.arg);
}

static void part(struct takeover_server *s, const char *why)
{
	log_warn("a successor came and didn't take over: going on", LOG_STR("error", why));
	close_watched(&s->link, &s->link_watch);
	s->given = false;
}

static void on_link(void *arg, int error, int events)
{
	struct takeover_server *s = arg;
	char text[TAKEOVER_MESSAGE_MAX];
	ssize_t n = recv(s->link, text, sizeof text, MSG_DONTWAIT);
	struct span said = { text, n > 0 ? (size_t)n : 0 };
	int r;

	(void)error, (void)events;
	if (n < 0 && errno == EAGAIN)
		return;
	if (span_eq(said, SPAN(TAKEOVER_GO))) {
		go(s);
	} else if (span_eq(said, SPAN(TAKEOVER_TAKE))) {
		r = send_sockets(s);
		s->given = !r;
		if (r < 0)
			part(s, strerror(-r));
	} else {
		part(s, n > 0 ? "it says something unknown" : "it went away");
	}
}

/*
 * Only our user and root may open the path. Where that isn't enforced, it is checked here.
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
	struct takeover_server *s = arg;

	watch_for(s->listener_watch, UV_READABLE);
}

/* What couldn't be accepted still waits: the watch would fire for ever. */
static void out_of_resources(struct takeover_server *s, int error)
{
	log_warn("listen.takeover: a successor can't be accepted yet",
		 LOG_STR("error", strerror(error)));
	watch_for(s->listener_watch, 0);
	timer_start(s->rest, REST_MS);
}

static void on_listener(void *arg, int error, int events)
{
	struct takeover_server *s = arg;
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)error, (void)events;
	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
		out_of_resources(s, errno);
	if (fd < 0)
		return;
	if (s->link >= 0 || !is_ours(fd)) {
		log_warn("listen.takeover: a connection was refused",
			 LOG_BOOL("another_is_here", s->link >= 0));
		close(fd);
		return;
	}
	s->link = fd;
	s->link_watch = watch_new(s->loop, fd, on_link, s);
	watch_for(s->link_watch, UV_READABLE);
}

int takeover_server_new(struct loop *loop, const struct takeover_server_options *options,
			struct buf *errors, struct takeover_server **ret)
{
	struct takeover_server *s;
	int fd = listener_open_packets(options->path);

	if (fd < 0) {
		buf_printf(errors, "listen.takeover %s: %s\n", options->path, strerror(-fd));
		return fd;
	}
	must(options->count && options->count <= TAKEOVER_SOCKETS_MAX);
	s = xcalloc(1, sizeof *s);
	s->loop = loop;
	s->options = *options;
	s->listener = fd;
	s->link = -1;
	s->rest = timer_new(loop, on_rested, s);
	s->listener_watch = watch_new(loop, fd, on_listener, s);
	watch_for(s->listener_watch, UV_READABLE);
	*ret = s;
	return 0;
}

bool takeover_server_has_given(const struct takeover_server *s)
{
	return s && s->given;
}

void takeover_server_free(struct takeover_server *s)
{
	if (!s)
		return;
	leave_path(s);
	close_watched(&s->link, &s->link_watch);
	free(s);
}
