#include "net/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>

void peer_address(const struct sockaddr *peer, char ret[PEER_ADDRESS_MAX])
{
	ret[0] = '\0';
	if (peer && peer->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)peer)->sin_addr, ret,
			  PEER_ADDRESS_MAX);
	else if (peer && peer->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)peer)->sin6_addr, ret,
			  PEER_ADDRESS_MAX);
}

/* connect(2): AF_UNSPEC dissolves the association; TCP tells the peer so by a reset. */
void peer_reset(int fd)
{
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };

	if (connect(fd, &nobody, sizeof nobody))
		shutdown(fd, SHUT_RDWR);
}
