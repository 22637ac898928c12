#include "startup.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "base/mem.h"

/* open() takes the lowest number that is free. */
static void fill_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		if (open("/dev/null", O_RDWR) != fd)
			must(open("/", O_RDONLY | O_DIRECTORY) ==
			     fd); /* no /dev: neither reads nor writes */
	}
}

void startup_signals(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGHUP);
	sigaddset(ret, SIGUSR1);
	sigaddset(ret, SIGUSR2);
}

void startup_begin(void)
{
	sigset_t kept;

	startup_signals(&kept);
	pthread_sigmask(SIG_BLOCK, &kept, NULL);
	signal(SIGPIPE, SIG_IGN);
	fill_descriptors();
}

void startup_done(void)
{
	sigset_t kept;

	startup_signals(&kept);
	pthread_sigmask(SIG_UNBLOCK, &kept, NULL);
}
