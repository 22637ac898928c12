/*
 * tls.c - bytes from a client's TLS connection to a socket pair, and back.
 *
 *                     ┌── up:   SSL_read()  ──> write() ──┐
 *      client (outer) │                                   │ (inner) the HTTP server's end
 *                     └── down: SSL_write() <── read()  ──┘
 *
 * Each direction holds at most one piece that couldn't be passed on, and isn't read while it does:
 * so back-pressure goes through, and an idle connection has no buffers. One job, advance(), does
 * all that can be done, and then says which events could change that.
 *
 *      client closes, or breaks     the inner end is shut for writing: the server sees a hang-up
 *      server shuts for writing     close_notify, when all is flushed; its reading goes on
 *      server leaves                the same, and then the connection is over
 *      reset                        the client gets a TCP reset and no close_notify
 */
#include "net/tls.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uthash.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/peer.h"
#include "net/tls_identity.h"
#include "net/watch.h"

enum {
	PIECE = 16 * 1024,       /* a TLS record's most */
	PIECES_PER_JOB = 8,      /* then others have a chance */
	INNER_BUFFER = 64 * 1024 /* more would only hide that a client doesn't read */
};

struct tls {
	struct loop *loop;
	struct tls_options options;
	struct tls_stats stats;
	struct tls_connection *by_fd; /* those whose server hasn't left */
	struct list left;             /* those whose server has */
	int pair[2];                  /* the sockets of the next connection; -1: none */
	bool hurry;
};

enum outer_state {
	OUTER_SHAKING, /* hands */
	OUTER_OPEN,
	OUTER_ENDED, /* the client has said its last */
	OUTER_BROKEN /* nothing can be said to it either */
};

enum inner_state {
	INNER_OPEN,
	INNER_ENDED, /* the server has written its last */
	INNER_CLOSED /* and has been heard to the end: the client was told so */
};

struct tls_connection {
	struct tls *tls;
	int server_fd; /* the server's end: names the connection until the server has left */
	UT_hash_handle hh;
	struct list link; /* in tls->left */
	struct job advance;
	struct timer *limit; /* from the server's leaving on */
	SSL *ssl;
	int outer_fd, inner_fd;
	struct watch *outer_watch, *inner_watch;
	int outer_events, inner_events; /* what they watch for */
	enum outer_state outer;
	enum inner_state inner;
	struct buf up, down; /* the piece that couldn't be passed on */
	bool wants_write;    /* OpenSSL waits for room at the client's socket */
	bool hung_up;        /* as the socket says; there may be more to read */
	bool left, hangs_told;
	char address[PEER_ADDRESS_MAX];
};

/* --- the end of a connection ------------------------------------------------------------------ */

static void connection_free(struct tls_connection *c)
{
	job_cancel(&c->advance);
	timer_clear(&c->limit);
	watch_clear(&c->outer_watch);
	watch_clear(&c->inner_watch);
	SSL_free(c->ssl);
	close(c->outer_fd);
	close(c->inner_fd);
	buf_clear(&c->up);
	buf_clear(&c->down);
	free(c);
}

/* In one place, as a handshake ends in more ways than one: also by a reset, or a time limit. */
static void leave_handshake(struct tls_connection *c, enum outer_state to)
{
	if (c->outer != OUTER_SHAKING)
		return;
	c->outer = to;
	if (to == OUTER_OPEN)
		c->tls->stats.handshakes++;
	else
		c->tls->stats.failures++;
}

/* The callback is the last: it may be that nobody needs the tls any more. */
static void connection_over(struct tls_connection *c)
{
	struct tls *t = c->tls;
	char address[PEER_ADDRESS_MAX];

	memcpy(address, c->address, sizeof address);
	leave_handshake(c, OUTER_BROKEN);
	list_remove(&c->link);
	connection_free(c);
	t->options.over(t->options.arg, address);
}

static void on_limit(void *arg)
{
	connection_over(arg);
}

/* The server is told of a hang-up; it will leave. */
static void tell_hang_up(struct tls_connection *c)
{
	if (!c->hangs_told)
		shutdown(c->inner_fd, SHUT_WR);
	c->hangs_told = true;
}

static void break_outer(struct tls_connection *c)
{
	leave_handshake(c, OUTER_BROKEN);
	c->outer = OUTER_BROKEN;
	buf_clear(&c->up);
	buf_clear(&c->down);
	tell_hang_up(c);
}

/* --- the client's side ------------------------------------------------------------------------ */

/* Somebody who left the "s" out of "https" is told so, in the clear. */
static void answer_plain_http(const struct tls_connection *c)
{
	static const char body[] =
		"{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"code\":"
		"\"BAD_REQUEST\",\"message\":\"this port speaks TLS: write https://\"},"
		"\"request_id\":null}";
	char text[512];
	int n = snprintf(text, sizeof text,
			 "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"
			 "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
			 sizeof body - 1, body);

	if (send(c->outer_fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("a client without TLS couldn't be told so");
}

static void fail(struct tls_connection *c)
{
	unsigned long error = ERR_peek_error();
	const char *reason = ERR_reason_error_string(error);

	if (c->outer == OUTER_SHAKING) {
		log_debug("a TLS handshake failed", LOG_STR("error", reason ? reason : "hung up"));
		if (ERR_GET_REASON(error) == SSL_R_HTTP_REQUEST)
			answer_plain_http(c);
	}
	break_outer(c);
}

/* What an SSL function's return means; true: it is to be called again when something happens. */
static bool must_wait(struct tls_connection *c, int returned)
{
	switch (SSL_get_error(c->ssl, returned)) {
	case SSL_ERROR_WANT_READ:
		return true;
	case SSL_ERROR_WANT_WRITE:
		c->wants_write = true;
		return true;
	case SSL_ERROR_ZERO_RETURN:
		leave_handshake(c, OUTER_ENDED);
		c->outer = OUTER_ENDED;
		return false;
	default:
		fail(c);
		return false;
	}
}

static void shake_hands(struct tls_connection *c)
{
	int r;

	ERR_clear_error();
	r = SSL_accept(c->ssl);
	if (r == 1) {
		leave_handshake(c, OUTER_OPEN);
	} else {
		must_wait(c, r);
	}
}

/* --- passing on ------------------------------------------------------------------------------- */

/* What was passed on of a piece that stands at the beginning of `b`. */
static void taken(struct buf *b, size_t n)
{
	b->len -= n;
	memmove(b->data, b->data + n, b->len);
	if (!b->len)
		buf_clear(b);
}

/* To the server. False: it has no room. */
static bool flush_up(struct tls_connection *c)
{
	ssize_t n = 0;

	if (c->up.len)
		n = send(c->inner_fd, c->up.data, c->up.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN)
		buf_clear(&c->up); /* it doesn't listen any more */
	else if (n > 0)
		taken(&c->up, (size_t)n);
	return !c->up.len;
}

/* One piece. False: nothing more can be done now. */
static bool pass_up(struct tls_connection *c)
{
	char *to;
	int n;

	if (!flush_up(c) || c->outer != OUTER_OPEN)
		return false;
	to = buf_reserve(&c->up, PIECE);
	ERR_clear_error();
	n = SSL_read(c->ssl, to, PIECE);
	if (n > 0) {
		c->up.len = (size_t)n;
		return flush_up(c);
	}
	buf_clear(&c->up);
	if (!must_wait(c, n))
		tell_hang_up(c);
	return false;
}

/* To the client. False: it has no room. */
static bool flush_down(struct tls_connection *c)
{
	int n;

	if (!c->down.len)
		return true;
	ERR_clear_error();
	n = SSL_write(c->ssl, c->down.data, (int)c->down.len);
	if (n > 0)
		taken(&c->down, (size_t)n);
	else
		must_wait(c, n);
	return !c->down.len;
}

static bool pass_down(struct tls_connection *c)
{
	ssize_t n;

	if (c->outer == OUTER_SHAKING || c->outer == OUTER_BROKEN || !flush_down(c) ||
	    c->inner != INNER_OPEN)
		return false;
	n = recv(c->inner_fd, buf_reserve(&c->down, PIECE), PIECE, MSG_DONTWAIT);
	if (n > 0) {
		c->down.len = (size_t)n;
		return flush_down(c);
	}
	buf_clear(&c->down);
	if (!n || errno != EAGAIN)
		c->inner = INNER_ENDED;
	return false;
}

/* Nobody is there to hear it: what the server still writes is thrown away until it leaves. */
static void throw_away(struct tls_connection *c)
{
	char piece[PIECE];
	ssize_t n = 1;

	while (n > 0)
		n = recv(c->inner_fd, piece, sizeof piece, MSG_DONTWAIT);
	if (!n || errno != EAGAIN)
		c->inner = INNER_CLOSED;
}

/* The last word to the client: it is told that this was all. */
static void close_down(struct tls_connection *c)
{
	int r;

	ERR_clear_error();
	r = SSL_shutdown(c->ssl);
	if (r < 0 && SSL_get_error(c->ssl, r) == SSL_ERROR_WANT_WRITE) {
		c->wants_write = true;
		return;
	}
	shutdown(c->outer_fd, SHUT_WR);
	c->inner = INNER_CLOSED;
}

/* --- events ----------------------------------------------------------------------------------- */

static void watch_both(struct tls_connection *c)
{
	int outer = 0, inner = 0;

	if (c->outer != OUTER_BROKEN) {
		outer |= c->up.len || c->outer == OUTER_ENDED ? 0 : UV_READABLE;
		outer |= c->wants_write ? UV_WRITABLE : 0;
		outer |= c->hung_up ? 0 : UV_DISCONNECT;
	}
	inner |= c->inner == INNER_OPEN && !c->down.len && c->outer != OUTER_SHAKING ? UV_READABLE
										     : 0;
	inner |= c->up.len ? UV_WRITABLE : 0;
	if (outer != c->outer_events)
		watch_for(c->outer_watch, c->outer_events = outer);
	if (inner != c->inner_events)
		watch_for(c->inner_watch, c->inner_events = inner);
}

/* The server has left, and the client has all that it can have. */
static bool is_over(const struct tls_connection *c)
{
	return c->left && (c->inner == INNER_CLOSED || c->outer == OUTER_SHAKING ||
			   c->outer == OUTER_BROKEN || c->tls->hurry);
}

static void advance(struct job *job)
{
	struct tls_connection *c = container_of(job, struct tls_connection, advance);
	int budget = PIECES_PER_JOB;

	c->wants_write = false;
	if (c->outer == OUTER_SHAKING)
		shake_hands(c);
	while (budget && pass_up(c))
		budget--;
	while (budget && pass_down(c))
		budget--;
	if (c->hung_up)
		tell_hang_up(c);
	if (c->outer == OUTER_BROKEN && c->inner == INNER_OPEN)
		throw_away(c);
	if (c->inner == INNER_ENDED && !c->down.len)
		close_down(c);
	if (is_over(c)) {
		connection_over(c);
		return;
	}
	if (budget)
		watch_both(c);
	else
		loop_defer(c->tls->loop, &c->advance);
}

static void on_outer(void *arg, int error, int events)
{
	struct tls_connection *c = arg;

	if (error < 0 || events & UV_DISCONNECT)
		c->hung_up = true;
	if (error < 0)
		break_outer(c);
	loop_defer(c->tls->loop, &c->advance);
}

static void on_inner(void *arg, int error, int events)
{
	struct tls_connection *c = arg;

	(void)error, (void)events;
	loop_defer(c->tls->loop, &c->advance);
}

/* --- the server's side ------------------------------------------------------------------------ */

static struct tls_connection *connection_of(struct tls *t, int fd)
{
	struct tls_connection *c;

	HASH_FIND_INT(t->by_fd, &fd, c);
	must(c);
	return c;
}

void tls_server_left(struct tls *t, int fd, const char *address)
{
	struct tls_connection *c = connection_of(t, fd);

	HASH_DEL(t->by_fd, c);
	list_append(&t->left, &c->link);
	c->left = true;
	strcpy(c->address, address);
	c->limit = timer_new(t->loop, on_limit, c);
	timer_start(c->limit, *t->options.stall_timeout_ms);
	loop_defer(t->loop, &c->advance);
}

void tls_connection_reset(struct tls *t, int fd)
{
	struct tls_connection *c = connection_of(t, fd);

	peer_reset(c->outer_fd);
	break_outer(c);
	loop_defer(t->loop, &c->advance);
}

void tls_hurry(struct tls *t)
{
	struct tls_connection *c;

	t->hurry = true;
	list_for_each (c, &t->left, link)
		loop_defer(t->loop, &c->advance);
}

int tls_prepare(struct tls *t)
{
	const int buffer = INNER_BUFFER;

	if (t->pair[0] >= 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, t->pair))
		return -errno;
	for (int i = 0; i < 2; i++)
		setsockopt(t->pair[i], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
	return 0;
}

int tls_connection_new(struct tls *t, int fd)
{
	const int on = 1;
	struct tls_connection *c;

	must(t->pair[0] >= 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* fails on a Unix socket */
	c = xcalloc(1, sizeof *c);
	c->tls = t;
	c->advance.run = advance;
	c->outer_fd = fd;
	c->inner_fd = t->pair[0];
	c->server_fd = t->pair[1];
	t->pair[0] = t->pair[1] = -1;
	c->ssl = SSL_new(t->options.identity->ctx);
	must(c->ssl && SSL_set_fd(c->ssl, fd));
	c->outer_watch = watch_new(t->loop, fd, on_outer, c);
	c->inner_watch = watch_new(t->loop, c->inner_fd, on_inner, c);
	HASH_ADD_INT(t->by_fd, server_fd, c);
	loop_defer(t->loop, &c->advance);
	return c->server_fd;
}

void tls_use(struct tls *t, struct tls_identity *identity)
{
	tls_identity_free(t->options.identity);
	t->options.identity = identity;
}

void tls_stats(const struct tls *t, struct tls_stats *ret)
{
	*ret = t->stats;
}

struct tls *tls_new(struct loop *loop, const struct tls_options *options)
{
	struct tls *t = xcalloc(1, sizeof *t);

	t->loop = loop;
	t->options = *options;
	list_init(&t->left);
	t->pair[0] = t->pair[1] = -1;
	return t;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	must(!t->by_fd && list_empty(&t->left));
	if (t->pair[0] >= 0) {
		close(t->pair[0]);
		close(t->pair[1]);
	}
	tls_identity_free(t->options.identity);
	free(t);
}
