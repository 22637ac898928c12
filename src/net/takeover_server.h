/*
 * takeover_server.h - waits at listen.takeover for a process that takes our place. See takeover.h.
 */
#pragma once

#include "base/buf.h"
#include "base/loop.h"
#include "net/takeover.h"

struct takeover_server;

/* A socket that can be taken over: an option's name, its value, and a descriptor. */
struct takeover_server_socket {
	const char *name, *address;
	int fd;
};

struct takeover_server_options {
	const char *path; /* a Unix socket, made with mode 0600; one left over is replaced */
	struct takeover_server_socket sockets[TAKEOVER_SOCKETS_MAX];
	size_t count;

	/* The successor serves. From the loop, once; only takeover_server_free() follows. */
	void (*taken)(void *arg);
	void *arg;
};

/*
 * Listens there. 0, or -errno and a line in `errors`. The options are copied, their texts aren't.
 */
int takeover_server_new(struct loop *loop, const struct takeover_server_options *options,
			struct buf *errors, struct takeover_server **ret) MUST_USE;

/*
 * Whether a successor is starting with our sockets: it may serve at any moment, so whoever ends
 * before it does leaves it the paths. Takes NULL.
 */
bool takeover_server_has_given(const struct takeover_server *s);

/* Stops listening, and removes the path unless it is a successor's. Takes NULL. */
void takeover_server_free(struct takeover_server *s);
