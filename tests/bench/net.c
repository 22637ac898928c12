/*
 * net.c - loopback sockets, epoll and time for the bench's programs.
 */
#include "net.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

enum { BACKLOG = 4096, NS_PER_S = 1000 * 1000 * 1000 };

int64_t net_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

void net_fail(const char *what)
{
	perror(what);
	exit(1);
}

void net_raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int new_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		net_fail("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

int net_listen(int port)
{
	struct sockaddr_in where = loopback(port);
	int fd = new_socket(), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&where, sizeof where) < 0 || listen(fd, BACKLOG) < 0)
		net_fail("listen");
	return fd;
}

int net_connect(int port)
{
	struct sockaddr_in where = loopback(port);
	int fd = new_socket();

	if (connect(fd, (struct sockaddr *)&where, sizeof where) < 0 && errno != EINPROGRESS)
		net_fail("connect");
	return fd;
}

int net_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;

	if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
		net_fail("accept");
	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static void control(int epoll, int how, int fd, uint32_t events, void *data)
{
	struct epoll_event event = { .events = events, .data.ptr = data };

	if (epoll_ctl(epoll, how, fd, &event) < 0)
		net_fail("epoll_ctl");
}

void net_watch(int epoll, int fd, uint32_t events, void *data)
{
	control(epoll, EPOLL_CTL_ADD, fd, events, data);
}

void net_rewatch(int epoll, int fd, uint32_t events, void *data)
{
	control(epoll, EPOLL_CTL_MOD, fd, events, data);
}

int net_wait(int epoll, struct epoll_event *events, int max, int64_t until_ns)
{
	int64_t now = net_now_ns(), left = until_ns > now ? until_ns - now : 0;
	struct timespec timeout = { .tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S };
	int n = epoll_pwait2(epoll, events, max, until_ns == INT64_MAX ? NULL : &timeout, NULL);

	if (n < 0 && errno != EINTR)
		net_fail("epoll_pwait2");
	return MAX(n, 0);
}

ssize_t net_send(int fd, const void *data, size_t len)
{
	ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

int64_t net_option(int argc, char **argv, const char *name, int64_t otherwise)
{
	for (int i = 1; i + 1 < argc; i++)
		if (!strncmp(argv[i], "--", 2) && !strcmp(argv[i] + 2, name))
			return strtoll(argv[i + 1], NULL, 10);
	return otherwise;
}
