/*
 * reset.h - the end of a connection that mustn't look like the end of what was sent on it.
 */
#pragma once

/*
 * The peer sees a reset, whatever it has read so far. Over a Unix socket, which has none, and where
 * the kernel refuses, the connection is shut down both ways. The descriptor stays open.
 */
void socket_reset(int fd);
