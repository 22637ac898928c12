/*
 * halls.h - the connections of a listener, in groups of bounded size, each served by a daemon of
 * its own.
 *
 * libmicrohttpd walks all suspended connections of a daemon at each resume: with 10,000 that wait,
 * this was more than half of all CPU. So no daemon has more than HALL_MAX. All daemons run on the
 * one loop; a hall once opened stays.
 *
 * What a daemon is, only http_server.c knows.
 */
#pragma once

#include <stdbool.h>

#include "base/loop.h"
#include "net/groups.h"
#include "net/watch.h"

enum { HALL_MAX = 500 };

struct halls;

struct hall {
	struct group group; /* of connections */
	struct halls *halls;
	void *daemon;
	struct watch *poll;
	struct job run_job;
};

struct hall_service {
	/* A daemon, and the descriptor that is readable when it should run; NULL: impossible. */
	void *(*open)(void *ctx, struct hall *hall, int *ret_fd);

	/* Runs it once; true if it has more to do at once. */
	bool (*run)(void *daemon);

	void (*close)(void *daemon);
};

/* With one hall. NULL if no daemon can be opened. */
struct halls *halls_new(struct loop *loop, const struct hall_service *service, void *ctx) MUST_USE;

/* Closes all daemons; there are no requests under way. Takes NULL. */
void halls_free(struct halls *h);

/* The context of halls_new(). */
void *hall_context(const struct hall *hall);

/*
 * Where the next connection goes; may open a hall. NULL: no hall has room, and none can be opened.
 */
struct hall *halls_choose(struct halls *h);

/* A connection came in, or was closed. */
void hall_entered(struct hall *hall);
void hall_left(struct hall *hall);

/* Something is to be done there that the descriptor doesn't tell: runs before the loop blocks. */
void hall_run(struct hall *hall);
void halls_run(struct halls *h); /* all of them */
