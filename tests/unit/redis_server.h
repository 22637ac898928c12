/*
 * redis_server.h - a real redis-server for a test: on a Unix socket in a directory of its own, no
 * persistence. Ended by its pid; dies with the test.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

struct redis_server {
	char dir[64], socket[96], url[112];
	pid_t pid;
	redisContext *client; /* for the test to look and to meddle */
};

static inline void redis_server_run(const struct redis_server *s)
{
	int quiet = open("/dev/null", O_WRONLY);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(quiet, 1);
	execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", s->socket, "--dir",
	       s->dir, "--save", "", "--appendonly", "no", NULL);
	_exit(127);
}

static inline void redis_server_connect(struct redis_server *s)
{
	int64_t start_ms = clock_ms();

	if (s->client)
		redisFree(s->client);
	while (!(s->client = redisConnectUnix(s->socket)) || s->client->err) {
		must(!check_is_over(start_ms, 10000));
		if (s->client)
			redisFree(s->client);
		usleep(2000);
	}
}

static inline void redis_server_start(struct redis_server *s)
{
	if (!*s->dir) {
		snprintf(s->dir, sizeof s->dir, "/tmp/turnstile-test-XXXXXX");
		must(mkdtemp(s->dir));
		snprintf(s->socket, sizeof s->socket, "%s/redis", s->dir);
		snprintf(s->url, sizeof s->url, "unix:%s", s->socket);
	}
	s->pid = fork();
	must(s->pid >= 0);
	if (!s->pid)
		redis_server_run(s);
	redis_server_connect(s);
}

static inline void redis_server_kill(struct redis_server *s)
{
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	unlink(s->socket);
}

static inline void redis_server_end(struct redis_server *s)
{
	redis_server_kill(s);
	if (s->client)
		redisFree(s->client);
	rmdir(s->dir);
}

/*
 * A command by the test itself: an integer (or what a string says, or a status' or list's length).
 */
static inline int64_t redis_ask(struct redis_server *s, const char *format, ...)
{
	redisReply *r;
	int64_t n = -1;
	va_list args;

	va_start(args, format);
	r = redisvCommand(s->client, format, args);
	va_end(args);
	must(r);
	if (r->type == REDIS_REPLY_INTEGER)
		n = r->integer;
	else if (r->type == REDIS_REPLY_STRING)
		n = strtoll(r->str, NULL, 10);
	else if (r->type == REDIS_REPLY_ARRAY)
		n = (int64_t)r->elements;
	else if (r->type == REDIS_REPLY_ERROR)
		fprintf(stderr, "redis: %s\n", r->str);
	freeReplyObject(r);
	return n;
}
