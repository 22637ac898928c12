/*
 * watch.h - a uv_poll on the heap: it can be cleared from its own callback, with its owner.
 */
#pragma once

#include "base/loop.h"

struct watch;

/* `events` as uv_poll's; `error` is less than 0 where the descriptor is broken. */
typedef void (*watch_fn)(void *arg, int error, int events);

/* Watches nothing yet. The descriptor must be pollable, and stay open until watch_clear(). */
struct watch *watch_new(struct loop *loop, int fd, watch_fn fn, void *arg) MUST_USE;

/* From now on for these (UV_READABLE | …; level-triggered), 0: for none. */
void watch_for(struct watch *w, int events);

/* `fn` isn't called any more. The variable is NULL then; takes NULL. */
void watch_clear(struct watch **w);
