#include "net/inheritance.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { LIMIT_S = 5 };

struct inheritance {
	int link;                          /* to the old process */
	int fds[HANDOVER_SOCKETS_MAX];     /* -1: taken */
	char *names[HANDOVER_SOCKETS_MAX]; /* "listen.address 127.0.0.1:8080"; NULL: it has none */
	size_t count;
	bool accepted;
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

/* Notes the descriptors that came along, so that they are closed whatever else is wrong. */
static void note_descriptors(struct inheritance *i, struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		i->count = (c->cmsg_len - CMSG_LEN(0)) / sizeof i->fds[0];
		must(i->count <= HANDOVER_SOCKETS_MAX); /* there was no room for more */
		memcpy(i->fds, CMSG_DATA(c), i->count * sizeof i->fds[0]);
	}
}

static int note_names(struct inheritance *i, struct span text)
{
	struct span line;
	size_t n = 0;

	if (!span_starts(text, SPAN(HANDOVER_SOCKETS)))
		return -EPROTO;
	text.ptr += strlen(HANDOVER_SOCKETS);
	text.len -= strlen(HANDOVER_SOCKETS);
	while (span_next(&text, '\n', &line)) {
		if (line.len && n < i->count)
			i->names[n++] = xstrndup(line.ptr, line.len);
	}
	return n == i->count ? 0 : -EPROTO;
}

static int receive(struct inheritance *i)
{
	char text[HANDOVER_MESSAGE_MAX];
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof i->fds)];
	struct iovec data = { text, sizeof text };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof control };
	/* With a timeout set, a stop and a continue end it (signal(7)). */
	ssize_t n = TEMP_FAILURE_RETRY(recvmsg(i->link, &message, MSG_CMSG_CLOEXEC));

	if (n < 0)
		return -errno;
	note_descriptors(i, &message);
	if (!n || message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return -EPROTO;
	return note_names(i, (struct span){ text, (size_t)n });
}

int inheritance_ask(const char *path, struct buf *errors, struct inheritance **ret)
{
	CLEANUP(inheritance_freep) struct inheritance *i = NULL;
	int r, link = connect_link(path);

	*ret = NULL;
	if (link == -ENOENT || link == -ECONNREFUSED)
		return 0;
	r = link;
	if (link >= 0) {
		i = xcalloc(1, sizeof *i);
		i->link = link;
		r = say(link, HANDOVER_TAKE);
		r = r < 0 ? r : receive(i);
	}
	if (r < 0) {
		buf_printf(errors, "listen.takeover %s: the process there doesn't hand over: %s\n",
			   path, r == -EAGAIN ? "it doesn't answer" : strerror(-r));
		return r;
	}
	*ret = steal(&i);
	return 0;
}

static int steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

int inheritance_take(struct inheritance *i, const char *name, const char *address)
{
	CLEANUP(freep) char *wanted = xasprintf("%s %s", name, address);

	for (size_t n = 0; i && n < i->count; n++) {
		if (!i->names[n] || strcmp(i->names[n], wanted))
			continue;
		free(steal(&i->names[n]));
		return steal_fd(&i->fds[n]);
	}
	return -1;
}

static int say_go(int link)
{
	char text[HANDOVER_MESSAGE_MAX];
	int r = say(link, HANDOVER_GO);
	ssize_t n;

	if (r < 0)
		return r;
	n = TEMP_FAILURE_RETRY(recv(link, text, sizeof text, 0));
	if (n < 0)
		return -errno;
	return span_eq((struct span){ text, (size_t)n }, SPAN(HANDOVER_GONE)) ? 0 : -EPROTO;
}

/* What wasn't taken is closed, and the old process hears that nothing more will be said. */
static void part(struct inheritance *i)
{
	for (size_t n = 0; n < i->count; n++) {
		if (i->fds[n] >= 0)
			close(i->fds[n]);
		free(steal(&i->names[n]));
	}
	i->count = 0;
	if (i->link >= 0)
		close(i->link);
	i->link = -1;
}

int inheritance_accept(struct inheritance *i)
{
	int r = say_go(i->link);

	i->accepted = !r;
	part(i);
	return r;
}

bool inheritance_accepted(const struct inheritance *i)
{
	return i && i->accepted;
}

void inheritance_free(struct inheritance *i)
{
	if (!i)
		return;
	part(i);
	free(i);
}

void inheritance_freep(struct inheritance **i)
{
	inheritance_free(*i);
}
