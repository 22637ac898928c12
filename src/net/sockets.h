/*
 * sockets.h - the sockets of a library in the loop.
 *
 * A library that says for each socket what it wants to hear of, and drops its interest after each
 * response to ask for the same again with the next request, costs two epoll_ctl() a request. So
 * interest in reading is only ever added, and taken back when an event comes that nobody wants.
 */
#pragma once

#include <stdbool.h>

#include "base/loop.h"

struct sockets;

/*
 * `events` (UV_READABLE | UV_WRITABLE) are some of those wanted; `broken`: all of them, and an
 * error.
 */
typedef void (*socket_fn)(void *arg, int fd, int events, bool broken);

/* Not called from within sockets_*(). */
struct sockets *sockets_new(struct loop *loop, socket_fn fn) MUST_USE;

/* None must be left in the loop. Takes NULL. */
void sockets_free(struct sockets *s);

/* The library opened a connection, and will tell when it closes it. `arg` is the function's. */
void sockets_opened(struct sockets *s, int fd, void *arg);
void sockets_closed(struct sockets *s, int fd); /* nothing, if it isn't known */

/* What is wanted from now on. `arg` is for one that wasn't announced by sockets_opened(). */
void sockets_want(struct sockets *s, int fd, int events, void *arg);

/* Nothing is wanted any more; one that wasn't announced, or never connected, may be closed now. */
void sockets_drop(struct sockets *s, int fd);
