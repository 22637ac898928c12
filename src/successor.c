#include "successor.h"

#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "startup.h"

enum { MARK_RANGE = 4 }; /* CLOSE_RANGE_CLOEXEC, which musl doesn't know */

/* Before it took over; or later, while we still serve those who were here then. */
void successor_reap(struct process *p)
{
	int status;

	if (!p->successor || waitpid(p->successor, &status, WNOHANG) != p->successor)
		return;
	p->successor = 0;
	log_at(status ? LOG_ERROR : LOG_INFO, "the successor has ended",
	       LOG_INT("status", WIFEXITED(status) ? WEXITSTATUS(status) : 0),
	       LOG_INT("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0));
	if (status && p->taken_over && p->phase == PHASE_RETIRING)
		notify_successor_lost(p->notify);
}

/* For kernels before 5.11, and sandboxes that don't know the call. */
static void mark_each_descriptor(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (fd > STDERR_FILENO)
			fcntl(fd, F_SETFD, FD_CLOEXEC);
	}
	if (dir)
		closedir(dir);
}

/* Not all libraries mark what they open: hiredis doesn't. What is taken over goes another way. */
static void keep_descriptors(void)
{
	if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, MARK_RANGE))
		mark_each_descriptor();
}

/* NULL: nothing. */
static const char *what_hinders(const struct process *p)
{
	if (p->phase != PHASE_SERVING)
		return "this process is ending";
	if (p->successor)
		return "one is starting already";
	if (!p->config->listen.takeover[0])
		return "listen.takeover isn't set";
	return p->takeover_server ? NULL : "listen.takeover couldn't be opened";
}

/*
 * Not by uv_spawn(), which unblocks all signals: a SIGHUP would end the process that is still being
 * loaded.
 */
static int spawn(pid_t *ret_pid, char **arguments)
{
	posix_spawnattr_t attributes;
	sigset_t kept, all;
	int r;

	startup_signals(&kept);
	sigfillset(&all);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &kept);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	r = posix_spawnp(ret_pid, arguments[0], NULL, &attributes, arguments, environ);
	posix_spawnattr_destroy(&attributes);
	return r;
}

void successor_start(struct process *p)
{
	const char *why = what_hinders(p);
	pid_t pid;
	int r;

	if (why) {
		log_warn("no successor is started", LOG_STR("why", why));
		return;
	}
	keep_descriptors();
	r = spawn(&pid, p->arguments);
	if (r) {
		log_error("can't start a successor", LOG_STR("program", p->arguments[0]),
			  LOG_STR("error", strerror(r)));
		return;
	}
	p->successor = pid;
	log_info("starting a successor", LOG_INT("pid", pid));
}
