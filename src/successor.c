#include "successor.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

static void on_closed(uv_handle_t *process)
{
	free(process);
}

/* Before it took over; or later, while we still serve those who were here then. */
static void on_ended(uv_process_t *process, int64_t status, int signum)
{
	struct process *p = process->data;

	log_at(status || signum ? LOG_ERROR : LOG_INFO, "the successor has ended",
	       LOG_INT("status", status), LOG_INT("signal", signum));
	if ((status || signum) && p->taken_over && p->phase == PHASE_RETIRING)
		notify_successor_lost(p->notify);
	p->successor = NULL;
	uv_close((uv_handle_t *)process, on_closed);
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
	if (close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC))
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

void successor_start(struct process *p)
{
	uv_stdio_container_t descriptors[] = {
		{ .flags = UV_INHERIT_FD, .data.fd = 0 },
		{ .flags = UV_INHERIT_FD, .data.fd = 1 },
		{ .flags = UV_INHERIT_FD, .data.fd = 2 },
	};
	uv_process_options_t options = {
		.exit_cb = on_ended,
		.file = p->arguments[0],
		.args = p->arguments,
		.stdio = descriptors,
		.stdio_count = ARRAY_SIZE(descriptors),
	};
	const char *why = what_hinders(p);
	int r;

	if (why) {
		log_warn("no successor is started", LOG_STR("why", why));
		return;
	}
	p->successor = xcalloc(1, sizeof *p->successor);
	p->successor->data = p;
	keep_descriptors();
	r = uv_spawn(&p->loop.uv, p->successor, &options);
	if (r < 0) {
		log_error("can't start a successor", LOG_STR("program", options.file),
			  LOG_STR("error", uv_strerror(r)));
		uv_close((uv_handle_t *)steal(&p->successor), on_closed);
		return;
	}
	log_info("starting a successor", LOG_INT("pid", p->successor->pid));
	uv_unref((uv_handle_t *)p->successor);
}

void successor_forget(struct process *p)
{
	if (p->successor)
		uv_close((uv_handle_t *)steal(&p->successor), on_closed);
}
