/*
 * inheritance.h - listening sockets that a new process takes over from the running one.
 *
 *      old process                                new process
 *      listens, and at listen.takeover  <──────── inheritance_ask()      connects, "take"
 *      handover.c ────────────────────> sockets   inheritance_take()     each listener its own
 *      still serves                               starts; from now on both accept
 *      retires                          <──────── inheritance_accept()   "go"
 *      closes its descriptors ────────────────>   "gone"                 has listen.takeover now
 *
 * The sockets themselves are passed (unix(7), SCM_RIGHTS), as HAProxy does with `-x`. A second
 * socket with SO_REUSEPORT would be easier to come by, but closing the first one resets what is in
 * its queue of accepted connections, and the handshakes under way; one socket in two processes has
 * one queue, which loses nothing, whoever closes it first. It also works for Unix sockets and for
 * port 0; and two programs on one port by mistake are still told so.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

struct inheritance;

enum { HANDOVER_SOCKETS_MAX = 4, HANDOVER_MESSAGE_MAX = 1024 };

/* What is said, a packet each (SOCK_SEQPACKET). "sockets" has a line for each: NAME ADDRESS. */
#define HANDOVER_TAKE    "turnstile 1 take"
#define HANDOVER_SOCKETS "turnstile 1 sockets\n"
#define HANDOVER_GO      "turnstile 1 go"
#define HANDOVER_GONE    "turnstile 1 gone"

/*
 * Asks who listens at `path`. 0 and what it has for inheritance_free(), or 0 and NULL if nobody
 * is there; or -errno and a line in `errors`. Blocks, at most for 5 s each way.
 */
int inheritance_ask(const char *path, struct buf *errors, struct inheritance **ret) MUST_USE;

/*
 * The socket that had this name ("listen.address") and was configured to this address; the caller's
 * from now on. -1 if there is none; takes NULL.
 */
int inheritance_take(struct inheritance *i, const char *name, const char *address);

/*
 * We serve: the old process may retire. 0 when it has let go of listen.takeover, or -errno. Closes
 * what wasn't taken. Call it once; blocks as above.
 */
int inheritance_accept(struct inheritance *i) MUST_USE;

/* Whether it succeeded: until then the paths of Unix sockets are the old process's. Takes NULL. */
bool inheritance_accepted(const struct inheritance *i);

/*
 * Closes what wasn't taken; if it wasn't accepted, the old process goes on as before. The doors
 * that took from it go first. Takes NULL.
 */
void inheritance_free(struct inheritance *i);
void inheritance_freep(struct inheritance **i); /* for CLEANUP() */
