/*
 * upstream.h - requests to the relay, and its responses.
 *
 * A *transfer* is one request and its response. Its callbacks come from within curl: they take or
 * give bytes, or ask for a job; everything else about a transfer is read from it later, in a job.
 * Connections are kept and reused. One that the relay closed meanwhile is replaced by a new one
 * without anybody noticing: curl sends a request again when a reused connection ends before the
 * first byte of a response, within a second: later the relay may have been at work on it, and
 * nothing is asked for twice. A body that couldn't be sent twice goes on a new connection at once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/header.h"
#include "base/loop.h"
#include "config/config.h"

struct upstream;
struct transfer;

enum upstream_error {
	UPSTREAM_OK,
	UPSTREAM_UNREACHABLE, /* nothing was sent: no address, refused, timeout, TLS, a proxy */
	UPSTREAM_DENIED,      /* nothing was sent, nor will be: a certificate, or a proxy's 4xx */
	UPSTREAM_BROKEN,      /* closed, reset, no HTTP, ended early */
};

enum transfer_state {
	TRANSFER_SENDING,   /* no response yet */
	TRANSFER_ANSWERING, /* status and fields are there */
	TRANSFER_ENDED,     /* see transfer_error(); the status is there if it got so far */
};

/* What a transfer asks its owner for; each gets the owner's `x`. */
struct transfer_events {
	/* The state is another one. */
	void (*changed)(void *x);

	/* Bytes of the response's body: all or nothing. False: no room; see transfer_resume(). */
	bool (*give)(void *x, const char *data, size_t len);

	/*
	 * Up to `max` bytes of a streamed body; 0 is its end, -EAGAIN: see
	 * transfer_resume(); another error: it will never be complete, so the transfer is cut.
	 */
	ssize_t (*take)(void *x, char *to, size_t max);
};

/* Only `whole` must outlive the call; the rest is copied. */
struct upstream_request {
	struct span method, target;
	const struct header *fields; /* to be sent as they are; without framing */
	size_t count;
	enum { UPSTREAM_BODY_NONE, UPSTREAM_BODY_WHOLE, UPSTREAM_BODY_STREAM } body;
	struct span whole; /* must stay until transfer_forget_body(), or the transfer is freed */
	int64_t length;    /* of a streamed body; -1: not known, sent chunked */
};

/* How many bytes give() must be able to take when it has none. */
enum { UPSTREAM_GIVE_MAX = 16 * 1024 };

/*
 * `config` is read at each start (reload) and outlives the upstream. Doesn't connect yet. `back` is
 * called from the loop when the upstream can be reached again, see upstream_down_since_ms().
 */
struct upstream *upstream_new(struct loop *loop, const struct config *config,
			      void (*back)(void *arg), void *arg) MUST_USE;

/* There must be no transfer left. Takes NULL. */
void upstream_free(struct upstream *u);

/*
 * Since when (clock_ms()) no connection could be made; 0: one can, as far as is known. While it is
 * down it is tried by itself: reach.h.
 */
int64_t upstream_down_since_ms(const struct upstream *u);

/* Requests, since start, that were sent again: the relay had closed the kept connection. */
int64_t upstream_resent(const struct upstream *u);

/*
 * Starts a transfer; no callback comes before it has returned. Owned by the caller, until
 * transfer_free(), after which nothing is heard. Never fails: what goes wrong is its end.
 */
struct transfer *transfer_new(struct upstream *u, const struct upstream_request *request,
			      const struct transfer_events *events, void *x) MUST_USE;

/* Ends it in any state: one that isn't over is cut. Takes NULL. Not from within a callback. */
void transfer_free(struct transfer **t);

/* There is room again, or there are bytes again: goes on in a job of its own. Takes NULL. */
void transfer_resume(struct transfer *t);

enum transfer_state transfer_state(const struct transfer *t);
enum upstream_error transfer_error(const struct transfer *t);

/* Whether the upstream may have seen anything of it. */
bool transfer_was_sent(const struct transfer *t);

/*
 * Whether nothing will read the request's `whole` body any more: the connection has all of it, and
 * the head of the response is there, behind which a request isn't sent again. What curl sent it
 * from is freed then. Not from within a callback.
 */
bool transfer_forget_body(struct transfer *t);

/* What went wrong, for the log: curl's words, "" if nothing did. Never has request data in it. */
const char *transfer_error_text(const struct transfer *t);

/* From TRANSFER_ANSWERING on; 0 and no fields before. The memory is the transfer's. */
int transfer_status(const struct transfer *t);
const struct headers *transfer_fields(const struct transfer *t);
