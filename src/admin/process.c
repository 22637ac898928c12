#include "admin/process.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* The name may hold blanks and parentheses, so what follows is counted from its end. */
static void look_at_stat(struct process_facts *ret)
{
	char line[1024];
	FILE *f = fopen("/proc/self/stat", "re");
	char *rest;
	unsigned long user, system, size;
	long threads, pages;

	if (!f)
		return;
	rest = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
	fclose(f);
	if (!rest || sscanf(rest + 1,
			    " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d "
			    "%ld %*d %*u %lu %ld",
			    &user, &system, &threads, &size, &pages) != 5)
		return;
	ret->cpu_seconds = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
	ret->threads = threads;
	ret->virtual_bytes = (int64_t)size;
	ret->resident_bytes = (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static int64_t count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int64_t n = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 3; /* ".", ".." and the directory itself */
}

void process_look(struct process_facts *ret)
{
	struct rlimit limit;

	*ret = (struct process_facts){ .open_fds = count_fds() };
	look_at_stat(ret);
	if (!getrlimit(RLIMIT_NOFILE, &limit))
		ret->max_fds = (int64_t)limit.rlim_cur;
}
