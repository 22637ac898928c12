/*
 * reply.h - the response of an exchange goes out: the one writer of x->told and x->status. Private
 * to proxy/.
 */
#pragma once

#include "proxy/exchange.h"

/*
 * The exchange waits for its turn: where queue.heartbeat_after_ms and the request allow it, it hears
 * pings after a while.
 */
void reply_expect(struct exchange *x);

/*
 * The upstream's status and fields are there: the client hears them. The body is taken from
 * x->download as it comes. Behind pings, when there are no fields to be heard any more, an error's
 * body is kept until reply_end(). 0, or -EBADMSG: behind pings, there is nothing that this could
 * be told as.
 */
int reply_with_response(struct exchange *x) MUST_USE;

/* Bytes of the upstream's body; all or nothing. False: no room; transfer_resume() follows. */
bool reply_give(struct exchange *x, const char *data, size_t len);

/*
 * What came of the upstream's response is nobody's, and it will be asked again. From TOLD_NOTHING or
 * TOLD_PINGS; pings go on.
 */
void reply_forget(struct exchange *x);

/* The upstream's response is complete. From TOLD_HEAD, or TOLD_PINGS where it is an error. */
void reply_end(struct exchange *x);

/*
 * The exchange has ended, by x->outcome: a client that was told nothing, or pings, hears the error
 * that this stands for; one that is in the middle of a response gets what is there of it and is cut.
 * Nothing if the response has gone out.
 */
void reply_finish(struct exchange *x);

/* Its client has left, and the exchange goes on without it: what still comes is thrown away. */
void reply_abandon(struct exchange *x);

/* Cuts the client's connection at once, so that what it has can't be taken for all. */
void reply_cut(struct exchange *x);

/* The body, for the listener: as read() of http_server.h. `x` is the exchange. */
ssize_t reply_read(void *x, char *to, size_t max);
