/*
 * door.c - who may come in.
 *
 * libmicrohttpd could accept by itself, but out of descriptors it either spins (if it has no
 * connection yet) or waits until one of its own ends, and it tells nobody whom it turned away.
 *
 *      OPEN ──full──> FULL ──door_left()──> OPEN                       any ──door_shut()──> SHUT
 *        └──EMFILE …, or full and somebody is asked to leave──> RESTING ──timer or door_left()──> OPEN
 */
#include "net/door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/listener.h"
#include "net/watch.h"

enum {
	REST_MS = 100,
	ARRIVALS_PER_EVENT = 64, /* then others have a chance */
	QUIET_MS = 1000,         /* between two lines about the same trouble */
	SPARE_DESCRIPTORS = 5,   /* the upstream's, and a pair each for libcurl and its resolver */
};

enum door_state { DOOR_OPEN, DOOR_FULL, DOOR_RESTING, DOOR_SHUT };

/* Connections from one address; gone with the last of them. */
struct origin {
	char address[DOOR_ADDRESS_MAX];
	int64_t connections;
	UT_hash_handle hh;
};

struct door {
	struct loop *loop;
	struct door_options options;
	struct door_stats stats;
	enum door_state state;
	int fd;
	bool inherited;
	char *address;
	struct watch *poll;
	struct timer *rest;
	struct origin *origins;
	int64_t complained_ms; /* when the last line was logged */
};

static void move(struct door *d, enum door_state to)
{
	if (d->state == to || d->state == DOOR_SHUT)
		return;
	d->state = to;
	timer_stop(d->rest);
	watch_for(d->poll, to == DOOR_OPEN ? UV_READABLE : 0);
	if (to == DOOR_RESTING)
		timer_start(d->rest, REST_MS);
}

static void on_rested(void *arg)
{
	move(arg, DOOR_OPEN);
}

/* Trouble at the door comes in floods: one line a second tells of it. */
static bool may_complain(struct door *d)
{
	if (d->complained_ms && clock_ms() < d->complained_ms + QUIET_MS)
		return false;
	d->complained_ms = clock_ms();
	return true;
}

/* --- per address ------------------------------------------------------------------------------ */

static struct origin *origin_of(struct door *d, const char *address)
{
	struct origin *o;

	HASH_FIND_STR(d->origins, address, o);
	return o;
}

static bool admit(struct door *d, const char *address)
{
	struct origin *o = origin_of(d, address);
	int64_t max = *d->options.max_per_address;

	if (max && address[0] && o && o->connections >= max)
		return false;
	if (!o) {
		o = xcalloc(1, sizeof *o);
		strcpy(o->address, address);
		HASH_ADD_STR(d->origins, address, o);
	}
	o->connections++;
	d->stats.inside++;
	return true;
}

static void dismiss(struct door *d, const char *address)
{
	struct origin *o = origin_of(d, address);

	must(o && o->connections > 0);
	d->stats.inside--;
	if (--o->connections)
		return;
	HASH_DEL(d->origins, o);
	free(o);
}

/* Told without having read a word of it; if it doesn't get there, the close does. */
static void turn_away(struct door *d, int fd, const char *address)
{
	struct span text = d->options.refusal;
	ssize_t sent = text.len ? send(fd, text.ptr, text.len, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;

	close(fd);
	d->stats.refused++;
	if (may_complain(d))
		log_warn("too many connections from one address", LOG_STR("client", address),
			 LOG_INT("refused", d->stats.refused), LOG_BOOL("told", sent > 0));
}

/* --- arrivals --------------------------------------------------------------------------------- */

static void out_of_resources(struct door *d, int error)
{
	d->stats.out_of_resources++;
	if (may_complain(d))
		log_warn("can't accept connections; raise the limit of open files (ulimit -n) or "
			 "lower listen.max_connections",
			 LOG_STR("error", strerror(error)),
			 LOG_INT("connections", d->stats.inside));
	move(d, DOOR_RESTING);
}

/* False when there is nobody left, or nothing to let them in with. */
static bool accept_one(struct door *d)
{
	struct sockaddr_storage from = { 0 };
	socklen_t len = sizeof from;
	char address[DOOR_ADDRESS_MAX];
	int fd, r = d->options.prepare ? d->options.prepare(d->options.arg) : 0;

	if (r < 0) {
		out_of_resources(d, -r);
		return false;
	}
	fd = accept4(d->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
		out_of_resources(d, errno);
	if (fd < 0) /* who hung up before being accepted is no reason to stop */
		return errno == ECONNABORTED || errno == EINTR;
	door_name((struct sockaddr *)&from, address);
	if (!admit(d, address)) {
		turn_away(d, fd, address);
		return true;
	}
	d->stats.arrived++;
	errno = 0;
	if (!d->options.arrived(d->options.arg, fd, (struct sockaddr *)&from, len)) {
		out_of_resources(d, errno ? errno : ENOMEM);
		dismiss(d, address);
	}
	return true;
}

/* Who can't be asked to leave now may be idle a moment later, and stay: so it is tried again. */
static void become_full(struct door *d)
{
	d->stats.full++;
	if (!d->options.full) {
		move(d, DOOR_FULL);
		return;
	}
	if (d->options.full(d->options.arg) && may_complain(d))
		log_warn("too many connections: the one that kept silent for longest is closed",
			 LOG_STR("listener", d->options.name),
			 LOG_INT("connections", d->stats.inside));
	move(d, DOOR_RESTING);
}

/* Descriptors that are set aside while people are let in: who is inside must be served as well. */
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

static void let_in(struct door *d)
{
	CLEANUP(spare_close) struct spare spare;
	int r = spare_open(&spare, d->fd);

	if (r < 0) {
		out_of_resources(d, -r);
		return;
	}
	for (int i = 0; i < ARRIVALS_PER_EVENT && d->state == DOOR_OPEN; i++) {
		if (d->stats.inside >= d->options.max_connections || !accept_one(d))
			return; /* if somebody is left outside, this is called again */
	}
}

static void on_ready(void *arg, int error, int events)
{
	struct door *d = arg;

	(void)error, (void)events;
	if (d->stats.inside >= d->options.max_connections)
		become_full(d);
	else
		let_in(d);
}

void door_left(struct door *d, const char *address)
{
	dismiss(d, address);
	if (d->state == DOOR_FULL || d->state == DOOR_RESTING)
		move(d, DOOR_OPEN);
}

void door_name(const struct sockaddr *from, char ret[DOOR_ADDRESS_MAX])
{
	ret[0] = '\0';
	if (from && from->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)from)->sin_addr, ret,
			  DOOR_ADDRESS_MAX);
	else if (from && from->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)from)->sin6_addr, ret,
			  DOOR_ADDRESS_MAX);
}

const char *door_address(const struct door *d)
{
	return d->address;
}

void door_stats(const struct door *d, struct door_stats *ret)
{
	*ret = d->stats;
}

void door_empty(struct door *d)
{
	while (d->state == DOOR_OPEN && d->stats.inside < d->options.max_connections &&
	       accept_one(d))
		continue;
}

/* A socket that isn't ours alone (yet): who has it needs its path. */
static bool is_shared(const struct door *d)
{
	return d->inherited && !inheritance_accepted(d->options.inheritance);
}

void door_shut(struct door *d, bool handed_over)
{
	if (d->state == DOOR_SHUT)
		return;
	move(d, DOOR_SHUT);
	watch_clear(&d->poll);
	listener_close(d->fd, handed_over || is_shared(d) ? NULL : d->address);
	d->fd = -1;
}

int door_descriptor(const struct door *d)
{
	return d->fd;
}

int door_open(struct loop *loop, const struct door_options *options, struct buf *errors,
	      struct door **ret)
{
	char *address = NULL;
	int fd = inheritance_take(options->inheritance, options->name, options->address);
	bool inherited = fd >= 0;
	struct door *d;

	if (inherited)
		address = listener_address(fd, options->address);
	else
		fd = listener_open(options->name, options->address, errors, &address);
	if (fd < 0)
		return fd;
	d = xcalloc(1, sizeof *d);
	d->loop = loop;
	d->options = *options;
	d->fd = fd;
	d->inherited = inherited;
	d->address = address;
	d->rest = timer_new(loop, on_rested, d);
	d->poll = watch_new(loop, fd, on_ready, d);
	watch_for(d->poll, UV_READABLE);
	*ret = d;
	return 0;
}

void door_free(struct door *d)
{
	if (!d)
		return;
	must(!d->stats.inside && !d->origins);
	door_shut(d, false);
	timer_clear(&d->rest);
	free(d->address);
	free(d);
}
