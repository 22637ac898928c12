/*
 * takeover_client.h - a new process gets the listening sockets of the running one. See takeover.h.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

struct takeover_client;

/*
 * Asks who listens at `path`. 0 and what it has for takeover_client_free(), or 0 and NULL if nobody
 * is there; or -errno and a line in `errors`. Blocks, at most for 5 s each way.
 */
int takeover_client_ask(const char *path, struct buf *errors, struct takeover_client **ret)
	MUST_USE;

/*
 * The socket that had this name ("listen.address") and was configured to this address; the caller's
 * from now on. -1 if there is none; takes NULL.
 */
int takeover_client_take(struct takeover_client *c, const char *name, const char *address);

/*
 * We serve: the old process may retire. 0 when it has let go of listen.takeover, or -errno. Closes
 * what wasn't taken. Call it once; blocks as above.
 */
int takeover_client_finish(struct takeover_client *c) MUST_USE;

/* Whether that succeeded: before, the paths of Unix sockets are the old process's. Takes NULL. */
bool takeover_client_is_finished(const struct takeover_client *c);

/*
 * Closes what wasn't taken; if it isn't finished, the old process goes on as before. The acceptors
 * that took from it go first. Takes NULL.
 */
void takeover_client_free(struct takeover_client *c);
void takeover_client_freep(struct takeover_client **c); /* for CLEANUP() */
