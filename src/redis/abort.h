/*
 * abort.h - giving up a connection to Redis that still has things under way.
 */
#pragma once

#include <hiredis/hiredis.h>
#include <sys/socket.h>

/*
 * To be closed with what the server hasn't got by now unsent, as TCP's ABORT (RFC 9293, 3.10.5):
 * else the kernel goes on to send it for minutes, and an enter that is heard behind its own
 * give-back, which went over the next connection, would make a place that nobody knows of. What the
 * server has got but not read it may still read, but before anything that comes later.
 */
static inline void redis_abort(const redisContext *c)
{
	struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once,
		   sizeof at_once); /* a Unix socket takes no notice */
}
