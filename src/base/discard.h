/*
 * discard.h - gives large memory back to the kernel a piece at a time, one a turn of the loop.
 *
 * What the kernel has to do is in proportion to the pages that were used: munmap(2) of 20 MiB takes
 * 1 ms, in which nobody else is served. madvise(2) with MADV_DONTNEED does the same for a part of
 * them.
 */
#pragma once

#include "base/buf.h"
#include "base/loop.h"

struct discard;

/* Less than that is freed at once, and at most that much a turn. */
enum { DISCARD_PIECE = 2 * 1024 * 1024 };

struct discard *discard_new(struct loop *loop) MUST_USE;

/* Frees what is left, at once. Takes NULL. */
void discard_free(struct discard *d);

/* As buf_clear(): the buffer is empty at once. */
void discard_buf(struct discard *d, struct buf *b);

/* What isn't given back yet. */
size_t discard_bytes(const struct discard *d);
