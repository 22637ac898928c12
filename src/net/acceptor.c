/*
 * acceptor.c - accepting within limits.
 *
 * libmicrohttpd could accept by itself, but out of descriptors it either spins (if it has no
 * connection yet) or waits until one of its own ends, and it tells nobody whom it turned away.
 *
 *      OPEN ──full──> FULL ──one is closed──> OPEN                any ──acceptor_stop()──> STOPPED
 *        └──EMFILE …, or full and one was asked to close──> RESTING ──timer, one is closed──> OPEN
 */
#include "net/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/listener.h"
#include "net/peer.h"
#include "net/watch.h"

enum {
	REST_MS = 100,
	ACCEPTS_PER_TURN = 16, /* of the loop: each of them is a request to be served soon */
	QUIET_MS = 1000,       /* between two lines about the same trouble */
	SPARE_DESCRIPTORS = 5, /* the upstream's, and a pair each for libcurl and its resolver */
};

enum acceptor_state { ACCEPTOR_OPEN, ACCEPTOR_FULL, ACCEPTOR_RESTING, ACCEPTOR_STOPPED };

/* Connections from one address; gone with the last of them. */
struct origin {
	char address[PEER_ADDRESS_MAX];
	int64_t connections;
	UT_hash_handle hh;
};

struct acceptor {
	struct loop *loop;
	struct acceptor_options options;
	struct acceptor_stats stats;
	enum acceptor_state state;
	int fd;
	bool is_taken;
	char *address;
	struct watch *poll;
	struct job accept;
	struct timer *rest;
	struct origin *origins;
	int64_t logged_ms; /* when the last line was logged */
};

static void move(struct acceptor *a, enum acceptor_state to)
{
	if (a->state == to || a->state == ACCEPTOR_STOPPED)
		return;
	a->state = to;
	timer_stop(a->rest);
	watch_for(a->poll, to == ACCEPTOR_OPEN ? UV_READABLE : 0);
	if (to == ACCEPTOR_RESTING)
		timer_start(a->rest, REST_MS);
}

static void on_rested(void *arg)
{
	move(arg, ACCEPTOR_OPEN);
}

/* Such trouble comes in floods: one line a second tells of it. */
static bool may_log(struct acceptor *a)
{
	if (a->logged_ms && clock_ms() < a->logged_ms + QUIET_MS)
		return false;
	a->logged_ms = clock_ms();
	return true;
}

/* --- per address ------------------------------------------------------------------------------ */

static struct origin *origin_of(struct acceptor *a, const char *address)
{
	struct origin *o;

	HASH_FIND_STR(a->origins, address, o);
	return o;
}

static bool count_in(struct acceptor *a, const char *address)
{
	struct origin *o = origin_of(a, address);
	int64_t max = *a->options.max_per_address;

	if (max && address[0] && o && o->connections >= max)
		return false;
	if (!o) {
		o = xcalloc(1, sizeof *o);
		strcpy(o->address, address);
		HASH_ADD_STR(a->origins, address, o);
	}
	o->connections++;
	a->stats.open++;
	return true;
}

static void count_out(struct acceptor *a, const char *address)
{
	struct origin *o = origin_of(a, address);

	must(o && o->connections > 0);
	a->stats.open--;
	if (--o->connections)
		return;
	HASH_DEL(a->origins, o);
	free(o);
}

/* The answer comes before anything was read; if it doesn't get there, the close does. */
static void refuse(struct acceptor *a, int fd, const char *address)
{
	struct span text = a->options.refusal;
	ssize_t sent = text.len ? send(fd, text.ptr, text.len, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;

	close(fd);
	a->stats.refused++;
	if (may_log(a))
		log_warn("too many connections from one address", LOG_STR("client", address),
			 LOG_INT("refused", a->stats.refused), LOG_BOOL("told", sent > 0));
}

/* --- accepting -------------------------------------------------------------------------------- */

static void out_of_resources(struct acceptor *a, int error)
{
	a->stats.out_of_resources++;
	if (may_log(a))
		log_warn("can't accept connections; raise the limit of open files (ulimit -n) or "
			 "lower listen.max_connections",
			 LOG_STR("error", strerror(error)), LOG_INT("connections", a->stats.open));
	move(a, ACCEPTOR_RESTING);
}

/* False: no connection waits, or there is nothing to serve it with. */
static bool accept_one(struct acceptor *a)
{
	struct sockaddr_storage from = { 0 };
	socklen_t len = sizeof from;
	char address[PEER_ADDRESS_MAX];
	int fd, r = a->options.prepare ? a->options.prepare(a->options.arg) : 0;

	if (r < 0) {
		out_of_resources(a, -r);
		return false;
	}
	fd = accept4(a->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
		out_of_resources(a, errno);
	if (fd < 0) /* one that hung up before being accepted is no reason to stop */
		return errno == ECONNABORTED || errno == EINTR;
	peer_address((struct sockaddr *)&from, address);
	if (!count_in(a, address)) {
		refuse(a, fd, address);
		return true;
	}
	a->stats.accepted++;
	errno = 0;
	if (!a->options.accepted(a->options.arg, fd, (struct sockaddr *)&from, len)) {
		out_of_resources(a, errno ? errno : ENOMEM);
		count_out(a, address);
	}
	return true;
}

/* If none can be asked to close now, one may be idle a moment later: so it is tried again. */
static void become_full(struct acceptor *a)
{
	a->stats.full++;
	if (!a->options.make_room) {
		move(a, ACCEPTOR_FULL);
		return;
	}
	if (a->options.make_room(a->options.arg) && may_log(a))
		log_warn("too many connections: the one that kept silent for longest is closed",
			 LOG_STR("listener", a->options.name),
			 LOG_INT("connections", a->stats.open));
	move(a, ACCEPTOR_RESTING);
}

/* Descriptors that are kept free while accepting: accepted connections must be served as well. */
struct spare {
	int fds[SPARE_DESCRIPTORS];
	int count;
};

static int spare_open(struct spare *s, int fd)
{
	for (s->count = 0; s->count < SPARE_DESCRIPTORS; s->count++) {
		s->fds[s->count] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (s->fds[s->count] < 0)
			return -errno;
	}
	return 0;
}

static void spare_close(struct spare *s)
{
	while (s->count)
		close(s->fds[--s->count]);
}

static void accept_some(struct acceptor *a)
{
	CLEANUP(spare_close) struct spare spare;
	int r = spare_open(&spare, a->fd);

	if (r < 0) {
		out_of_resources(a, -r);
		return;
	}
	for (int i = 0; i < ACCEPTS_PER_TURN && a->state == ACCEPTOR_OPEN; i++) {
		if (a->stats.open >= a->options.max_connections || !accept_one(a))
			return; /* if one still waits, this is called again */
		if (loop_is_late(a->loop))
			return;
	}
}

static void run_accept(struct job *job)
{
	struct acceptor *a = container_of(job, struct acceptor, accept);

	if (a->state != ACCEPTOR_OPEN)
		return;
	if (a->stats.open >= a->options.max_connections)
		become_full(a);
	else
		accept_some(a);
}

/* Those who are here already come first. */
static void on_ready(void *arg, int error, int events)
{
	struct acceptor *a = arg;

	(void)error, (void)events;
	loop_defer_last(a->loop, &a->accept);
}

void acceptor_closed(struct acceptor *a, const char *address)
{
	count_out(a, address);
	if (a->state == ACCEPTOR_FULL || a->state == ACCEPTOR_RESTING)
		move(a, ACCEPTOR_OPEN);
}

const char *acceptor_address(const struct acceptor *a)
{
	return a->address;
}

void acceptor_stats(const struct acceptor *a, struct acceptor_stats *ret)
{
	*ret = a->stats;
}

void acceptor_take_backlog(struct acceptor *a)
{
	while (a->state == ACCEPTOR_OPEN && a->stats.open < a->options.max_connections &&
	       accept_one(a))
		continue;
}

/* A socket that isn't ours alone (yet): the other process needs its path. */
static bool is_shared(const struct acceptor *a)
{
	return a->is_taken && !takeover_client_is_finished(a->options.takeover);
}

void acceptor_stop(struct acceptor *a, bool taken_over)
{
	if (a->state == ACCEPTOR_STOPPED)
		return;
	move(a, ACCEPTOR_STOPPED);
	watch_clear(&a->poll);
	job_cancel(&a->accept);
	listener_close(a->fd, taken_over || is_shared(a) ? NULL : a->address);
	a->fd = -1;
}

int acceptor_descriptor(const struct acceptor *a)
{
	return a->fd;
}

int acceptor_open(struct loop *loop, const struct acceptor_options *options, struct buf *errors,
		  struct acceptor **ret)
{
	char *address = NULL;
	int fd = takeover_client_take(options->takeover, options->name, options->address);
	bool is_taken = fd >= 0;
	struct acceptor *a;

	if (is_taken) {
		listener_widen(fd);
		address = listener_address(fd, options->address);
	} else {
		fd = listener_open(options->name, options->address, errors, &address);
	}
	if (fd < 0)
		return fd;
	a = xcalloc(1, sizeof *a);
	a->loop = loop;
	a->options = *options;
	a->fd = fd;
	a->is_taken = is_taken;
	a->address = address;
	a->accept.run = run_accept;
	a->rest = timer_new(loop, on_rested, a);
	a->poll = watch_new(loop, fd, on_ready, a);
	watch_for(a->poll, UV_READABLE);
	*ret = a;
	return 0;
}

void acceptor_free(struct acceptor *a)
{
	if (!a)
		return;
	must(!a->stats.open && !a->origins);
	acceptor_stop(a, false);
	timer_clear(&a->rest);
	free(a->address);
	free(a);
}
