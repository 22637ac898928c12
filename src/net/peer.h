/*
 * peer.h - the other end of a connection: its address, and how it hears of an abort.
 */
#pragma once

#include <sys/socket.h>

enum { PEER_ADDRESS_MAX = 46 }; /* an IPv6 address with its NUL */

/* The address as text, without the port; "" for a Unix socket, and for NULL. */
void peer_address(const struct sockaddr *peer, char ret[PEER_ADDRESS_MAX]);

/*
 * Aborts the connection, so that what was sent can't be taken for all: the peer sees a reset. Over
 * a Unix socket, which has none, it is shut down both ways. The descriptor stays open.
 */
void peer_reset(int fd);
