/*
 * runfile.h - where the process that runs can be asked, for `turnstile --health`.
 *
 *      process A                                     turnstile --health
 *      /proc/A/fd/7 -> memfd "turnstile"   <──────   looks through /proc, reads it
 *          admin 127.0.0.1:8081
 *          config /etc/turnstile/turnstile.ini
 *
 * The configuration on disk says where the next process will listen, if it can be read at all. A pid file
 * would need a directory to write to, which a container with a read-only root hasn't, and a crash leaves it
 * behind. So the file is in memory (memfd_create(2)) and held by the process that it is about: it is gone
 * with it, and only who may look into the process (proc(5): its own user, or one who may trace it) finds
 * it.
 */
#pragma once

#include "base/buf.h"
#include "base/mem.h"

struct runfile;

/*
 * Says that this process is asked at `admin` (as listener.h writes addresses; empty: nowhere), and was
 * started with that file (NULL: none). NULL if the kernel has no such files: a health check reads the
 * configuration then.
 */
struct runfile *runfile_new(const char *admin, const char *config) MUST_USE;

/* Takes it back, if a successor is to be asked. Takes NULL. */
void runfile_free(struct runfile *f);

/*
 * Finds the process that was started with that file (NULL: with none), or else, if `config` is NULL, the
 * only one that there is. Of several with the same file, it is the one that started last. 0 and where it is
 * asked; -ENOENT: there is none, or no telling which.
 *
 * `proc`: "/proc", or in a test something like it.
 */
int runfile_find(const char *proc, const char *config, struct buf *ret_admin) MUST_USE;
