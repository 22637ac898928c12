#include "http/received.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"

struct reader {
	received_fn fn; /* NULL: nobody watches it */
	void *arg;
};

/* By descriptor. Of one thread, as other threads read from theirs. */
static _Thread_local struct {
	struct reader *readers;
	size_t size, count;
} watched;

static void make_room(size_t fd)
{
	size_t size = MAX(watched.size, 64);

	while (size <= fd)
		size *= 2;
	if (size == watched.size)
		return;
	watched.readers = xrealloc(watched.readers, size * sizeof *watched.readers);
	memset(watched.readers + watched.size, 0, (size - watched.size) * sizeof *watched.readers);
	watched.size = size;
}

void received_watch(int fd, received_fn fn, void *arg)
{
	make_room((size_t)fd);
	watched.count += !watched.readers[fd].fn;
	watched.readers[fd] = (struct reader){ fn, arg };
}

void received_forget(int fd)
{
	if ((size_t)fd >= watched.size || !watched.readers[fd].fn)
		return;
	watched.readers[fd] = (struct reader){ 0 };
	if (!--watched.count) {
		free(steal(&watched.readers));
		watched.size = 0;
	}
}

/* By another name here, as a C library that checks sizes (_FORTIFY_SOURCE) has a recv() inline. */
ssize_t received_recv(int fd, void *to, size_t max, int flags) __asm__("recv");

ssize_t received_recv(int fd, void *to, size_t max, int flags)
{
	ssize_t n = recvfrom(fd, to, max, flags, NULL, NULL);

	if (n > 0 && !(flags & MSG_PEEK) && (size_t)fd < watched.size && watched.readers[fd].fn)
		watched.readers[fd].fn(watched.readers[fd].arg, to, (size_t)n);
	return n;
}
