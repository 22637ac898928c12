/*
 * disk.h - is the file on disk still what runs?
 *
 * A process runs by what it has read, also when the file has changed since, or has become wrong: the next
 * start would not. So somebody has to say so before. Every few seconds the file is looked at, on a thread of
 * libuv's pool as a disk may hang; only one that looks different is read, and only one that isn't what runs is
 * tried as a reload would.
 */
#pragma once

#include "base/loop.h"
#include "config/config.h"

enum disk_state {
	DISK_IN_USE,     /* what runs; also where there is no file */
	DISK_CHANGED,    /* fine, but not read yet: SIGHUP */
	DISK_BROKEN,     /* has errors: a reload will refuse it, and a start too */
	DISK_UNREADABLE, /* isn't there, or can't be read */
};

struct disk;

/*
 * `live` was loaded from `sources`, and both outlive it. Changes of the state are logged, once each. Looks
 * every `interval_ms`.
 */
struct disk *disk_new(struct loop *loop, const struct config_sources *sources,
		      const struct config *live, int64_t interval_ms) MUST_USE;

/* Takes NULL. What it is looking at just now is let go. */
void disk_free(struct disk *d);

/* `live` was reloaded, or a reload was refused: looks at once. */
void disk_look(struct disk *d);

/* As it was seen last. */
enum disk_state disk_state(const struct disk *d);

/* What that means, in words. */
const char *disk_words(enum disk_state state);
