#include "net/takeover_client.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/takeover.h"

enum { LIMIT_S = 5 };

struct takeover_client {
	int link;                          /* to the old process */
	int fds[TAKEOVER_SOCKETS_MAX];     /* -1: taken */
	char *names[TAKEOVER_SOCKETS_MAX]; /* "listen.address 127.0.0.1:8080"; NULL: it has none */
	size_t count;
	bool finished;
};

static int connect_link(const char *path)
{
	const struct timeval limit = { .tv_sec = LIMIT_S };
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int error, fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	must(strlen(path) < sizeof a.sun_path); /* config checked it */
	strcpy(a.sun_path, path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	if (!connect(fd, (struct sockaddr *)&a, sizeof a))
		return fd;
	error = errno;
	close(fd);
	return -error;
}

static int say(int link, const char *what)
{
	return send(link, what, strlen(what), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Keeps the descriptors that came along, so that they are closed whatever else is wrong. */
static void keep_descriptors(struct takeover_client *c, struct msghdr *message)
{
	for (struct cmsghdr *m = CMSG_FIRSTHDR(message); m; m = CMSG_NXTHDR(message, m)) {
		if (m->cmsg_level != SOL_SOCKET || m->cmsg_type != SCM_RIGHTS)
			continue;
		c->count = (m->cmsg_len - CMSG_LEN(0)) / sizeof c->fds[0];
		must(c->count <= TAKEOVER_SOCKETS_MAX); /* there was no room for more */
		memcpy(c->fds, CMSG_DATA(m), c->count * sizeof c->fds[0]);
	}
}

static int keep_names(struct takeover_client *c, struct span text)
{
	struct span line;
	size_t n = 0;

	if (!span_starts(text, SPAN(TAKEOVER_SOCKETS)))
		return -EPROTO;
	text.ptr += strlen(TAKEOVER_SOCKETS);
	text.len -= strlen(TAKEOVER_SOCKETS);
	while (span_next(&text, '\n', &line)) {
		if (line.len && n < c->count)
			c->names[n++] = xstrndup(line.ptr, line.len);
	}
	return n == c->count ? 0 : -EPROTO;
}

static int receive(struct takeover_client *c)
{
	char text[TAKEOVER_MESSAGE_MAX];
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof c->fds)];
	struct iovec data = { text, sizeof text };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof control };
	/* With a timeout set, a stop and a continue end it (signal(7)). */
	ssize_t n = TEMP_FAILURE_RETRY(recvmsg(c->link, &message, MSG_CMSG_CLOEXEC));

	if (n < 0)
		return -errno;
	keep_descriptors(c, &message);
	if (!n || message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return -EPROTO;
	return keep_names(c, (struct span){ text, (size_t)n });
}

int takeover_client_ask(const char *path, struct buf *errors, struct takeover_client **ret)
{
	CLEANUP(takeover_client_freep) struct takeover_client *c = NULL;
	int r, link = connect_link(path);

	*ret = NULL;
	if (link == -ENOENT || link == -ECONNREFUSED)
		return 0;
	r = link;
	if (link >= 0) {
		c = xcalloc(1, sizeof *c);
		c->link = link;
		r = say(link, TAKEOVER_TAKE);
		r = r < 0 ? r : receive(c);
	}
	if (r < 0) {
		buf_printf(errors, "listen.takeover %s: the process there doesn't hand over: %s\n",
			   path, r == -EAGAIN ? "it doesn't answer" : strerror(-r));
		return r;
	}
	*ret = steal(&c);
	return 0;
}

static int steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

int takeover_client_take(struct takeover_client *c, const char *name, const char *address)
{
	CLEANUP(freep) char *wanted = xasprintf("%s %s", name, address);

	for (size_t n = 0; c && n < c->count; n++) {
		if (!c->names[n] || strcmp(c->names[n], wanted))
			continue;
		free(steal(&c->names[n]));
		return steal_fd(&c->fds[n]);
	}
	return -1;
}

static int say_go(int link)
{
	char text[TAKEOVER_MESSAGE_MAX];
	int r = say(link, TAKEOVER_GO);
	ssize_t n;

	if (r < 0)
		return r;
	n = TEMP_FAILURE_RETRY(recv(link, text, sizeof text, 0));
	if (n < 0)
		return -errno;
	return span_eq((struct span){ text, (size_t)n }, SPAN(TAKEOVER_GONE)) ? 0 : -EPROTO;
}

/* What wasn't taken is closed, and the old process hears that nothing more will be said. */
static void part(struct takeover_client *c)
{
	for (size_t n = 0; n < c->count; n++) {
		if (c->fds[n] >= 0)
			close(c->fds[n]);
		free(steal(&c->names[n]));
	}
	c->count = 0;
	if (c->link >= 0)
		close(c->link);
	c->link = -1;
}

int takeover_client_finish(struct takeover_client *c)
{
	int r = say_go(c->link);

	c->finished = !r;
	part(c);
	return r;
}

bool takeover_client_is_finished(const struct takeover_client *c)
{
	return c && c->finished;
}

void takeover_client_free(struct takeover_client *c)
{
	if (!c)
		return;
	part(c);
	free(c);
}

void takeover_client_freep(struct takeover_client **c)
{
	takeover_client_free(*c);
}
