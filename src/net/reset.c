#include "net/reset.h"

#include <sys/socket.h>

/* connect(2): AF_UNSPEC dissolves the association; TCP tells the peer so by a reset. */
void socket_reset(int fd)
{
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };

	if (connect(fd, &nobody, sizeof nobody))
		shutdown(fd, SHUT_RDWR);
}
