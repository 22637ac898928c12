#include "base/notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { PINGS_PER_LIMIT = 2, US_PER_MS = 1000 };

struct notify {
	int fd; /* -1: nobody listens */
	struct timer *ping;
	int64_t watchdog_us; /* 0: none */
	bool watchdog_is_ours;
	bool silent; /* a successor speaks */
};

static void say(const struct notify *n, const char *text)
{
	if (n->fd >= 0 && !n->silent)
		send(n->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Only we say it in a loop, so a loop that doesn't turn doesn't say it. */
static void on_ping(void *arg)
{
	struct notify *n = arg;

	say(n, "WATCHDOG=1");
	timer_start(n->ping, n->watchdog_us / US_PER_MS / PINGS_PER_LIMIT);
}

void notify_ready(struct notify *n, const char *status, bool is_successor)
{
	CLEANUP(freep) char *text = xasprintf("READY=1\nSTATUS=%s", status);
	CLEANUP(freep) char *who = xasprintf("%s\nMAINPID=%ld", text, (long)getpid());

	say(n, is_successor ? who : text);
	if (n->fd >= 0 && n->watchdog_us && (n->watchdog_is_ours || is_successor))
		on_ping(n);
}

void notify_reloading(struct notify *n)
{
	CLEANUP(freep) char *text = NULL;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	text = xasprintf("RELOADING=1\nMONOTONIC_USEC=%" PRId64,
			 (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	say(n, text);
}

void notify_status(struct notify *n, const char *status)
{
	CLEANUP(freep) char *text = xasprintf("STATUS=%s", status);

	say(n, text);
}

void notify_stopping(struct notify *n, const char *status)
{
	CLEANUP(freep) char *text = xasprintf("STOPPING=1\nSTATUS=%s", status);

	say(n, text);
}

void notify_fall_silent(struct notify *n)
{
	timer_stop(n->ping);
	n->silent = true;
}

void notify_successor_lost(struct notify *n)
{
	n->silent = false;
	say(n, "WATCHDOG=trigger");
	n->silent = true;
}

static int connect_to(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	int fd;

	if (len < 2 || len >= sizeof a.sun_path || !strchr("/@", path[0]))
		return -1;
	memcpy(a.sun_path, path, len);
	if (path[0] == '@')
		a.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || !connect(fd, (struct sockaddr *)&a,
			       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)))
		return fd;
	close(fd);
	return -1;
}

static int64_t number(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoll(text, NULL, 10) : 0;
}

struct notify *notify_new(struct loop *loop)
{
	struct notify *n = xcalloc(1, sizeof *n);
	int64_t pid = number("WATCHDOG_PID");

	n->fd = connect_to(getenv("NOTIFY_SOCKET"));
	n->ping = timer_new(loop, on_ping, n);
	n->watchdog_us = MAX(0, number("WATCHDOG_USEC"));
	n->watchdog_is_ours = !pid || pid == getpid();
	return n;
}

void notify_free(struct notify *n)
{
	if (!n)
		return;
	timer_clear(&n->ping);
	if (n->fd >= 0)
		close(n->fd);
	free(n);
}
