/*
 * http_server.c - libmicrohttpd on libuv. The only file that knows microhttpd.h.
 *
 * MHD runs in external epoll mode: we poll its epoll descriptor and call MHD_run(). What its
 * documentation doesn't tell, and what this file is about:
 *
 *  - There is no wake-up pipe in this mode: after MHD_resume_connection() MHD must run before the
 *    loop blocks. So every resume asks for the job that runs it (run_job).
 *  - A suspended connection doesn't notice that its client hung up, and reports "completed OK"
 *    later. So each connection's descriptor is watched for EPOLLRDHUP from accept to close by a
 *    poll of our own: one registration a connection, stopped at the first event.
 *  - MHD's own timeouts scan every connection whose timeout isn't the default on every run. We
 *    give it none; connections between requests are on one list here, oldest first, and
 *    share one timer.
 *  - A response can be queued only before the body or after all of it. An early one is kept until
 *    the body is in, but where the client waits for "100 Continue": it hears the answer instead
 *    and needn't send the body.
 *  - A reader that returns 0 without suspending is called again at once, for ever.
 *  - A cut of a connection that MHD isn't about to look at takes a shutdown() of its socket.
 */
#include "proxy/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "proxy/listener.h"

enum {
	MEMORY_PER_CONNECTION = 32 * 1024, /* the limit of a request's headers, too */
	READ_INCREMENT = 8 * 1024,
	BLOCK_SIZE = 16 * 1024, /* of a streamed response with a known length */
	RUNS_PER_JOB = 16,
	CLIENT_MAX = INET6_ADDRSTRLEN,
};

struct http_server {
	struct loop *loop;
	struct http_server_options options;
	struct MHD_Daemon *daemon;
	uv_poll_t *poll; /* MHD's epoll descriptor */
	struct job run_job;
	struct list idle; /* connections without a request, the longest idle first */
	struct timer *idle_timer;
	int64_t connections;
	int listen_fd;
	bool quiesced;
	char *address;
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
	struct MHD_Connection *mhd;
	uv_poll_t *watch;      /* for a hang-up; NULL after one */
	struct list idle_link; /* on server->idle while R_NONE */
	int64_t idle_since_ms;
	int fd;
	bool hung_up;
	char client[CLIENT_MAX];

	/* of the request under way */
	enum request_state state;
	bool parked, cut;
	void *x; /* what begin() returned */
	char *target;
	struct span method;
	struct headers headers;
	struct header *fields;
	struct MHD_Response *response; /* given by respond(), not yet queued */
	unsigned status;
};

static void close_poll(uv_handle_t *poll)
{
	free(poll);
}

static void poll_clear(uv_poll_t **poll)
{
	uv_poll_t *p = steal(poll);

	if (p)
		uv_close((uv_handle_t *)p, close_poll);
}

/* --- running MHD ------------------------------------------------------------------------------ */

static void run_mhd(struct job *job)
{
	struct http_server *s = container_of(job, struct http_server, run_job);
	MHD_UNSIGNED_LONG_LONG timeout;

	for (int i = 0; i < RUNS_PER_JOB; i++) {
		MHD_run(s->daemon);
		if (MHD_get_timeout(s->daemon, &timeout) != MHD_YES || timeout)
			return;
	}
	loop_defer(s->loop, &s->run_job);
}

static void on_mhd_ready(uv_poll_t *poll, int status, int events)
{
	struct http_server *s = poll->data;

	(void)status, (void)events;
	loop_defer(s->loop, &s->run_job);
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
	if (!r->parked)
		return;
	r->parked = false;
	MHD_resume_connection(r->mhd);
	loop_defer(r->server->loop, &r->server->run_job);
}

void http_request_cut(struct http_request *r)
{
	r->cut = true;
	shutdown(r->fd, SHUT_RDWR);
	http_request_wake(r);
}

/* --- connections ------------------------------------------------------------------------------ */

static void on_idle_timer(void *arg)
{
	struct http_server *s = arg;
	struct http_request *r;
	int64_t now = clock_ms(), limit = *s->options.idle_timeout_ms;

	while ((r = list_first(&s->idle, struct http_request, idle_link))) {
		if (r->idle_since_ms + limit > now) {
			timer_start(s->idle_timer, r->idle_since_ms + limit - now);
			return;
		}
		list_remove(&r->idle_link);
		shutdown(r->fd, SHUT_RDWR);
	}
}

static void become_idle(struct http_request *r)
{
	struct http_server *s = r->server;

	r->state = R_NONE;
	r->idle_since_ms = clock_ms();
	if (list_empty(&s->idle))
		timer_start(s->idle_timer, *s->options.idle_timeout_ms);
	list_append(&s->idle, &r->idle_link);
	if (s->quiesced)
		shutdown(r->fd, SHUT_RDWR);
}

static void on_hang_up(uv_poll_t *poll, int status, int events)
{
	struct http_request *r = poll->data;

	(void)status, (void)events;
	poll_clear(&r->watch); /* level-triggered: it would fire for ever */
	r->hung_up = true;
	if (r->state != R_NONE)
		r->server->options.service->gone(r->x);
}

static void name_client(struct http_request *r)
{
	const struct sockaddr *a =
		MHD_get_connection_info(r->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;

	if (a && a->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)a)->sin_addr, r->client,
			  sizeof r->client);
	else if (a && a->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)a)->sin6_addr, r->client,
			  sizeof r->client);
}

static struct http_request *connection_opened(struct http_server *s, struct MHD_Connection *mhd)
{
	struct http_request *r = xcalloc(1, sizeof *r);

	r->server = s;
	r->mhd = mhd;
	r->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	name_client(r);
	r->watch = xcalloc(1, sizeof *r->watch);
	r->watch->data = r;
	must(uv_poll_init(&s->loop->uv, r->watch, r->fd) == 0);
	must(uv_poll_start(r->watch, UV_DISCONNECT, on_hang_up) == 0);
	list_init(&r->idle_link);
	become_idle(r);
	s->connections++;
	return r;
}

static void request_clear(struct http_request *r)
{
	free(r->target);
	free(r->fields);
	if (r->response)
		MHD_destroy_response(r->response);
	r->target = NULL;
	r->fields = NULL;
	r->response = NULL;
	r->headers = (struct headers){ 0 };
	r->x = NULL;
	r->parked = r->cut = false;
}

static void connection_closed(struct http_request *r)
{
	must(r->state == R_NONE);
	poll_clear(&r->watch);
	list_remove(&r->idle_link);
	request_clear(r);
	r->server->connections--;
	if (r->server->options.service->closed)
		r->server->options.service->closed(r->server->options.ctx);
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
	r->target = xstrdup(target);
	return r;
}

static enum MHD_Result add_field(void *cls, enum MHD_ValueKind kind, const char *name,
				 size_t name_len, const char *value, size_t value_len)
{
	struct http_request *r = cls;

	(void)kind;
	r->fields[r->headers.count++] =
		(struct header){ { name, name_len }, { value ? value : "", value_len } };
	return MHD_YES;
}

static void begin_request(struct http_request *r, const char *method)
{
	int n = MHD_get_connection_values_n(r->mhd, MHD_HEADER_KIND, NULL, NULL);

	r->method = span_of(method);
	r->fields = xcalloc((size_t)n, sizeof *r->fields);
	r->headers = (struct headers){ r->fields, 0 };
	MHD_get_connection_values_n(r->mhd, MHD_HEADER_KIND, add_field, r);
	list_remove(&r->idle_link);
	r->state = R_RECEIVING;
	r->x = r->server->options.service->begin(r->server->options.ctx, r);
	if (r->hung_up) /* seen before MHD had read the request */
		r->server->options.service->gone(r->x);
}

static enum MHD_Result queue_response(struct http_request *r)
{
	struct MHD_Response *response = steal(&r->response);
	enum MHD_Result ok;

	r->state = R_SENDING;
	if (r->server->quiesced)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	ok = MHD_queue_response(r->mhd, r->status, response);
	MHD_destroy_response(response); /* MHD has its own reference now */
	return ok;
}

/* Whether the client holds its body back until it hears "100 Continue". */
static bool expects_continue(const struct http_request *r)
{
	return span_ieq(headers_get(&r->headers, SPAN("Expect")), SPAN("100-continue"));
}

static size_t take_body(struct http_request *r, const char *data, size_t len)
{
	size_t taken = r->server->options.service->body(r->x, data, len);

	if (taken < len)
		park(r);
	return taken;
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

	(void)cls, (void)mhd, (void)url, (void)version;
	if (r->cut)
		return MHD_NO;
	if (r->state == R_NONE) {
		begin_request(r, method);
		return r->response && expects_continue(r) ? queue_response(r) : MHD_YES;
	}
	if (*len) {
		*len -= take_body(r, data, *len);
		return MHD_YES;
	}
	if (r->state == R_RECEIVING) {
		r->state = R_RECEIVED;
		r->server->options.service->received(r->x);
	}
	if (r->response)
		return queue_response(r);
	park(r);
	return MHD_YES;
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **context,
			 enum MHD_RequestTerminationCode code)
{
	struct http_request *r = *context;
	struct http_server *s = cls;
	bool sent;

	(void)mhd;
	*context = NULL;
	if (!r || r->state == R_NONE)
		return;
	sent = r->state == R_SENDING && !r->cut && code == MHD_REQUEST_TERMINATED_COMPLETED_OK;
	s->options.service->done(r->x, sent);
	request_clear(r);
	become_idle(r);
}

/* --- responses -------------------------------------------------------------------------------- */

static ssize_t on_read(void *cls, uint64_t at, char *to, size_t max)
{
	struct http_request *r = cls;
	ssize_t n;

	(void)at;
	n = r->cut ? HTTP_READ_CUT : r->server->options.service->read(r->x, to, max);
	if (n > 0)
		return n;
	if (n == HTTP_READ_END)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (n == HTTP_READ_CUT)
		return MHD_CONTENT_READER_END_WITH_ERROR;
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

void http_request_respond(struct http_request *r, const struct http_response *response)
{
	uint64_t length = response->length < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)response->length;

	must(!r->response && r->state != R_SENDING);
	if (response->streamed)
		r->response =
			MHD_create_response_from_callback(length, BLOCK_SIZE, on_read, r, NULL);
	else
		r->response = MHD_create_response_from_buffer(
			response->body.len, (void *)response->body.ptr, MHD_RESPMEM_MUST_COPY);
	must(r->response);
	r->status = (unsigned)response->status;
	for (size_t i = 0; i < response->count; i++)
		add_response_field(r->response, &response->fields[i]);
	http_request_wake(r);
}

struct span http_request_method(const struct http_request *r)
{
	return r->method;
}

struct span http_request_target(const struct http_request *r)
{
	return span_of(r->target);
}

const struct headers *http_request_headers(const struct http_request *r)
{
	return &r->headers;
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
	if (!log_enabled(LOG_DEBUG))
		return;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	vsnprintf(line, sizeof line, format, args);
#pragma GCC diagnostic pop
	log_debug("libmicrohttpd", LOG_SPAN("said", span_trim(span_of(line))));
}

static int start_daemon(struct http_server *s)
{
	s->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
			MHD_USE_SUPPRESS_DATE_NO_CLOCK,
		0, NULL, NULL, on_request, s,                                      /**/
		MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, NULL,                      /* first */
		MHD_OPTION_LISTEN_SOCKET, s->listen_fd,                            /**/
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)s->options.max_connections, /**/
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_PER_CONNECTION, /**/
		MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t)READ_INCREMENT,    /**/
		MHD_OPTION_CONNECTION_TIMEOUT, 0u,                                 /**/
		MHD_OPTION_STRICT_FOR_CLIENT, 1,                                   /**/
		MHD_OPTION_URI_LOG_CALLBACK, on_target, s,                         /**/
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,                    /**/
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,                      /**/
		MHD_OPTION_END);
	return s->daemon ? 0 : -EIO;
}

static int start_polling(struct http_server *s)
{
	int fd = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;

	s->poll = xcalloc(1, sizeof *s->poll);
	s->poll->data = s;
	must(uv_poll_init(&s->loop->uv, s->poll, fd) == 0);
	must(uv_poll_start(s->poll, UV_READABLE, on_mhd_ready) == 0);
	loop_defer(s->loop, &s->run_job); /* MHD registers the listener when it runs first */
	return 0;
}

static void http_server_freep(struct http_server **s)
{
	http_server_free(*s);
}

int http_server_new(struct loop *loop, const struct http_server_options *options,
		    struct buf *errors, struct http_server **ret)
{
	CLEANUP(http_server_freep) struct http_server *s = xcalloc(1, sizeof *s);
	int r;

	s->loop = loop;
	s->options = *options;
	s->listen_fd = -1;
	s->run_job.run = run_mhd;
	list_init(&s->idle);
	s->idle_timer = timer_new(loop, on_idle_timer, s);
	s->listen_fd = listener_open(options->address, errors, &s->address);
	r = s->listen_fd < 0 ? s->listen_fd : start_daemon(s);
	if (!r)
		r = start_polling(s);
	if (r)
		return r;
	*ret = steal(&s);
	return 0;
}

const char *http_server_address(const struct http_server *s)
{
	return s->address;
}

int64_t http_server_connections(const struct http_server *s)
{
	return s->connections;
}

static void close_listener(struct http_server *s)
{
	if (s->listen_fd >= 0)
		listener_close(s->listen_fd, s->address);
	s->listen_fd = -1;
}

void http_server_quiesce(struct http_server *s)
{
	if (s->quiesced)
		return;
	s->quiesced = true;
	MHD_quiesce_daemon(s->daemon);
	MHD_run(s->daemon); /* takes the listener out of its epoll set */
	close_listener(s);
	http_server_cut_idle(s);
}

void http_server_cut_idle(struct http_server *s)
{
	struct http_request *r;

	list_for_each (r, &s->idle, idle_link)
		shutdown(r->fd, SHUT_RDWR);
}

void http_server_free(struct http_server *s)
{
	if (!s)
		return;
	poll_clear(&s->poll);
	if (s->daemon) {
		if (!s->quiesced)
			MHD_quiesce_daemon(s->daemon);
		MHD_stop_daemon(s->daemon);
	}
	close_listener(s);
	job_cancel(&s->run_job);
	timer_clear(&s->idle_timer);
	free(s->address);
	free(s);
}
