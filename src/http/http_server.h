/*
 * http_server.h - one HTTP/1.1 listener on the loop: libmicrohttpd behind an interface of our own.
 *
 * Whoever serves requests implements a struct http_service. Its functions are called from within
 * MHD, so they only record what happened and ask for a job (loop.h); http_request_*() may be
 * called from jobs and from within the service's functions.
 *
 *      begin ─> body* ─> received ─> [http_request_respond] ─> read* ─> done
 *         └──────────── gone: the client hung up while we had it parked ──┘
 *
 * A request is *parked* (suspended in MHD's terms) while nothing is to be done for it: its body
 * isn't taken any further, or its response has no bytes yet. A parked request costs nothing, and
 * its socket is watched for a hang-up. http_request_wake() ends that.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/header.h"
#include "base/loop.h"
#include "http/head.h"
#include "net/connections.h"

struct http_server;
struct http_request; /* from begin() until done() has returned */

enum { HTTP_READ_END = -1, HTTP_READ_CUT = -2 };

struct http_service {
	/* The headers are in. What it returns is the `x` of all further calls for this request. */
	void *(*begin)(void *ctx, struct http_request *r);

	/*
	 * Bytes of the body, also after a response was given. Returns how many it took; fewer than
	 * `len` park the request.
	 */
	size_t (*body)(void *x, const char *data, size_t len);

	/* The whole request is in. Without a response by now, the request is parked. */
	void (*received)(void *x);

	/*
	 * Up to `max` bytes of a streamed response to `to`; returns how many, 0 to be parked,
	 * HTTP_READ_END behind the last, HTTP_READ_CUT to cut the connection so that the client
	 * can't take the response for complete.
	 */
	ssize_t (*read)(void *x, char *to, size_t max);

	/* The client hung up. done() follows after http_request_cut(). */
	void (*gone)(void *x);

	/* The last call. `sent`: the whole response went to the kernel. */
	void (*done)(void *x, bool sent);

	/* A connection is closed; connections_count() is one less. NULL: not interested. */
	void (*closed)(void *ctx);

	/*
	 * A client waits to be accepted, all connections are taken, and none is idle: may cut one;
	 * returns whether it did. NULL: it waits until one is closed, or is idle.
	 */
	bool (*make_room)(void *ctx);
};

struct http_server_options {
	const char *name;    /* of the option that the address is from */
	const char *address; /* "host:port", "[v6]:port", "unix:PATH"; port 0: any free one */
	struct takeover_client *takeover; /* outlives the server; NULL: none */
	int64_t max_connections;
	const int64_t *max_per_address;        /* 0: no limit */
	struct span refusal;                   /* of who is over it, see acceptor.h; outlives us */
	int64_t max_header_bytes, max_headers; /* room is made for them; the service refuses more */
	int64_t max_response_head_bytes;       /* with all that the service adds */

	/*
	 * When all connections are taken, the one that is idle for longest is closed in favour of a
	 * new one, if it is idle for so long; -1: none is.
	 */
	int64_t make_room_after_ms;

	/* From a connection's beginning to its first headers; from one request to the next's. */
	const int64_t *header_timeout_ms, *idle_timeout_ms;
	struct tls_identity *identity;   /* with TLS: the server's from now on; NULL: without */
	const int64_t *stall_timeout_ms; /* with TLS: see connections.h */
	const struct http_service *service;
	void *ctx;
};

/*
 * Listens. 0 and a server for http_server_free(), or -errno and in `errors` a line that says what
 * to do (port taken, no such address, …). Resolves a host name blocking: call it at start.
 */
int http_server_new(struct loop *loop, const struct http_server_options *options,
		    struct buf *errors, struct http_server **ret) MUST_USE;

/* Its connections and its socket; for asking, and for connections_use(). */
struct connections *http_server_connections(const struct http_server *s);

/* Takes no more connections, and closes each one after its response. See connections.h. */
void http_server_quiesce(struct http_server *s, enum connections_end how);

struct http_server_stats {
	struct connections_stats connections;
	int64_t early_responses; /* given before the request was in */
};
void http_server_stats(const struct http_server *s, struct http_server_stats *ret);

/* Cuts every connection that has no request under way. */
void http_server_cut_idle(struct http_server *s);

/* Stops and frees; there must be no request under way (done() was called for each). Takes NULL. */
void http_server_free(struct http_server *s);

/* What the client sent, from begin() on. The memory is the request's. */
const struct request_head *http_request_head(const struct http_request *r);

static inline struct span http_request_method(const struct http_request *r)
{
	return http_request_head(r)->method;
}

static inline struct span http_request_target(const struct http_request *r)
{
	return http_request_head(r)->path;
}

static inline const struct headers *http_request_headers(const struct http_request *r)
{
	return &http_request_head(r)->fields;
}

/* The client's address without its port, "" for a Unix socket. Lives as long as the request. */
const char *http_request_client(const struct http_request *r);

/*
 * Answers: status, fields (without framing: Content-Length, Transfer-Encoding and Connection are
 * the server's), and a body: `body` (copied), or where `streamed`, what read() gives:
 * `length` bytes, or -1 if not known before. Once per request.
 *
 * The client needn't have sent all of its body: it hears the response at once, and what it still
 * sends is read and thrown away; then the connection is closed. With `refuses`, to be
 * used within begin() only, nothing more is read.
 *
 * Behind a response with a large head (several KB) the connection is closed as well.
 */
struct http_response {
	int status;
	const struct header *fields;
	size_t count;
	struct span body;
	bool streamed;
	int64_t length;
	bool refuses;
};
void http_request_respond(struct http_request *r, const struct http_response *response);

/* Goes on with a parked request; nothing if it isn't parked. */
void http_request_wake(struct http_request *r);

/*
 * Closes the connection at once, whatever was sent, and so that it can't be taken for all; done(x,
 * false) follows. A response that is given between the two goes nowhere.
 */
void http_request_cut(struct http_request *r);
