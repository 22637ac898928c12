#include "base/runfile.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NAME "turnstile"

enum { TEXT_MAX = 8 * 1024 };

struct runfile {
	int fd;
};

/* Of one process. */
struct entry {
	unsigned long long started; /* ticks since boot */
	struct buf admin, config;
};

static void entry_clear(struct entry *e)
{
	buf_clear(&e->admin);
	buf_clear(&e->config);
}

/* As a process of another directory would call it. Links are kept: a new file may be behind them. */
static char *absolute(const char *path)
{
	CLEANUP(freep) char *here = NULL;

	if (!path)
		return xstrdup("");
	if (path[0] == '/' || !(here = getcwd(NULL, 0)))
		return xstrdup(path);
	return xasprintf("%s/%s", here, path);
}

/* --- telling ---------------------------------------------------------------------------------- */

struct runfile *runfile_new(const char *admin, const char *config)
{
	CLEANUP(freep) char *path = absolute(config);
	CLEANUP(buf_clear) struct buf text = { 0 };
	struct runfile *f = xcalloc(1, sizeof *f);

	buf_printf(&text, "admin %s\nconfig %s\n", admin, path);
	f->fd = memfd_create(NAME, MFD_CLOEXEC);
	if (f->fd >= 0 && write(f->fd, text.data, text.len) == (ssize_t)text.len)
		return f;
	runfile_free(f);
	return NULL;
}

void runfile_free(struct runfile *f)
{
	if (!f)
		return;
	if (f->fd >= 0)
		close(f->fd);
	free(f);
}

/* --- finding ---------------------------------------------------------------------------------- */

static int read_small(int dir, const char *name, struct buf *to)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t n = 0;

	if (fd < 0)
		return -errno;
	while (to->len < TEXT_MAX && (n = read(fd, buf_reserve(to, 512), 512)) > 0)
		to->len += (size_t)n;
	close(fd);
	return n < 0 ? -EIO : 0;
}

/* When the process started: field 22 of stat, counted from behind the name, which may hold anything. */
static unsigned long long started(int process)
{
	CLEANUP(buf_clear) struct buf text = { 0 };
	unsigned long long ticks = 0;
	const char *p;

	if (read_small(process, "stat", &text) < 0)
		return 0;
	p = strrchr(buf_str(&text), ')');
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p && sscanf(p, "%llu", &ticks) == 1 ? ticks : 0;
}

static bool read_entry(int process, int fds, const char *fd, struct entry *ret)
{
	CLEANUP(buf_clear) struct buf text = { 0 };
	struct span rest, line;

	if (read_small(fds, fd, &text) < 0)
		return false;
	rest = buf_span(&text);
	while (span_next(&rest, '\n', &line)) {
		if (span_starts(line, SPAN("admin")))
			buf_append(&ret->admin, line.ptr + 5, line.len - 5);
		else if (span_starts(line, SPAN("config")))
			buf_append(&ret->config, line.ptr + 6, line.len - 6);
	}
	ret->started = started(process);
	return ret->admin.len > 0 || ret->config.len > 0;
}

static bool is_runfile(int fds, const char *fd)
{
	static const char target[] = "/memfd:" NAME " (deleted)";
	char link[sizeof target];

	return readlinkat(fds, fd, link, sizeof link) == sizeof target - 1 &&
	       !memcmp(link, target, sizeof target - 1);
}

/* It is opened after the start and before the first client, so it is among the first ones. */
static bool look_into(int process, struct entry *ret)
{
	int fds = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fds < 0 ? NULL : fdopendir(fds);
	struct dirent *d;
	bool found = false;

	while (dir && !found && (d = readdir(dir))) {
		if (isdigit((unsigned char)d->d_name[0]) && is_runfile(fds, d->d_name))
			found = read_entry(process, fds, d->d_name, ret);
	}
	if (dir)
		closedir(dir);
	else if (fds >= 0)
		close(fds);
	return found;
}

/* What is sought, and what has been found so far. */
struct search {
	const char *config; /* absolute; empty: a process without one */
	struct entry best;  /* that was started with that file */
	struct entry
		other; /* of those that were started with another one, if all are asked there */
	bool found, others, ambiguous;
};

static void take(struct entry *to, struct entry *from)
{
	entry_clear(to);
	*to = *from;
	*from = (struct entry){ 0 };
}

static void consider(struct search *s, struct entry *e)
{
	struct span config = span_trim(buf_span(&e->config));

	if (span_eq(config, span_of(s->config))) {
		if (!s->found || e->started >= s->best.started)
			take(&s->best, e);
		s->found = true;
		return;
	}
	if (s->others && !span_eq(buf_span(&e->admin), buf_span(&s->other.admin)))
		s->ambiguous = true;
	s->others = true;
	take(&s->other, e);
}

static void search(struct search *s, const char *proc)
{
	DIR *dir = opendir(proc);
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		CLEANUP(entry_clear) struct entry e = { 0 };
		int process;

		if (!isdigit((unsigned char)d->d_name[0]))
			continue;
		process = openat(dirfd(dir), d->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (process < 0)
			continue;
		if (look_into(process, &e))
			consider(s, &e);
		close(process);
	}
	if (dir)
		closedir(dir);
}

int runfile_find(const char *proc, const char *config, struct buf *ret_admin)
{
	CLEANUP(freep) char *path = absolute(config);
	struct search s = { .config = path };
	const struct entry *e = NULL;
	struct span admin;

	search(&s, proc);
	if (s.found)
		e = &s.best;
	else if (!config && s.others && !s.ambiguous)
		e = &s.other;
	if (e) {
		admin = span_trim(buf_span(&e->admin));
		buf_append(ret_admin, admin.ptr, admin.len);
	}
	entry_clear(&s.best);
	entry_clear(&s.other);
	return e ? 0 : -ENOENT;
}
