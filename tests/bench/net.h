/*
 * net.h - what the bench's programs share: loopback sockets, epoll, time in nanoseconds.
 *
 * They are lean on purpose: whatever they cost is taken from the core that they share, and adds to
 * every latency that they measure. Errors of the machine (no port, no descriptor) end the program.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/mem.h"

/* Monotonic, the same clock in all processes of the machine. */
int64_t net_now_ns(void);

/* Says so and exits with status 1. */
_Noreturn void net_fail(const char *what);

/* As many descriptors as this process may have. */
void net_raise_limits(void);

/* Non-blocking sockets on 127.0.0.1 without Nagle's delay; the caller closes them. */
int net_listen(int port) MUST_USE;
int net_connect(int port) MUST_USE;

/* -1: there is none now. */
int net_accept(int listener) MUST_USE;

/* Registers `fd` with `events` of epoll(7), level-triggered. */
void net_watch(int epoll, int fd, uint32_t events, void *data);
void net_rewatch(int epoll, int fd, uint32_t events, void *data);

/*
 * Waits until `until_ns` (INT64_MAX: for ever) and not a millisecond longer, as epoll_wait() would.
 * Returns the number of events.
 */
struct epoll_event;
int net_wait(int epoll, struct epoll_event *events, int max, int64_t until_ns) MUST_USE;

/* Sends what goes at once: bytes sent, 0 if none did, -1 if the connection is broken. */
ssize_t net_send(int fd, const void *data, size_t len) MUST_USE;

/* The value of --NAME in the arguments, or `otherwise`. */
int64_t net_option(int argc, char **argv, const char *name, int64_t otherwise) MUST_USE;
