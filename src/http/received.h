/*
 * received.h - what a library reads off a socket, seen as it is read.
 *
 * libmicrohttpd reads with recv() and has no hook in front of its parser; before 1.0, not every parse
 * can be believed (head_scan.h). This file defines recv() for the whole program: the program's symbol
 * goes before the C library's, for its libraries as well (by that rule programs bring a malloc of
 * their own). It makes the same system call. Where a library reads otherwise, nothing is seen, and
 * nothing else changes.
 */
#pragma once

#include <stddef.h>

/* These bytes were read; the library doesn't have them yet. It may not read, watch or forget. */
typedef void (*received_fn)(void *arg, const char *ptr, size_t len);

/* From now on `fn` sees what this thread reads from `fd`, until received_forget() before its close. */
void received_watch(int fd, received_fn fn, void *arg);
void received_forget(int fd); /* also one that isn't watched */
