/*
 * slow_start.c - preloaded into turnstile, lasts: while the file $SLOW_LOAD is there, before main(); while
 * $SLOW_START is, when the configuration has been read and no part has been started. $SLOW_LOAD.PID or
 * $SLOW_START.PID is made when it gets there.
 */
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void last(const char *variable)
{
	const char *path = getenv(variable);
	char here[4096];

	if (!path || access(path, F_OK))
		return;
	snprintf(here, sizeof here, "%s.%ld", path, (long)getpid());
	close(open(here, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	while (!access(path, F_OK))
		usleep(1000);
}

__attribute__((constructor)) static void loaded(void)
{
	last("SLOW_LOAD");
}

/* What main.c calls once, between the two. */
int mallopt(int option, int value)
{
	(void)option, (void)value;
	last("SLOW_START");
	return 1;
}
