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
	struct server *s = process->data;

	log_at(status || signum ? LOG_ERROR : LOG_INFO, "the successor has ended",
	       LOG_INT("status", status), LOG_INT("signal", signum));
	if ((status || signum) && s->succeeded && s->phase == PHASE_RETIRING)
		notify_successor_lost(s->notify);
	s->successor = NULL;
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

/* Not all libraries mark what they open: hiredis doesn't. What is handed over goes another way. */
static void keep_descriptors(void)
{
	if (close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC))
		mark_each_descriptor();
}

/* NULL: nothing. */
static const char *what_hinders(const struct server *s)
{
	if (s->phase != PHASE_SERVING)
		return "this process is ending";
	if (s->successor)
		return "one is starting already";
	if (!s->config->listen.takeover[0])
		return "listen.takeover isn't set";
	return s->handover ? NULL : "listen.takeover couldn't be opened";
}

void successor_start(struct server *s)
{
	uv_stdio_container_t inherited[] = {
		{ .flags = UV_INHERIT_FD, .data.fd = 0 },
		{ .flags = UV_INHERIT_FD, .data.fd = 1 },
		{ .flags = UV_INHERIT_FD, .data.fd = 2 },
	};
	uv_process_options_t options = {
		.exit_cb = on_ended,
		.file = s->arguments[0],
		.args = s->arguments,
		.stdio = inherited,
		.stdio_count = ARRAY_SIZE(inherited),
	};
	const char *why = what_hinders(s);
	int r;

	if (why) {
		log_warn("no successor is started", LOG_STR("why", why));
		return;
	}
	s->successor = xcalloc(1, sizeof *s->successor);
	s->successor->data = s;
	keep_descriptors();
	r = uv_spawn(&s->loop.uv, s->successor, &options);
	if (r < 0) {
		log_error("can't start a successor", LOG_STR("program", options.file),
			  LOG_STR("error", uv_strerror(r)));
		uv_close((uv_handle_t *)steal(&s->successor), on_closed);
		return;
	}
	log_info("starting a successor", LOG_INT("pid", s->successor->pid));
	uv_unref((uv_handle_t *)s->successor);
}

void successor_forget(struct server *s)
{
	if (s->successor)
		uv_close((uv_handle_t *)steal(&s->successor), on_closed);
}
