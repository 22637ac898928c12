/*
 * upstream.c - requests and responses by libcurl.
 *
 * A request's fields are one array that curl sees as its linked list. The raw target goes out by
 * CURLOPT_REQUEST_TARGET; everything that curl would add or interpret by itself (Accept,
 * Content-Type, Expect, cookies, redirects, decoding, proxies from the environment) is switched
 * off.
 */
#include "http/upstream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "http/http_client.h"
#include "http/last_words.h"
#include "http/reach.h"
#include "http/response_head.h"

enum {
	STALE_WITHIN_MS = 1000, /* that a connection was closed before is heard of by then */
	HTTP_PROXY_AUTHENTICATION_REQUIRED = 407,
	UPLOAD_BYTES = 64 * 1024,        /* what curl copies and sends at once by default; */
	LARGE_UPLOAD_BYTES = 256 * 1024, /* of a large body */
};

struct upstream {
	struct loop *loop;
	const struct config *config;
	struct http_client *client;
	struct reach *reach;
	int64_t resent;
};

struct transfer {
	struct upstream *upstream;
	struct http_call call;
	const struct transfer_events *events;
	void *x;
	struct job resume;

	struct curl_slist *fields; /* an array; texts in `text` */
	struct buf text;
	bool is_streamed; /* the body */
	size_t whole;     /* bytes of one that isn't */

	int64_t sent_ms;    /* when it was given to a connection for the first time; 0: not yet */
	bool proxy_refused; /* asked in absolute-form, it wants other credentials */
	bool was_resent;
	bool was_read; /* the connection ended so late that the relay may have been at work */

	enum transfer_state state;
	enum upstream_error error;
	char error_text[CURL_ERROR_SIZE];
	struct response_head head;
	const char *refused; /* what is wrong with the head, or NULL */
};

/* --- the end ---------------------------------------------------------------------------------- */

/* Takes the transfer out of curl. It needs no callbacks any more. */
static void detach(struct transfer *t)
{
	http_call_close(&t->call);
	job_cancel(&t->resume);
}

/* TLS says good-bye as well: an alert is shorter than that, a response's head longer. */
enum { ALERT_MAX = 64 };

static bool was_answered(const struct transfer *t)
{
	bool is_tls = !strncmp(t->upstream->config->upstream.url, "https:", 6);

	return http_call_last_words(&t->call).len > (is_tls ? ALERT_MAX : 0);
}

/*
 * Whether the relay closed a kept connection before it saw this request. curl tries again by itself
 * if that shows when it reads, but not if it shows when it writes (a body larger than the socket's
 * buffer). Streamed bodies never go on a kept connection.
 */
static bool is_stale(const struct transfer *t, CURLcode code)
{
	long new_connections = 1;

	curl_easy_getinfo(t->call.easy->curl, CURLINFO_NUM_CONNECTS, &new_connections);
	return code == CURLE_SEND_ERROR && !new_connections && !t->head.status && !was_answered(t);
}

/* The relay answered before it had read all, and reset the connection: see last_words.h. */
static CURLcode rescue(struct transfer *t, CURLcode code)
{
	struct response_head head = { .max_bytes = t->head.max_bytes };
	struct span text = http_call_last_words(&t->call), body;

	if (code != CURLE_SEND_ERROR || t->head.status || !text.len)
		return code;
	if (!last_words_parse(text, &head, &body) ||
	    (body.len && !t->events->give(t->x, body.ptr, body.len))) {
		response_head_clear(&head);
		return code;
	}
	response_head_clear(&t->head);
	t->head = head;
	return CURLE_OK;
}

/* Neither a certificate nor a proxy's rules change from one second to the next. */
static bool is_denied(const struct transfer *t, CURLcode code)
{
	long proxys_status = 0;

	curl_easy_getinfo(t->call.easy->curl, CURLINFO_HTTP_CONNECTCODE, &proxys_status);
	return t->proxy_refused || code == CURLE_PEER_FAILED_VERIFICATION ||
	       code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_CERTPROBLEM ||
	       proxys_status / 100 == 4;
}

/* What nothing was sent of isn't broken. */
static enum upstream_error error_of(const struct transfer *t, CURLcode code)
{
	if (code == CURLE_OK && t->head.done)
		return UPSTREAM_OK;
	if (transfer_was_sent(t))
		return UPSTREAM_BROKEN;
	return is_denied(t, code) ? UPSTREAM_DENIED : UPSTREAM_UNREACHABLE;
}

static void explain(struct transfer *t, CURLcode code)
{
	CLEANUP(freep) char *curls = xstrdup(t->error_text);
	const char *text = *curls ? curls : curl_easy_strerror(code);

	if (code == CURLE_OK && t->head.done)
		text = "";
	else if (code == CURLE_OK)
		text = "the response's head was cut short";
	else if (t->proxy_refused)
		text = "the proxy refuses: 407, it wants credentials";
	else if (t->was_read)
		text = "closed without an answer; not sent again, as it may have been read";
	snprintf(t->error_text, CURL_ERROR_SIZE, "%s%s", t->refused ? "the response's head: " : "",
		 t->refused ? t->refused : text);
}

static void on_ended(struct http_call *call, CURLcode code)
{
	struct transfer *t = container_of(call, struct transfer, call);

	if (is_stale(t, code)) {
		t->error_text[0] = '\0';
		http_call_start_again(call);
		return;
	}
	code = rescue(t, code);
	t->error = error_of(t, code);
	explain(t, code);
	if (t->error != UPSTREAM_OK && !transfer_was_sent(t))
		reach_failed(t->upstream->reach, t->error_text);
	t->state = TRANSFER_ENDED;
	detach(t);
	t->events->changed(t->x);
}

void transfer_resume(struct transfer *t)
{
	if (t && t->call.easy)
		loop_defer(t->upstream->loop, &t->resume);
}

/* --- the response ----------------------------------------------------------------------------- */

/* One line of the head at a time; 1xx come before the response, trailers behind its body. */
static size_t on_head_line(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	bool was_done = t->head.done;

	t->refused = response_head_line(&t->head, (struct span){ data, size * n });
	if (t->head.status == HTTP_PROXY_AUTHENTICATION_REQUIRED &&
	    http_client_asks_proxy(t->upstream->config)) {
		t->proxy_refused = true; /* nobody else may say so (RFC 9110, section 15.5.8) */
		return 0;
	}
	if (t->head.done && !was_done) {
		t->state = TRANSFER_ANSWERING;
		if (t->is_streamed) /* behind an error curl sends no more, but waits for a paused body */
			transfer_resume(t);
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
	long new_connections = 0;

	curl_easy_getinfo(t->call.easy->curl, CURLINFO_NUM_CONNECTS, &new_connections);
	if (new_connections) /* a kept one may be gone, too */
		reach_succeeded(t->upstream->reach);
	http_call_connected(&t->call, own_port);
	(void)peer, (void)own, (void)peer_port;
	if (!t->sent_ms) {
		t->sent_ms = now;
		return CURL_PREREQFUNC_OK;
	}
	t->was_read = now - t->sent_ms > STALE_WITHIN_MS;
	if (t->was_read)
		return CURL_PREREQFUNC_ABORT;
	t->upstream->resent++;
	t->was_resent = true;
	return CURL_PREREQFUNC_OK;
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
						SPAN("Expect"), SPAN("User-Agent"),
						SPAN("Proxy-Connection") };
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
		if (r->whole.len > UPLOAD_BYTES)
			SET(curl, CURLOPT_UPLOAD_BUFFERSIZE,
			    (long)MIN(r->whole.len, (size_t)LARGE_UPLOAD_BYTES));
	} else if (r->body == UPSTREAM_BODY_STREAM) {
		SET(curl, CURLOPT_UPLOAD, 1L);
		SET(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->length);
		SET(curl, CURLOPT_FRESH_CONNECT, 1L); /* it can't be sent again */
	} else {
		SET(curl, CURLOPT_HTTPGET, 1L);
	}
}

static void set_request(struct transfer *t, const struct upstream_request *r)
{
	CURL *curl = t->call.easy->curl;
	CLEANUP(freep) char *method = xstrndup(r->method.ptr, r->method.len);
	CLEANUP(buf_clear) struct buf target = { 0 };
	const char *url = t->upstream->config->upstream.url;
	const char *host = strstr(url, "://") + 3, *prefix = strchr(host, '/');

	if (http_client_asks_proxy(t->upstream->config))
		buf_append(&target, url, (size_t)(host - url) + strcspn(host, "/"));
	/* "*" asks about the server as a whole (RFC 9112, section 3.2.4) */
	if (prefix && !span_eq(r->target, SPAN("*")))
		buf_puts(&target, prefix);
	if (!target.len || !span_eq(r->target, SPAN("*")))
		buf_append(&target, r->target.ptr, r->target.len);

	set_fields(t, r);
	set_body(curl, r);
	SET(curl, CURLOPT_CUSTOMREQUEST, method);
	SET(curl, CURLOPT_REQUEST_TARGET, buf_str(&target));
	SET(curl, CURLOPT_HTTPHEADER, t->fields);
	SET(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
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

	if (t->call.easy)
		http_call_resume(&t->call);
}

struct transfer *transfer_new(struct upstream *u, const struct upstream_request *request,
			      const struct transfer_events *events, void *x)
{
	struct transfer *t = xcalloc(1, sizeof *t);

	t->upstream = u;
	t->events = events;
	t->x = x;
	t->resume.run = run_resume;
	t->is_streamed = request->body == UPSTREAM_BODY_STREAM;
	t->whole = request->whole.len;
	t->head.max_bytes = u->config->upstream.max_header_bytes;
	t->call.ended = on_ended;
	http_call_open(&t->call, u->client);
	set_request(t, request);
	http_call_start(&t->call);
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

enum transfer_state transfer_state(const struct transfer *t)
{
	return t->state;
}

enum upstream_error transfer_error(const struct transfer *t)
{
	return t->error;
}

bool transfer_was_sent(const struct transfer *t)
{
	return t->sent_ms && !t->proxy_refused;
}

/*
 * Of a request that was sent twice, curl's count might be of the first time. Before 8.7, curl keeps
 * its upload buffer to the end of the transfer, unless that gets another size.
 */
bool transfer_forget_body(struct transfer *t)
{
	CURL *curl = t->call.easy ? t->call.easy->curl : NULL;
	curl_off_t sent = -1;

	if (!curl || t->is_streamed || t->was_resent || !t->head.done)
		return false;
	curl_easy_getinfo(curl, CURLINFO_SIZE_UPLOAD_T, &sent);
	if (sent != (curl_off_t)t->whole)
		return false;
	curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BYTES);
	return true;
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

int64_t upstream_down_since_ms(const struct upstream *u)
{
	return reach_down_since_ms(u->reach);
}

int64_t upstream_resent(const struct upstream *u)
{
	return u->resent;
}

struct upstream *upstream_new(struct loop *loop, const struct config *config,
			      void (*back)(void *arg), void *arg)
{
	struct upstream *u = xcalloc(1, sizeof *u);

	u->loop = loop;
	u->config = config;
	u->client = http_client_new(loop, config);
	u->reach = reach_new(loop, u->client, back, arg);
	return u;
}

void upstream_free(struct upstream *u)
{
	if (!u)
		return;
	reach_free(u->reach);
	http_client_free(u->client);
	free(u);
}
