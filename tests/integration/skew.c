/*
 * skew.c - preloaded into a redis-server, sets its clock forward and back while it runs.
 *
 * The file named by SKEW_FILE holds by how many seconds, as text. Redis reads the time of day with
 * gettimeofday() (ustime() in its util.c); its timers have the monotonic clock and aren't touched.
 * libfaketime would do, but it doesn't get along with jemalloc, which Debian's redis-server has.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	const char *path = getenv("SKEW_FILE");
	char text[32] = "";
	struct timespec now;
	int fd;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd >= 0) {
		if (read(fd, text, sizeof text - 1) < 0)
			text[0] = '\0';
		close(fd);
	}
	tv->tv_sec = now.tv_sec + atoi(text);
	tv->tv_usec = now.tv_nsec / 1000;
	return 0;
}
