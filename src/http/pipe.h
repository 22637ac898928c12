/*
 * pipe.h - a bounded queue of bytes between a producer and a consumer.
 *
 * Full pauses the producer, empty parks the consumer, never both: whoever finds it so must be
 * woken by the other side, which it knows from what pipe_write() and pipe_read() return.
 * A zeroed struct pipe is empty; its memory grows with what is in it, up to PIPE_MAX, and an empty
 * one has none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { PIPE_MAX = 64 * 1024 };

struct pipe {
	char *data; /* a ring */
	size_t cap, at, len;
};

static inline size_t pipe_room(const struct pipe *p)
{
	return PIPE_MAX - p->len;
}

/* Puts in as much as there is room for and returns how much that was. */
size_t pipe_write(struct pipe *p, const char *data, size_t len);

/* Takes out up to `max` bytes and returns how many. */
size_t pipe_read(struct pipe *p, char *to, size_t max);

/* Frees; the pipe is empty again. May be called twice. */
void pipe_clear(struct pipe *p);
