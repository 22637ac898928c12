#include "http/http_client.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/client_shards.h"
#include "http/last_words.h"
#include "net/sockets.h"

enum {
	SHARD_KEEP_MS = 60 * 1000, /* as long as a relay may be expected to keep its end */
	PROBES = 4,                /* of keep-alive, before the peer is taken for dead */
};

struct http_client {
	struct loop *loop;
	const struct config *config;
	struct sockets *sockets;
	struct client_shards *shards; /* struct multi */
	struct easies easies;
};

struct multi {
	struct client_shard shard;
	struct http_client *client;
	CURLM *curl;
	struct timer *timer;
	struct job timeout_job; /* a timeout of 0: curl wants to act as soon as it isn't nested */
	int closed_fd; /* the last one; its port at our end, 0: none; what was left in it: */
	int closed_port;
	struct buf last_words;
};

/* --- the loop's side -------------------------------------------------------------------------- */

static void harvest(struct multi *m)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(m->curl, &left))) {
		struct http_call *call;

		must(msg->msg == CURLMSG_DONE);
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&call);
		call->ended(call, msg->data.result);
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
		loop_defer(m->client->loop, &m->timeout_job);
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

/* --- sockets ---------------------------------------------------------------------------------- */

static void set_tcp(int fd, int option, int value)
{
	setsockopt(fd, IPPROTO_TCP, option, &value, sizeof value);
}

/*
 * A peer that doesn't answer is given up: when nothing has come for keepalive_ms, it is asked; and
 * it has keepalive_timeout_ms to answer. What was sent has as long as both to be acknowledged
 * (tcp(7); TCP_USER_TIMEOUT also bounds the probes).
 */
static void keep_alive(int fd, const struct config *c)
{
	int64_t idle_ms = c->upstream.keepalive_ms, limit_ms = c->upstream.keepalive_timeout_ms;
	int on = 1;

	if (!idle_ms)
		return;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	set_tcp(fd, TCP_KEEPIDLE, (int)((idle_ms + 999) / 1000));
	set_tcp(fd, TCP_KEEPINTVL, (int)MAX(limit_ms / PROBES / 1000, 1));
	set_tcp(fd, TCP_KEEPCNT, PROBES);
	set_tcp(fd, TCP_USER_TIMEOUT, (int)(idle_ms + limit_ms));
}

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct multi *m = arg;
	int fd = socket(a->family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->protocol);

	(void)purpose;
	if (fd < 0)
		return CURL_SOCKET_BAD;
	if (fd == m->closed_fd)
		m->closed_fd = -1; /* its number is another's by now */
	if (a->family != AF_UNIX)
		keep_alive(fd, m->client->config);
	sockets_opened(m->client->sockets, fd, m);
	return fd;
}

static int own_port(int fd)
{
	struct sockaddr_storage a = { 0 };
	socklen_t len = sizeof a;

	if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		return 0;
	return a.ss_family == AF_INET    ? ntohs(((struct sockaddr_in *)&a)->sin_port)
	       : a.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&a)->sin6_port)
					 : 0;
}

static int close_socket(void *arg, curl_socket_t fd)
{
	struct multi *m = arg;

	sockets_closed(m->client->sockets, fd);
	m->closed_fd = fd;
	m->closed_port = own_port(fd);
	last_words_read(fd, &m->last_words);
	return close(fd);
}

static int want_events(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct multi *m = arg;
	struct sockets *sockets = m->client->sockets;
	struct http_call *call = NULL;

	(void)socket_arg;
	if (what == CURL_POLL_REMOVE) {
		sockets_drop(sockets, fd);
		return 0;
	}
	curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&call);
	if (call)
		call->fd = fd;
	sockets_want(sockets, fd,
		     (what & CURL_POLL_IN ? UV_READABLE : 0) |
			     (what & CURL_POLL_OUT ? UV_WRITABLE : 0),
		     m);
	return 0;
}

/* --- multi handles ---------------------------------------------------------------------------- */

static struct client_shard *open_multi(void *ctx)
{
	struct multi *m = xcalloc(1, sizeof *m);

	m->client = ctx;
	m->closed_fd = -1;
	m->timeout_job.run = run_timeout_job;
	m->timer = timer_new(m->client->loop, on_timeout, m);
	m->curl = curl_multi_init();
	must(m->curl);
	curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, want_events);
	curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
	curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, set_timeout);
	curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
	/*
	 * Of all connections, those in use included. Above it curl closes one for each that comes
	 * free, after a search of all, so that the next call has to connect.
	 */
	curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, (long)HTTP_CLIENT_SHARD_MAX);
	return &m->shard;
}

static void close_multi(struct client_shard *shard)
{
	struct multi *m = container_of(shard, struct multi, shard);

	curl_multi_cleanup(m->curl); /* closes its connections */
	job_cancel(&m->timeout_job);
	timer_clear(&m->timer);
	buf_clear(&m->last_words);
	free(m);
}

/* --- calls ------------------------------------------------------------------------------------ */

bool http_client_asks_proxy(const struct config *c)
{
	return !strncmp(c->upstream.proxy, "http", 4) && !strncmp(c->upstream.url, "http:", 5) &&
	       !c->upstream.unix_socket[0];
}

#define SET(curl, option, value) must(curl_easy_setopt(curl, option, value) == CURLE_OK)

/* Where to, and how: the same for every call of one configuration. */
static void set_connection(struct multi *m, CURL *curl)
{
	const struct config *c = m->client->config;

	SET(curl, CURLOPT_URL, c->upstream.url);
	SET(curl, CURLOPT_NOSIGNAL, 1L);
	SET(curl, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
	SET(curl, CURLOPT_QUICK_EXIT,
	    1L); /* else the end of a call waits for its resolver, on the loop */
	SET(curl, CURLOPT_PROXY, c->upstream.proxy); /* "": none, whatever the environment says */
	SET(curl, CURLOPT_NOPROXY, "");
	SET(curl, CURLOPT_HTTPPROXYTUNNEL, (long)!http_client_asks_proxy(c));
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

void http_call_open(struct http_call *call, struct http_client *c)
{
	call->fd = -1;
	call->own_port = 0;
	call->easy = easies_take(&c->easies);
	call->multi = container_of(client_shards_join(c->shards), struct multi, shard);
	set_connection(call->multi, call->easy->curl);
	SET(call->easy->curl, CURLOPT_PRIVATE, call);
}

void http_call_start(struct http_call *call)
{
	must(curl_multi_add_handle(call->multi->curl, call->easy->curl) == CURLM_OK);
}

void http_call_start_again(struct http_call *call)
{
	curl_multi_remove_handle(call->multi->curl, call->easy->curl);
	SET(call->easy->curl, CURLOPT_FRESH_CONNECT, 1L);
	http_call_start(call);
}

void http_call_connected(struct http_call *call, int own_port)
{
	struct multi *m = call->multi;

	call->own_port = MAX(own_port, 0);
	if (call->own_port == m->closed_port)
		m->closed_port = 0; /* it is this one's by now */
}

void http_call_resume(struct http_call *call)
{
	struct multi *m = call->multi;

	curl_easy_pause(call->easy->curl, CURLPAUSE_CONT);
	harvest(m);
}

struct span http_call_last_words(const struct http_call *call)
{
	const struct multi *m = call->multi;
	bool is_its = call->own_port ? call->own_port == m->closed_port
				     : call->fd >= 0 && call->fd == m->closed_fd;

	return is_its ? buf_span(&m->last_words) : (struct span){ 0 };
}

void http_call_close(struct http_call *call)
{
	struct easy *easy = steal(&call->easy);

	if (!easy)
		return;
	curl_multi_remove_handle(call->multi->curl, easy->curl);
	easies_put(&call->multi->client->easies, easy);
	client_shard_leave(&call->multi->shard);
}

struct http_client *http_client_new(struct loop *loop, const struct config *config)
{
	struct http_client *c = xcalloc(1, sizeof *c);

	must(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
	c->loop = loop;
	c->config = config;
	c->sockets = sockets_new(loop, on_socket);
	c->shards = client_shards_new(loop, &(struct client_shard_options){
						    .max = HTTP_CLIENT_SHARD_MAX,
						    .keep_ms = SHARD_KEEP_MS,
						    .open = open_multi,
						    .close = close_multi,
						    .ctx = c,
					    });
	easies_open(&c->easies);
	return c;
}

void http_client_free(struct http_client *c)
{
	if (!c)
		return;
	easies_clear(&c->easies);
	client_shards_free(c->shards);
	sockets_free(c->sockets);
	free(c);
	curl_global_cleanup();
}
