/*
 * http_server.c - libmicrohttpd on libuv. The only file that knows microhttpd.h.
 *
 * MHD runs in external epoll mode: we poll its epoll descriptor and call MHD_run(). What its
 * documentation doesn't tell, and what this file is about:
 *
 *  - There is no wake-up pipe in this mode: MHD must run after MHD_resume_connection() and before
 *    the loop blocks. So every resume asks for that: see server_shards.h.
 *  - A suspended connection doesn't notice that its client hung up, and reports "completed OK"
 *    later. So each connection's descriptor is watched for EPOLLRDHUP from accept to close by a
 *    poll of our own: one registration a connection, stopped at the first event.
 *  - MHD's own timeouts scan connections on every run. We give it none: see connections.h. But a
 *    dead one without a timeout it finds only behind older dead ones: an idle client would keep it.
 *  - A response can be queued only before the body or after all of it. One that comes between is
 *    written by early_response.c, past MHD; MHD goes on to read and we throw away what it reads.
 *  - A reader that returns 0 without suspending is called again at once, for ever.
 *  - A cut of a connection that MHD isn't about to look at takes a shutdown() of its socket.
 *  - Before 1.0, MHD drops what follows a NUL, unfolds folded lines, takes a bare LF for a line's end
 *    and skips spaces, without telling: see head_has_gaps(). It does the latter within chunked bodies,
 *    too, where nobody can see it; so there the connection ends behind such a request, and
 *    whoever hid a second one in it has hidden it from us as well.
 */
#include "http/http_server.h"

#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/early_response.h"
#include "http/server_shards.h"
#include "net/peer.h"
#include "net/watch.h"

enum {
	MEMORY_PER_HEADER = 72, /* what MHD notes of each, and a little more */
	READ_INCREMENT = 8 * 1024,
	BLOCK_SIZE = 16 * 1024, /* of a streamed response with a known length */
};

/* Levels of strictness came with 1.0, and so did the flag that says that we have no threads. */
#if MHD_VERSION >= 0x01000000
#define STRICTEST  MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1
#define NO_THREADS MHD_USE_NO_THREAD_SAFETY
#else
#define STRICTEST  MHD_OPTION_STRICT_FOR_CLIENT, 1
#define NO_THREADS 0
#endif

struct http_server {
	struct loop *loop;
	struct http_server_options options;
	struct server_shards *shards; /* MHD's daemons */
	struct connections *connections;
	int64_t early_responses;
	bool opened; /* connection_opened() was called for the latest accepted one */
	bool is_lax; /* MHD reads more than it should, and tells nobody */
};

enum request_state {
	R_NONE,      /* between requests */
	R_RECEIVING, /* begin() was called */
	R_RECEIVED,  /* received() was called */
	R_SENDING,   /* the response is MHD's now */
};

/* MHD serves one request of a connection at a time, so the request lives in its connection. */
struct http_request {
	struct http_server *server;
	struct server_shard *shard;
	struct MHD_Connection *mhd;
	struct watch *watch;    /* for a hang-up; NULL after one */
	struct idle_entry idle; /* on a list while R_NONE; has the descriptor */
	bool hung_up;
	char client[PEER_ADDRESS_MAX];

	/* of the request under way */
	enum request_state state;
	bool began; /* begin() has returned */
	bool parked, cut, refused;
	void *x; /* what begin() returned */
	char *raw_target, *path;
	const char *target_at; /* where it stood in MHD's memory */
	struct request_head head;
	struct header *fields;
	struct MHD_Response *response; /* given by respond(), not yet queued */
	unsigned status;
	bool ends_by_close;           /* the response does: a cut must not look like its end */
	struct early_response *early; /* given while the body was still coming */
};

/* --- running MHD ------------------------------------------------------------------------------ */

static bool run_mhd(void *daemon)
{
	MHD_UNSIGNED_LONG_LONG timeout;

	MHD_run(daemon);
	return MHD_get_timeout(daemon, &timeout) == MHD_YES && !timeout;
}

/* MHD_suspend_connection() may only be called from MHD's own callbacks, so this, too. */
static void park(struct http_request *r)
{
	must(!r->parked);
	r->parked = true;
	MHD_suspend_connection(r->mhd);
}

void http_request_wake(struct http_request *r)
{
	early_response_wake(r->early);
	if (!r->parked)
		return;
	r->parked = false;
	MHD_resume_connection(r->mhd);
	server_shard_run(r->shard);
}

void http_request_cut(struct http_request *r)
{
	r->cut = true;
	shutdown(r->idle.fd, SHUT_RDWR);
	http_request_wake(r);
}

/* --- connections ------------------------------------------------------------------------------ */

static void become_idle(struct http_request *r, bool is_new)
{
	r->state = R_NONE;
	connections_add_idle(r->server->connections, &r->idle, is_new);
}

/* Its connection is over, or soon is: MHD closes it as it runs, among those with a timeout. */
static void bury(struct http_request *r)
{
	MHD_set_connection_option(r->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 60u);
	server_shard_run(r->shard);
}

/* A hang-up; or the client has read something of an early response. */
static void on_watched(void *arg, int error, int events)
{
	struct http_request *r = arg;

	if (!error && events == UV_WRITABLE) {
		watch_for(r->watch, UV_DISCONNECT);
		http_request_wake(r);
		return;
	}
	watch_clear(&r->watch); /* level-triggered: it would fire for ever */
	r->hung_up = true;
	if (r->state != R_NONE)
		r->server->options.service->gone(r->x);
	else
		bury(r);
}

static struct http_request *connection_opened(struct server_shard *of, struct MHD_Connection *mhd)
{
	struct http_server *s = server_shard_context(of);
	struct http_request *r = xcalloc(1, sizeof *r);

	s->opened = true;
	r->server = s;
	r->shard = of;
	r->mhd = mhd;
	r->idle.fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	peer_address(MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr,
		     r->client);
	r->watch = watch_new(s->loop, r->idle.fd, on_watched, r);
	watch_for(r->watch, UV_DISCONNECT);
	become_idle(r, true);
	return r;
}

static void request_clear(struct http_request *r)
{
	free(steal(&r->raw_target));
	free(steal(&r->path));
	free(steal(&r->fields));
	if (r->response)
		MHD_destroy_response(steal(&r->response));
	early_response_free(steal(&r->early));
	r->head = (struct request_head){ 0 };
	r->x = NULL;
	r->began = r->parked = r->cut = r->refused = false;
}

static void connection_closed(struct http_request *r)
{
	must(r->state == R_NONE);
	watch_clear(&r->watch);
	idle_entry_remove(&r->idle);
	request_clear(r);
	server_shard_left(r->shard);
	connections_closing(r->server->connections, r->idle.fd, r->client);
	free(r);
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = connection_opened(cls, mhd);
	} else {
		connection_closed(*context);
		*context = NULL;
	}
}

/* --- requests --------------------------------------------------------------------------------- */

/* Sees the target before MHD decodes it; what it returns is the context of the request. */
static void *on_target(void *cls, const char *target, struct MHD_Connection *mhd)
{
	struct http_request *r =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;

	(void)cls;
	request_clear(r);
	r->target_at = target;
	r->raw_target = xstrdup(target);
	r->path = target_path(target);
	return r;
}

static enum MHD_Result add_field(void *cls, enum MHD_ValueKind kind, const char *name,
				 size_t name_len, const char *value, size_t value_len)
{
	struct http_request *r = cls;

	(void)kind;
	r->fields[r->head.fields.count++] =
		(struct header){ { name, name_len }, { value ? value : "", value_len } };
	return MHD_YES;
}

static void read_head(struct http_request *r, const char *method, const char *version)
{
	int n = MHD_get_connection_values_n(r->mhd, MHD_HEADER_KIND, NULL, NULL);

	r->fields = xcalloc((size_t)n, sizeof *r->fields);
	r->head = (struct request_head){
		.method = span_of(method),
		.target = span_of(r->raw_target),
		.path = span_of(r->path),
		.version = span_of(version),
		.fields = { r->fields, 0 },
		.bytes = MHD_get_connection_info(r->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)
				 ->header_size,
	};
	MHD_get_connection_values_n(r->mhd, MHD_HEADER_KIND, add_field, r);
	r->head.altered = r->server->is_lax && head_has_gaps(&r->head, r->target_at);
}

static void begin_request(struct http_request *r, const char *method, const char *version)
{
	read_head(r, method, version);
	idle_entry_remove(&r->idle);
	r->state = R_RECEIVING;
	r->x = r->server->options.service->begin(r->server->options.ctx, r);
	r->began = true;
	if (r->hung_up) /* seen before MHD had read the request */
		r->server->options.service->gone(r->x);
}

static enum MHD_Result queue_response(struct http_request *r)
{
	struct MHD_Response *response = steal(&r->response);
	enum MHD_Result ok;

	r->state = R_SENDING;
	if (connections_are_ending(r->server->connections) ||
	    (r->server->is_lax && head_is_chunked(&r->head)))
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	ok = MHD_queue_response(r->mhd, r->status, response);
	MHD_destroy_response(response); /* MHD has its own reference now */
	return ok;
}

/*
 * MHD's handler: first without data (headers), then with data (body), then without data again
 * (everything is in), and that once more after each resume until a response is queued.
 */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *len, void **context)
{
	struct http_request *r = *context;

	(void)cls, (void)mhd, (void)url;
	if (r->cut)
		return MHD_NO;
	if (r->state == R_NONE) {
		begin_request(r, method, version);
		return r->response && (r->refused || head_expects_continue(&r->head))
			       ? queue_response(r)
			       : MHD_YES;
	}
	if (*len) {
		*len -= r->server->options.service->body(r->x, data, *len);
		if (*len)
			park(r);
		return MHD_YES;
	}
	if (r->state == R_RECEIVING) {
		r->state = R_RECEIVED;
		r->server->options.service->received(r->x);
	}
	if (r->response)
		return queue_response(r);
	if (early_response_done(r->early))
		return MHD_NO; /* closes */
	park(r);
	return MHD_YES;
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **context,
			 enum MHD_RequestTerminationCode code)
{
	struct http_request *r = *context;
	bool sent;

	(void)cls, (void)mhd;
	*context = NULL;
	if (!r || r->state == R_NONE)
		return;
	sent = early_response_done(r->early) ||
	       (r->state == R_SENDING && !r->cut && code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
	r->server->options.service->done(r->x, sent);
	request_clear(r);
	become_idle(r, false);
	if (!sent || r->ends_by_close || r->hung_up)
		bury(r);
}

/* --- responses -------------------------------------------------------------------------------- */

static ssize_t on_read(void *cls, uint64_t at, char *to, size_t max)
{
	struct http_request *r = cls;
	ssize_t n = r->cut ? HTTP_READ_CUT : r->server->options.service->read(r->x, to, max);

	(void)at;
	if (n > 0)
		return n;
	if (n == HTTP_READ_END)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (n == HTTP_READ_CUT) {
		if (r->ends_by_close)
			connections_reset(r->server->connections, r->idle.fd);
		return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	park(r);
	return 0;
}

static void add_response_field(struct MHD_Response *response, const struct header *f)
{
	CLEANUP(freep) char *name = xstrndup(f->name.ptr, f->name.len);
	/* MHD takes no empty value; white space around a value doesn't belong to it. */
	CLEANUP(freep)
	char *value = f->value.len ? xstrndup(f->value.ptr, f->value.len) : xstrdup(" ");

	if (MHD_add_response_header(response, name, value) != MHD_YES)
		log_debug("a response field was left out", LOG_STR("name", name));
}

static void on_early(void *arg, enum early_response_state state)
{
	struct http_request *r = arg;

	if (state == EARLY_RESPONSE_DONE) {
		shutdown(r->idle.fd, SHUT_WR);
		http_request_wake(r);
	} else if (state == EARLY_RESPONSE_BLOCKED && r->watch) {
		watch_for(r->watch, UV_DISCONNECT | UV_WRITABLE);
	} else if (state == EARLY_RESPONSE_CUT) {
		connections_reset(r->server->connections, r->idle.fd);
		http_request_cut(r);
	}
}

static struct MHD_Response *make_response(struct http_request *r, const struct http_response *from)
{
	uint64_t length = from->length < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)from->length;
	/* A chunked response is read into the connection's own memory: the block isn't used. */
	size_t block = from->length < 0 ? 1 : (size_t)MAX(1, MIN(from->length, BLOCK_SIZE));
	struct MHD_Response *made;

	if (from->streamed)
		made = MHD_create_response_from_callback(length, block, on_read, r, NULL);
	else
		made = MHD_create_response_from_buffer(from->body.len, (void *)from->body.ptr,
						       MHD_RESPMEM_MUST_COPY);
	must(made);
	/* Without a body, "chunked" would be our invention; MHD leaves it out only if it closes. */
	if (from->streamed && from->length < 0 && (head_is_head(&r->head) || from->status == 304))
		MHD_set_response_options(made, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
	return made;
}

void http_request_respond(struct http_request *r, const struct http_response *response)
{
	must(!r->response && !r->early && r->state != R_SENDING);
	r->refused = response->refuses;
	if (r->state == R_RECEIVING && head_has_body(&r->head) && !r->refused &&
	    !(!r->began && head_expects_continue(&r->head))) {
		r->server->early_responses++;
		r->early = early_response_new(
			r->server->loop,
			&(struct early_response_client){
				.fd = r->idle.fd,
				.is_1_0 = head_is_1_0(&r->head),
				.is_head = head_is_head(&r->head),
				.reason = MHD_get_reason_phrase_for((unsigned)response->status),
				.read = r->server->options.service->read,
				.x = r->x,
				.changed = on_early,
				.owner = r,
			},
			response);
		return;
	}
	r->response = make_response(r, response);
	r->ends_by_close = response->streamed && response->length < 0 && head_is_1_0(&r->head);
	r->status = (unsigned)response->status;
	for (size_t i = 0; i < response->count; i++)
		add_response_field(r->response, &response->fields[i]);
	http_request_wake(r);
}

const struct request_head *http_request_head(const struct http_request *r)
{
	return &r->head;
}

const char *http_request_client(const struct http_request *r)
{
	return r->client;
}

/* --- the listener ----------------------------------------------------------------------------- */

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

static void *start_daemon(void *ctx, struct server_shard *shard, int *ret_fd)
{
	struct http_server *s = ctx;
	const struct http_server_options *o = &s->options;
	struct MHD_Daemon *daemon;
	size_t memory = (size_t)(o->max_header_bytes + o->max_headers * MEMORY_PER_HEADER) +
			HTTP_RESPONSE_HEAD_MAX;

	daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
			MHD_USE_SUPPRESS_DATE_NO_CLOCK | MHD_USE_NO_LISTEN_SOCKET | NO_THREADS,
		0, NULL, NULL, on_request, s,                   /**/
		MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, NULL,   /* first */
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)INT_MAX, /* acceptor.c has it */
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, memory,     /**/
		MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t)READ_INCREMENT, /**/
		MHD_OPTION_CONNECTION_TIMEOUT, 0u, STRICTEST,                   /**/
		MHD_OPTION_URI_LOG_CALLBACK, on_target, s,                      /**/
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, shard,             /**/
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_END);
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

	must(shard); /* on_prepare() */
	s->opened = false;
	server_shard_joined(shard); /* MHD may fail after it has opened: then it has left by now */
	if (MHD_add_connection(shard->daemon, fd, from, len) != MHD_YES && !s->opened) {
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
		.make_room = options->service->make_room,
		.arg = options->ctx,
	};
	int r;

	s->loop = loop;
	s->options = *options;
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
