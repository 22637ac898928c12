/*
 * listener.h - a socket that listens, from an address as users write it.
 */
#pragma once

#include "base/buf.h"

/*
 * Listens on "host:port", "[v6]:port" (port 0: any free one) or "unix:PATH", where a path that
 * nobody listens on any more is replaced. Returns a non-blocking descriptor and, owned by the
 * caller, the real address; or -errno and in `errors` a line that says what to do. A host name is
 * resolved blocking.
 */
int listener_open(const char *address, struct buf *errors, char **ret_address) MUST_USE;

/* Closes it; of a Unix socket the path is removed. */
void listener_close(int fd, const char *address);
