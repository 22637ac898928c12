/*
 * file.h - files that an operator names: whole, regular, of bounded size.
 *
 * A FIFO would stop the process until somebody writes, a device might never end, and what is read
 * twice may be two things.
 */
#pragma once

#include "base/buf.h"
#include "base/mem.h"

enum { FILE_BYTES_MAX = 1 << 20 };

/*
 * Reads all of it; /dev/null is an empty one. 0; or -errno, with a few words in `why`: "is larger than 1 MiB", say. Never
 * waits for anybody. What is in `ret` is the caller's in any case.
 */
int file_read(const char *path, struct buf *ret, struct buf *why) MUST_USE;
