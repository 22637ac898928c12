/*
 * handover.h - waits at listen.takeover for a process that takes our place. See inheritance.h.
 */
#pragma once

#include "base/buf.h"
#include "base/loop.h"
#include "net/inheritance.h"

struct handover;

/* A socket that can be handed over: an option's name, its value, and a descriptor. */
struct handover_socket {
	const char *name, *address;
	int fd;
};

struct handover_options {
	const char *path; /* a Unix socket, made with mode 0600; one left over is replaced */
	struct handover_socket sockets[HANDOVER_SOCKETS_MAX];
	size_t count;

	/* The successor serves. From the loop, once; nothing follows it but handover_free(). */
	void (*taken)(void *arg);
	void *arg;
};

/*
 * Listens there. 0, or -errno and a line in `errors`. The options are copied, their texts aren't.
 */
int handover_new(struct loop *loop, const struct handover_options *options, struct buf *errors,
		 struct handover **ret) MUST_USE;

/*
 * Whether a successor is starting with our sockets: it may serve at any moment, so whoever ends
 * before it does leaves it the paths. Takes NULL.
 */
bool handover_has_given(const struct handover *h);

/* Stops listening, and removes the path unless it is a successor's. Takes NULL. */
void handover_free(struct handover *h);
