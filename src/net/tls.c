/*
 * tls.c - lines: bytes from a client's TLS connection to a socket pair, and back.
 *
 *                     ┌── up:   SSL_read()  ──> write() ──┐
 *      client (outer) │                                   │ (inner) the HTTP server's end
 *                     └── down: SSL_write() <── read()  ──┘
 *
 * Each direction holds at most one piece that couldn't be passed on, and isn't read while it does:
 * so back-pressure goes through, and an idle line has no buffers. One job, advance(), does all that
 * can be done, and then says which events could change that.
 *
 *      client closes, or breaks     the inner end is shut for writing: the server sees a hang-up
 *      server shuts for writing     close_notify, when all is flushed; its reading goes on
 *      server leaves                the same, and then the line is over
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
#include "net/door.h"
#include "net/reset.h"
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
	struct line *by_fd; /* those whose server hasn't left */
	struct list left;   /* those whose server has */
	int pair[2];        /* the sockets of the next line; -1: none */
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

struct line {
	struct tls *tls;
	int server_fd; /* the server's end: what the line is called by, until it has left */
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
	char address[DOOR_ADDRESS_MAX];
};

/* --- the end of a line ------------------------------------------------------------------------ */

static void line_free(struct line *l)
{
	job_cancel(&l->advance);
	timer_clear(&l->limit);
	watch_clear(&l->outer_watch);
	watch_clear(&l->inner_watch);
	SSL_free(l->ssl);
	close(l->outer_fd);
	close(l->inner_fd);
	buf_clear(&l->up);
	buf_clear(&l->down);
	free(l);
}

/* In one place, as a handshake ends in more ways than one: also by a reset, or a time limit. */
static void leave_handshake(struct line *l, enum outer_state to)
{
	if (l->outer != OUTER_SHAKING)
		return;
	l->outer = to;
	if (to == OUTER_OPEN)
		l->tls->stats.handshakes++;
	else
		l->tls->stats.failures++;
}

/* The callback is the last: it may be that nobody needs the tls any more. */
static void line_over(struct line *l)
{
	struct tls *t = l->tls;
	char address[DOOR_ADDRESS_MAX];

	memcpy(address, l->address, sizeof address);
	leave_handshake(l, OUTER_BROKEN);
	list_remove(&l->link);
	line_free(l);
	t->options.over(t->options.arg, address);
}

static void on_limit(void *arg)
{
	line_over(arg);
}

/* The server is told of a hang-up; it will leave. */
static void tell_hang_up(struct line *l)
{
	if (!l->hangs_told)
		shutdown(l->inner_fd, SHUT_WR);
	l->hangs_told = true;
}

static void break_outer(struct line *l)
{
	leave_handshake(l, OUTER_BROKEN);
	l->outer = OUTER_BROKEN;
	buf_clear(&l->up);
	buf_clear(&l->down);
	tell_hang_up(l);
}

/* --- the client's side ------------------------------------------------------------------------ */

/* Somebody who left the "s" out of "https" is told so, in the clear. */
static void answer_plain_http(const struct line *l)
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

	if (send(l->outer_fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("a client without TLS couldn't be told so");
}

static void fail(struct line *l)
{
	unsigned long error = ERR_peek_error();
	const char *reason = ERR_reason_error_string(error);

	if (l->outer == OUTER_SHAKING) {
		log_debug("a TLS handshake failed", LOG_STR("error", reason ? reason : "hung up"));
		if (ERR_GET_REASON(error) == SSL_R_HTTP_REQUEST)
			answer_plain_http(l);
	}
	break_outer(l);
}

/* What an SSL function's return means; true: it is to be called again when something happens. */
static bool must_wait(struct line *l, int returned)
{
	switch (SSL_get_error(l->ssl, returned)) {
	case SSL_ERROR_WANT_READ:
		return true;
	case SSL_ERROR_WANT_WRITE:
		l->wants_write = true;
		return true;
	case SSL_ERROR_ZERO_RETURN:
		leave_handshake(l, OUTER_ENDED);
		l->outer = OUTER_ENDED;
		return false;
	default:
		fail(l);
		return false;
	}
}

static void shake_hands(struct line *l)
{
	int r;

	ERR_clear_error();
	r = SSL_accept(l->ssl);
	if (r == 1) {
		leave_handshake(l, OUTER_OPEN);
	} else {
		must_wait(l, r);
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
static bool flush_up(struct line *l)
{
	ssize_t n = 0;

	if (l->up.len)
		n = send(l->inner_fd, l->up.data, l->up.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN)
		buf_clear(&l->up); /* it doesn't listen any more */
	else if (n > 0)
		taken(&l->up, (size_t)n);
	return !l->up.len;
}

/* One piece. False: nothing more can be done now. */
static bool pass_up(struct line *l)
{
	char *to;
	int n;

	if (!flush_up(l) || l->outer != OUTER_OPEN)
		return false;
	to = buf_reserve(&l->up, PIECE);
	ERR_clear_error();
	n = SSL_read(l->ssl, to, PIECE);
	if (n > 0) {
		l->up.len = (size_t)n;
		return flush_up(l);
	}
	buf_clear(&l->up);
	if (!must_wait(l, n))
		tell_hang_up(l);
	return false;
}

/* To the client. False: it has no room. */
static bool flush_down(struct line *l)
{
	int n;

	if (!l->down.len)
		return true;
	ERR_clear_error();
	n = SSL_write(l->ssl, l->down.data, (int)l->down.len);
	if (n > 0)
		taken(&l->down, (size_t)n);
	else
		must_wait(l, n);
	return !l->down.len;
}

static bool pass_down(struct line *l)
{
	ssize_t n;

	if (l->outer == OUTER_SHAKING || l->outer == OUTER_BROKEN || !flush_down(l) ||
	    l->inner != INNER_OPEN)
		return false;
	n = recv(l->inner_fd, buf_reserve(&l->down, PIECE), PIECE, MSG_DONTWAIT);
	if (n > 0) {
		l->down.len = (size_t)n;
		return flush_down(l);
	}
	buf_clear(&l->down);
	if (!n || errno != EAGAIN)
		l->inner = INNER_ENDED;
	return false;
}

/* Nobody is there to hear it: what the server still writes is thrown away until it leaves. */
static void throw_away(struct line *l)
{
	char piece[PIECE];
	ssize_t n = 1;

	while (n > 0)
		n = recv(l->inner_fd, piece, sizeof piece, MSG_DONTWAIT);
	if (!n || errno != EAGAIN)
		l->inner = INNER_CLOSED;
}

/* The last word to the client: it is told that this was all. */
static void close_down(struct line *l)
{
	int r;

	ERR_clear_error();
	r = SSL_shutdown(l->ssl);
	if (r < 0 && SSL_get_error(l->ssl, r) == SSL_ERROR_WANT_WRITE) {
		l->wants_write = true;
		return;
	}
	shutdown(l->outer_fd, SHUT_WR);
	l->inner = INNER_CLOSED;
}

/* --- events ----------------------------------------------------------------------------------- */

static void watch_both(struct line *l)
{
	int outer = 0, inner = 0;

	if (l->outer != OUTER_BROKEN) {
		outer |= l->up.len || l->outer == OUTER_ENDED ? 0 : UV_READABLE;
		outer |= l->wants_write ? UV_WRITABLE : 0;
		outer |= l->hung_up ? 0 : UV_DISCONNECT;
	}
	inner |= l->inner == INNER_OPEN && !l->down.len && l->outer != OUTER_SHAKING ? UV_READABLE
										     : 0;
	inner |= l->up.len ? UV_WRITABLE : 0;
	if (outer != l->outer_events)
		watch_for(l->outer_watch, l->outer_events = outer);
	if (inner != l->inner_events)
		watch_for(l->inner_watch, l->inner_events = inner);
}

/* The server has left, and the client has all that it can have. */
static bool is_over(const struct line *l)
{
	return l->left && (l->inner == INNER_CLOSED || l->outer == OUTER_SHAKING ||
			   l->outer == OUTER_BROKEN || l->tls->hurry);
}

static void advance(struct job *job)
{
	struct line *l = container_of(job, struct line, advance);
	int budget = PIECES_PER_JOB;

	l->wants_write = false;
	if (l->outer == OUTER_SHAKING)
		shake_hands(l);
	while (budget && pass_up(l))
		budget--;
	while (budget && pass_down(l))
		budget--;
	if (l->hung_up)
		tell_hang_up(l);
	if (l->outer == OUTER_BROKEN && l->inner == INNER_OPEN)
		throw_away(l);
	if (l->inner == INNER_ENDED && !l->down.len)
		close_down(l);
	if (is_over(l)) {
		line_over(l);
		return;
	}
	if (budget)
		watch_both(l);
	else
		loop_defer(l->tls->loop, &l->advance);
}

static void on_outer(void *arg, int error, int events)
{
	struct line *l = arg;

	if (error < 0 || events & UV_DISCONNECT)
		l->hung_up = true;
	if (error < 0)
		break_outer(l);
	loop_defer(l->tls->loop, &l->advance);
}

static void on_inner(void *arg, int error, int events)
{
	struct line *l = arg;

	(void)error, (void)events;
	loop_defer(l->tls->loop, &l->advance);
}

/* --- the server's side ------------------------------------------------------------------------ */

static struct line *line_of(struct tls *t, int fd)
{
	struct line *l;

	HASH_FIND_INT(t->by_fd, &fd, l);
	must(l);
	return l;
}

void tls_server_left(struct tls *t, int fd, const char *address)
{
	struct line *l = line_of(t, fd);

	HASH_DEL(t->by_fd, l);
	list_append(&t->left, &l->link);
	l->left = true;
	strcpy(l->address, address);
	l->limit = timer_new(t->loop, on_limit, l);
	timer_start(l->limit, *t->options.stall_timeout_ms);
	loop_defer(t->loop, &l->advance);
}

void tls_line_reset(struct tls *t, int fd)
{
	struct line *l = line_of(t, fd);

	socket_reset(l->outer_fd);
	break_outer(l);
	loop_defer(t->loop, &l->advance);
}

void tls_hurry(struct tls *t)
{
	struct line *l;

	t->hurry = true;
	list_for_each (l, &t->left, link)
		loop_defer(t->loop, &l->advance);
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

int tls_line_new(struct tls *t, int fd)
{
	const int on = 1;
	struct line *l;

	must(t->pair[0] >= 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* fails on a Unix socket */
	l = xcalloc(1, sizeof *l);
	l->tls = t;
	l->advance.run = advance;
	l->outer_fd = fd;
	l->inner_fd = t->pair[0];
	l->server_fd = t->pair[1];
	t->pair[0] = t->pair[1] = -1;
	l->ssl = SSL_new(t->options.identity->ctx);
	must(l->ssl && SSL_set_fd(l->ssl, fd));
	l->outer_watch = watch_new(t->loop, fd, on_outer, l);
	l->inner_watch = watch_new(t->loop, l->inner_fd, on_inner, l);
	HASH_ADD_INT(t->by_fd, server_fd, l);
	loop_defer(t->loop, &l->advance);
	return l->server_fd;
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
