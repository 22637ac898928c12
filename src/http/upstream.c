/*
 * upstream.c - libcurl on libuv. With easies.c, the only file that knows curl.h.
 *
 *      loop ──> on_socket / on_timeout ──> curl_multi_socket_action() ──> our callbacks: record
 *                                                    │
 *                                              harvest(): ended transfers
 *
 * What keeps it cheap: easy handles are reused (easies.h), a request's fields are one array that
 * curl sees as its linked list, a socket stays registered in the loop while its connection is idle
 * (sockets.h), and no multi handle has too many connections to search (client_shards.h).
 *
 * The raw target goes out by CURLOPT_REQUEST_TARGET; everything that curl would add or interpret
 * by itself (Accept, Content-Type, Expect, cookies, redirects, decoding, proxies from
 * the environment) is switched off.
 */
#include "http/upstream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/client_shards.h"
#include "http/easies.h"
#include "http/response_head.h"
#include "net/sockets.h"

enum {
	STALE_WITHIN_MS = 1000,    /* that a connection was closed before is heard of by then */
	SHARD_KEEP_MS = 60 * 1000, /* as long as a relay may be expected to keep its end */
};

struct upstream {
	struct loop *loop;
	const struct config *config;
	struct sockets *sockets;
	struct client_shards *shards; /* struct multi */
	int64_t resent;
	struct easies easies;
};

struct multi {
	struct client_shard shard;
	struct upstream *upstream;
	CURLM *curl;
	struct timer *timer;
	struct job timeout_job; /* a timeout of 0: curl wants to act as soon as it isn't nested */
};

struct transfer {
	struct upstream *upstream;
	struct multi *multi;
	struct easy *easy; /* NULL: it has ended, and left its shard */
	const struct transfer_events *events;
	void *x;
	struct job resume;

	struct curl_slist *fields; /* an array; texts in `text` */
	struct buf text;
	struct span whole;

	int64_t sent_ms; /* when it was given to a connection for the first time; 0: not yet */
	bool was_read;   /* the connection ended so late that the relay may have been at work */

	enum transfer_state state;
	enum upstream_error error;
	char error_text[CURL_ERROR_SIZE];
	struct response_head head;
	const char *refused; /* what is wrong with the head, or NULL */
};

/* --- the loop's side -------------------------------------------------------------------------- */

static enum upstream_error error_of(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return UPSTREAM_OK;
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_OPERATION_TIMEDOUT: /* we set none but that for connecting */
		return UPSTREAM_UNREACHABLE;
	default:
		return UPSTREAM_BROKEN;
	}
}

/* Takes the transfer out of curl. It needs no callbacks any more. */
static void detach(struct transfer *t)
{
	struct easy *easy = steal(&t->easy);

	if (!easy)
		return;
	curl_multi_remove_handle(t->multi->curl, easy->curl);
	easies_put(&t->upstream->easies, easy);
	client_shard_leave(&t->multi->shard);
	job_cancel(&t->resume);
}

/*
 * Whether the relay closed a kept connection before it saw this request. curl tries again by itself
 * if that shows when it reads, but not if it shows when it writes (a body larger than the socket's
 * buffer). Streamed bodies never go on a kept connection.
 */
static bool is_stale(const struct transfer *t, CURLcode code)
{
	long new_connections = 1;

	curl_easy_getinfo(t->easy->curl, CURLINFO_NUM_CONNECTS, &new_connections);
	return code == CURLE_SEND_ERROR && !new_connections && !t->head.status;
}

static void send_again(struct transfer *t)
{
	CURL *curl = t->easy->curl;

	curl_multi_remove_handle(t->multi->curl, curl);
	must(curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK);
	t->error_text[0] = '\0';
	must(curl_multi_add_handle(t->multi->curl, curl) == CURLM_OK);
}

static void harvest(struct multi *m)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(m->curl, &left))) {
		struct transfer *t;
		CURLcode code = msg->data.result;

		must(msg->msg == CURLMSG_DONE);
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		if (is_stale(t, code)) {
			send_again(t);
			continue;
		}
		t->error = error_of(code);
		if (code == CURLE_OK && !t->head.done) {
			t->error = UPSTREAM_BROKEN;
			snprintf(t->error_text, CURL_ERROR_SIZE,
				 "the response's head was cut short");
		} else if (t->was_read) {
			snprintf(
				t->error_text, CURL_ERROR_SIZE,
				"closed without an answer; not sent again, as it may have been read");
		} else if (t->refused) {
			snprintf(t->error_text, CURL_ERROR_SIZE, "the response's head: %s",
				 t->refused);
		} else if (code != CURLE_OK && !t->error_text[0]) {
			snprintf(t->error_text, CURL_ERROR_SIZE, "%s", curl_easy_strerror(code));
		}
		t->state = TRANSFER_ENDED;
		detach(t);
		t->events->changed(t->x);
	}
}

static void act(struct multi *m, curl_socket_t fd, int events)
{
	int running;

	must(curl_multi_socket_action(m->curl, fd, events, &running) == CURLM_OK);
	harvest(m);
}

static void on_timeout(void *arg)
{
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void run_timeout_job(struct job *job)
{
	act(container_of(job, struct multi, timeout_job), CURL_SOCKET_TIMEOUT, 0);
}

static int set_timeout(CURLM *multi, long in_ms, void *arg)
{
	struct multi *m = arg;

	(void)multi;
	timer_stop(m->timer);
	if (in_ms == 0)
		loop_defer(m->upstream->loop, &m->timeout_job);
	else if (in_ms > 0)
		timer_start(m->timer, in_ms);
	return 0;
}

static void on_socket(void *arg, int fd, int events, bool broken)
{
	act(arg, fd,
	    (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
		    (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0) |
		    (broken ? CURL_CSELECT_ERR : 0));
}

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct multi *m = arg;
	int fd = socket(a->family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->protocol);

	(void)purpose;
	if (fd < 0)
		return CURL_SOCKET_BAD;
	sockets_opened(m->upstream->sockets, fd, m);
	return fd;
}

static int close_socket(void *arg, curl_socket_t fd)
{
	struct multi *m = arg;

	sockets_closed(m->upstream->sockets, fd);
	return close(fd);
}

static int want_events(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct multi *m = arg;
	struct sockets *sockets = m->upstream->sockets;

	(void)easy, (void)socket_arg;
	if (what == CURL_POLL_REMOVE)
		sockets_drop(sockets, fd);
	else
		sockets_want(sockets, fd,
			     (what & CURL_POLL_IN ? UV_READABLE : 0) |
				     (what & CURL_POLL_OUT ? UV_WRITABLE : 0),
			     m);
	return 0;
}

/* --- the response ----------------------------------------------------------------------------- */

/* One line of the head at a time; 1xx come before the response, trailers behind its body. */
static size_t on_head_line(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	bool was_done = t->head.done;

	t->refused = response_head_line(&t->head, (struct span){ data, size * n });
	if (t->head.done && !was_done) {
		t->state = TRANSFER_ANSWERING;
		t->events->changed(t->x);
	}
	return t->refused ? 0 : size * n;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	if (!t->head.done)
		return 0; /* curl saw the head's end where we don't */
	return t->events->give(t->x, data, size * n) ? size * n : CURL_WRITEFUNC_PAUSE;
}

static size_t on_want_body(char *to, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	ssize_t got = t->events->take(t->x, to, size * n);

	if (got == -EAGAIN)
		return CURL_READFUNC_PAUSE;
	return got < 0 ? CURL_READFUNC_ABORT : (size_t)got;
}

/* Before each sending. curl sends again whenever a kept connection ends without an answer. */
static int on_send(void *arg, char *peer, char *own, int peer_port, int own_port)
{
	struct transfer *t = arg;
	int64_t now = clock_ms();

	(void)peer, (void)own, (void)peer_port, (void)own_port;
	if (!t->sent_ms) {
		t->sent_ms = now;
		return CURL_PREREQFUNC_OK;
	}
	t->was_read = now - t->sent_ms > STALE_WITHIN_MS;
	if (t->was_read)
		return CURL_PREREQFUNC_ABORT;
	t->upstream->resent++;
	return CURL_PREREQFUNC_OK;
}

/* --- multi handles ---------------------------------------------------------------------------- */

static struct client_shard *open_multi(void *ctx)
{
	struct multi *m = xcalloc(1, sizeof *m);

	m->upstream = ctx;
	m->timeout_job.run = run_timeout_job;
	m->timer = timer_new(m->upstream->loop, on_timeout, m);
	m->curl = curl_multi_init();
	must(m->curl);
	curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, want_events);
	curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
	curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, set_timeout);
	curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
	/*
	 * Of all connections, those in use included. Above it curl closes one for each that comes
	 * free, after a search of all, so that the next transfer has to connect.
	 */
	curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, (long)UPSTREAM_SHARD_MAX);
	return &m->shard;
}

static void close_multi(struct client_shard *shard)
{
	struct multi *m = container_of(shard, struct multi, shard);

	curl_multi_cleanup(m->curl); /* closes its connections */
	job_cancel(&m->timeout_job);
	timer_clear(&m->timer);
	free(m);
}

static struct multi *enter_multi(struct upstream *u)
{
	return container_of(client_shards_join(u->shards), struct multi, shard);
}

/* --- starting --------------------------------------------------------------------------------- */

/* "Name: value"; curl wants "Name;" for an empty value, and "Name:" to leave its own field out. */
static void add_field(struct transfer *t, size_t *offsets, size_t *count, struct span name,
		      const char *between, struct span value)
{
	offsets[(*count)++] = t->text.len;
	buf_append(&t->text, name.ptr, name.len);
	buf_puts(&t->text, between);
	buf_append(&t->text, value.ptr, value.len);
	buf_append(&t->text, "", 1);
}

/* curl's linked list of fields, as an array: two allocations a request, not two a field. */
static void set_fields(struct transfer *t, const struct upstream_request *r)
{
	static const struct span unwanted[] = { SPAN("Accept"), SPAN("Content-Type"),
						SPAN("Expect"), SPAN("User-Agent") };
	struct headers h = { r->fields, r->count };
	size_t max = r->count + ARRAY_SIZE(unwanted), count = 0;
	CLEANUP(freep) size_t *offsets = xcalloc(max, sizeof *offsets);

	for (size_t i = 0; i < r->count; i++)
		add_field(t, offsets, &count, r->fields[i].name,
			  r->fields[i].value.len ? ": " : ";", r->fields[i].value);
	for (size_t i = 0; i < ARRAY_SIZE(unwanted); i++) {
		if (!headers_get(&h, unwanted[i]).ptr)
			add_field(t, offsets, &count, unwanted[i], ":", SPAN(""));
	}
	t->fields = xcalloc(count, sizeof *t->fields);
	for (size_t i = 0; i < count; i++) {
		t->fields[i].data = t->text.data + offsets[i];
		t->fields[i].next = i + 1 < count ? &t->fields[i + 1] : NULL;
	}
}

#define SET(curl, option, value) must(curl_easy_setopt(curl, option, value) == CURLE_OK)

static void set_body(CURL *curl, const struct upstream_request *r)
{
	if (span_eq(r->method, SPAN("HEAD"))) {
		SET(curl, CURLOPT_NOBODY, 1L);
	} else if (r->body == UPSTREAM_BODY_WHOLE) {
		SET(curl, CURLOPT_POST, 1L);
		SET(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->whole.len);
		SET(curl, CURLOPT_POSTFIELDS, r->whole.len ? r->whole.ptr : "");
	} else if (r->body == UPSTREAM_BODY_STREAM) {
		SET(curl, CURLOPT_UPLOAD, 1L);
		SET(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->length);
		SET(curl, CURLOPT_FRESH_CONNECT, 1L); /* it can't be sent again */
	} else {
		SET(curl, CURLOPT_HTTPGET, 1L);
	}
}

/* Where to, and how: the same for every request of one configuration. */
static void set_connection(struct multi *m, CURL *curl)
{
	const struct config *c = m->upstream->config;

	SET(curl, CURLOPT_URL, c->upstream.url);
	SET(curl, CURLOPT_QUICK_EXIT,
	    1L); /* else the end of a transfer waits for its resolver, on the loop */
	SET(curl, CURLOPT_PROXY, c->upstream.proxy); /* "": none, whatever the environment says */
	SET(curl, CURLOPT_NOPROXY, "");
	SET(curl, CURLOPT_HTTPPROXYTUNNEL, 1L);
	SET(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)c->upstream.connect_timeout_ms);
	SET(curl, CURLOPT_SSL_VERIFYPEER, (long)c->upstream.tls_verify);
	SET(curl, CURLOPT_SSL_VERIFYHOST, c->upstream.tls_verify ? 2L : 0L);
	if (c->upstream.ca_file[0])
		SET(curl, CURLOPT_CAINFO, c->upstream.ca_file);
	if (c->upstream.unix_socket[0])
		SET(curl, CURLOPT_UNIX_SOCKET_PATH, c->upstream.unix_socket);
	SET(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(curl, CURLOPT_OPENSOCKETDATA, m);
	SET(curl, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
	SET(curl, CURLOPT_CLOSESOCKETDATA, m);
}

static void set_request(struct transfer *t, const struct upstream_request *r)
{
	CURL *curl = t->easy->curl;
	CLEANUP(freep) char *method = xstrndup(r->method.ptr, r->method.len);
	CLEANUP(buf_clear) struct buf target = { 0 };
	const char *prefix = strchr(strstr(t->upstream->config->upstream.url, "://") + 3, '/');

	/* "*" asks about the server as a whole (RFC 9112, section 3.2.4) */
	if (prefix && !span_eq(r->target, SPAN("*")))
		buf_puts(&target, prefix);
	buf_append(&target, r->target.ptr, r->target.len);

	set_fields(t, r);
	set_body(curl, r);
	SET(curl, CURLOPT_CUSTOMREQUEST, method);
	SET(curl, CURLOPT_REQUEST_TARGET, buf_str(&target));
	SET(curl, CURLOPT_HTTPHEADER, t->fields);
	SET(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(curl, CURLOPT_NOSIGNAL, 1L);
	SET(curl, CURLOPT_PRIVATE, t);
	SET(curl, CURLOPT_ERRORBUFFER, t->error_text);
	SET(curl, CURLOPT_HEADERFUNCTION, on_head_line);
	SET(curl, CURLOPT_HEADERDATA, t);
	SET(curl, CURLOPT_WRITEFUNCTION, on_body);
	SET(curl, CURLOPT_WRITEDATA, t);
	SET(curl, CURLOPT_PREREQFUNCTION, on_send);
	SET(curl, CURLOPT_PREREQDATA, t);
	SET(curl, CURLOPT_READFUNCTION, on_want_body);
	SET(curl, CURLOPT_READDATA, t);
}

static void run_resume(struct job *job)
{
	struct transfer *t = container_of(job, struct transfer, resume);
	struct multi *m = t->multi;

	if (!t->easy)
		return;
	curl_easy_pause(t->easy->curl, CURLPAUSE_CONT);
	harvest(m);
}

struct transfer *transfer_new(struct upstream *u, const struct upstream_request *request,
			      const struct transfer_events *events, void *x)
{
	struct transfer *t = xcalloc(1, sizeof *t);

	t->upstream = u;
	t->events = events;
	t->x = x;
	t->resume.run = run_resume;
	t->easy = easies_take(&u->easies);
	t->multi = enter_multi(u);
	set_connection(t->multi, t->easy->curl);
	set_request(t, request);
	must(curl_multi_add_handle(t->multi->curl, t->easy->curl) == CURLM_OK);
	return t;
}

void transfer_free(struct transfer **transfer)
{
	struct transfer *t = steal(transfer);

	if (!t)
		return;
	detach(t);
	response_head_clear(&t->head);
	buf_clear(&t->text);
	free(t->fields);
	free(t);
}

void transfer_resume(struct transfer *t)
{
	if (t && t->easy)
		loop_defer(t->upstream->loop, &t->resume);
}

enum transfer_state transfer_state(const struct transfer *t)
{
	return t->state;
}

enum upstream_error transfer_error(const struct transfer *t)
{
	return t->error;
}

const char *transfer_error_text(const struct transfer *t)
{
	return t->error_text;
}

int transfer_status(const struct transfer *t)
{
	return t->head.done ? t->head.status : 0;
}

const struct headers *transfer_fields(const struct transfer *t)
{
	return &t->head.fields;
}

int64_t upstream_resent(const struct upstream *u)
{
	return u->resent;
}

struct upstream *upstream_new(struct loop *loop, const struct config *config)
{
	struct upstream *u = xcalloc(1, sizeof *u);

	must(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
	u->loop = loop;
	u->config = config;
	u->sockets = sockets_new(loop, on_socket);
	u->shards = client_shards_new(loop, &(struct client_shard_options){
						    .max = UPSTREAM_SHARD_MAX,
						    .keep_ms = SHARD_KEEP_MS,
						    .open = open_multi,
						    .close = close_multi,
						    .ctx = u,
					    });
	easies_open(&u->easies);
	return u;
}

void upstream_free(struct upstream *u)
{
	if (!u)
		return;
	easies_clear(&u->easies);
	client_shards_free(u->shards);
	sockets_free(u->sockets);
	free(u);
	curl_global_cleanup();
}
