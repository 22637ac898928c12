/*
 * listener.h - a socket that listens, from an address as users write it.
 */
#pragma once

#include "base/buf.h"

/*
 * Listens on what the option `name` is set to: "host:port", "[v6]:port" (port 0: any free one) or
 * "unix:PATH", where a path that nobody listens on any more is replaced. Returns a non-blocking
 * descriptor and, owned by the caller, the real address; or -errno and in `errors` a line that says
 * what to do. A host name is resolved blocking.
 *
 * As many connections wait in the kernel's queue as net.core.somaxconn allows at this time (4096
 * since Linux 5.4). Whoever finds the queue full tries again after a second.
 */
int listener_open(const char *name, const char *address, struct buf *errors, char **ret_address)
	MUST_USE;

/*
 * Gives a socket that another process listens on a queue as long as listener_open() does. What
 * waits in it stays. If it doesn't listen, nothing.
 */
void listener_widen(int fd);

/* The real address of a socket that listens on the configured one; owned by the caller. */
char *listener_address(int fd, const char *configured) MUST_USE;

/*
 * Listens for connections of packets (SOCK_SEQPACKET) on a Unix socket that only our user can
 * connect to. Returns a non-blocking descriptor, or -errno. A path that nobody listens on is
 * replaced.
 */
int listener_open_packets(const char *path) MUST_USE;

/* Closes it; of a Unix socket the path is removed. A NULL address leaves it to others. */
void listener_close(int fd, const char *address);

/*
 * Connects to where another process listens; "0.0.0.0:8081" and "[::]:8081" mean this machine, as
 * the kernel takes them so. Returns a blocking descriptor that the caller closes, or -errno and a
 * line in `errors`. Blocks.
 */
int listener_connect(const char *address, struct buf *errors) MUST_USE;
