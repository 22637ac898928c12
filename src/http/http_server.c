/*
 * http_server.c - the listener: libmicrohttpd's daemons on libuv. What happens on its connections
 * is in http_request.c.
 *
 * MHD runs in external epoll mode: we poll its epoll descriptor and call MHD_run(). What its
 * documentation doesn't tell about that:
 *
 *  - There is no wake-up pipe in this mode: MHD must run after MHD_resume_connection() and before
 *    the loop blocks. So every resume asks for that: see server_shards.h.
 *  - MHD's own timeouts scan connections on every run. We give it none: see connections.h.
 *  - Before 1.0, MHD reads more than RFC 9112 allows: see http_request.c.
 *  - A connection's memory is one pool of a fixed size, for the request's head and the response's.
 *    MHD clears it behind each request, half of it within one, and maps and unmaps it for each
 *    connection above POOL_OF_HEAP. So there is no room for both at their largest: a response whose
 *    head doesn't fit is written past MHD, as an early one is.
 */
#include "http/http_server.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/http_private.h"

enum {
	POOL_OF_HEAP = 32 * 1024,
	POOL_FOR_RESPONSE = 2 * 1024, /* at least, behind the largest request: our own fit */
	READ_INCREMENT = 8 * 1024,
};

/* Levels of strictness came with 1.0, and so did the flag that says that we have no threads. */
#if MHD_VERSION >= 0x01000000
#define STRICTEST  MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1
#define NO_THREADS MHD_USE_NO_THREAD_SAFETY
#else
#define STRICTEST  MHD_OPTION_STRICT_FOR_CLIENT, 1
#define NO_THREADS 0
#endif

static void on_mhd_log(void *cls, const char *format, va_list args)
{
	char line[256];

	(void)cls;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	vsnprintf(line, sizeof line, format, args);
#pragma GCC diagnostic pop
	log_debug("libmicrohttpd", LOG_SPAN("said", span_trim(span_of(line))));
}

static bool run_mhd(void *daemon)
{
	MHD_UNSIGNED_LONG_LONG timeout;

	MHD_run(daemon);
	return MHD_get_timeout(daemon, &timeout) == MHD_YES && !timeout;
}

/* At most of the heap; more only if a request could be larger. */
static size_t pool_bytes(const struct http_server_options *o)
{
	size_t request = (size_t)(o->max_header_bytes + o->max_headers * HTTP_FIELD_BYTES);
	size_t both = request + (size_t)o->max_response_head_bytes;

	return MIN(both, MAX(request + POOL_FOR_RESPONSE, (size_t)POOL_OF_HEAP));
}

static void *start_daemon(void *ctx, struct server_shard *shard, int *ret_fd)
{
	struct http_server *s = ctx;
	struct MHD_Daemon *daemon;

	daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
			MHD_USE_SUPPRESS_DATE_NO_CLOCK | MHD_USE_NO_LISTEN_SOCKET | NO_THREADS,
		0, NULL, NULL, http_on_request, s,                 /**/
		MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, NULL,      /* first */
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)INT_MAX,    /* acceptor.c has it */
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, s->pool_bytes, /**/
		MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t)READ_INCREMENT, /**/
		MHD_OPTION_CONNECTION_TIMEOUT, 0u, STRICTEST,                   /**/
		MHD_OPTION_URI_LOG_CALLBACK, http_on_target, s,                 /**/
		MHD_OPTION_NOTIFY_CONNECTION, http_on_connection, shard,        /**/
		MHD_OPTION_NOTIFY_COMPLETED, http_on_completed, s, MHD_OPTION_END);
	if (daemon)
		*ret_fd = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	return daemon;
}

static void stop_daemon(void *daemon)
{
	MHD_stop_daemon(daemon);
}

static const struct server_shard_service daemons = {
	.open = start_daemon,
	.run = run_mhd,
	.close = stop_daemon,
};

static int on_prepare(void *arg)
{
	struct http_server *s = arg;

	errno = 0;
	return server_shards_choose(s->shards) ? 0 : errno ? -errno : -ENOMEM;
}

static bool on_accepted(void *arg, int fd, const struct sockaddr *from, socklen_t len)
{
	struct http_server *s = arg;
	struct server_shard *shard = server_shards_choose(s->shards);
	int64_t opened = s->connections_opened;

	must(shard);                /* on_prepare() */
	server_shard_joined(shard); /* MHD may fail after it has opened: then it has left by now */
	if (MHD_add_connection(shard->daemon, fd, from, len) != MHD_YES &&
	    s->connections_opened == opened) {
		server_shard_left(shard);
		return false;
	}
	server_shard_run(shard);
	return true;
}

static void http_server_freep(struct http_server **s)
{
	http_server_free(*s);
}

int http_server_new(struct loop *loop, const struct http_server_options *options,
		    struct buf *errors, struct http_server **ret)
{
	CLEANUP(http_server_freep) struct http_server *s = xcalloc(1, sizeof *s);
	struct connections_options connections = {
		.acceptor = {
			.name = options->name,
			.address = options->address,
			.takeover = options->takeover,
			.max_connections = options->max_connections,
			.max_per_address = options->max_per_address,
			.refusal = options->refusal,
			.prepare = on_prepare,
			.accepted = on_accepted,
			.arg = s,
		},
		.header_timeout_ms = options->header_timeout_ms,
		.idle_timeout_ms = options->idle_timeout_ms,
		.stall_timeout_ms = options->stall_timeout_ms,
		.identity = options->identity,
		.closed = options->service->closed,
		.make_room_after_ms = options->make_room_after_ms,
		.make_room = options->service->make_room,
		.arg = options->ctx,
	};
	int r;

	s->loop = loop;
	s->options = *options;
	s->pool_bytes = pool_bytes(options);
	s->is_lax = !strncmp(MHD_get_version(), "0.", 2);
	r = connections_open(loop, &connections, errors, &s->connections);
	if (r)
		return r;
	s->shards = server_shards_new(loop, &daemons, s);
	if (!s->shards) {
		buf_printf(errors, "%s: can't start the HTTP server; see ulimit -n\n",
			   options->name);
		return -EIO;
	}
	*ret = steal(&s);
	return 0;
}

struct connections *http_server_connections(const struct http_server *s)
{
	return s->connections;
}

void http_server_stats(const struct http_server *s, struct http_server_stats *ret)
{
	connections_stats(s->connections, &ret->connections);
	ret->early_responses = s->early_responses;
}

void http_server_quiesce(struct http_server *s, enum connections_end how)
{
	connections_quiesce(s->connections, how);
	server_shards_run(s->shards);
}

void http_server_cut_idle(struct http_server *s)
{
	connections_cut_idle(s->connections);
	server_shards_run(s->shards);
}

void http_server_free(struct http_server *s)
{
	if (!s)
		return;
	server_shards_free(s->shards);
	connections_free(s->connections);
	free(s);
}
