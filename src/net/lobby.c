#include "net/lobby.h"

#include <sys/socket.h>

#include "base/mem.h"
#include "net/reset.h"

struct lobby {
	struct lobby_options options;
	struct door *door;
	struct tls *tls;             /* or NULL */
	struct lounge *fresh, *idle; /* before the first request; between two */
	enum lobby_end end;
};

void lobby_sit(struct lobby *l, struct seat *seat, bool is_new)
{
	const struct lobby_options *o = &l->options;
	bool is_fresh = is_new && *o->header_timeout_ms < *o->idle_timeout_ms;

	lounge_enter(is_fresh ? l->fresh : l->idle, seat);
	if (l->end == LOBBY_CUT)
		shutdown(seat->fd, SHUT_RDWR);
}

static int on_prepare(void *arg)
{
	struct lobby *l = arg;
	const struct door_options *o = &l->options.door;
	int r = l->tls ? tls_prepare(l->tls) : 0;

	return r < 0 || !o->prepare ? r : o->prepare(o->arg);
}

/* With TLS the server gets another descriptor; one that it couldn't take is closed by now. */
static bool on_arrived(void *arg, int fd, const struct sockaddr *from, socklen_t len)
{
	struct lobby *l = arg;
	const struct door_options *o = &l->options.door;
	char address[DOOR_ADDRESS_MAX];

	if (!l->tls)
		return o->arrived(o->arg, fd, from, len);
	fd = tls_line_new(l->tls, fd);
	door_name(from, address);
	if (!o->arrived(o->arg, fd, from, len))
		tls_server_left(l->tls, fd, address);
	return true;
}

static void on_left(void *arg, const char *address)
{
	struct lobby *l = arg;

	door_left(l->door, address);
	if (l->options.left)
		l->options.left(l->options.arg);
}

static struct seat *longest_idle(const struct lobby *l)
{
	struct seat *a = lounge_oldest(l->fresh), *b = lounge_oldest(l->idle);

	return !a || (b && b->since_ms < a->since_ms) ? b : a;
}

/*
 * It stays in its lounge until it is closed, so that it is the same one if this is called before.
 */
static bool on_full(void *arg)
{
	struct lobby *l = arg;
	struct seat *seat = longest_idle(l);

	if (!seat)
		return l->options.crowded(l->options.arg);
	shutdown(seat->fd, SHUT_RDWR);
	return true;
}

void lobby_leave(struct lobby *l, int fd, const char *address)
{
	if (l->tls)
		tls_server_left(l->tls, fd, address);
	else
		on_left(l, address);
}

void lobby_reset(struct lobby *l, int fd)
{
	if (l->tls)
		tls_line_reset(l->tls, fd);
	else
		socket_reset(fd);
}

void lobby_use(struct lobby *l, struct tls_identity *identity)
{
	must(l->tls);
	tls_use(l->tls, identity);
}

static void cut_idle(struct lobby *l)
{
	lounge_clear(l->fresh);
	lounge_clear(l->idle);
}

void lobby_quiesce(struct lobby *l, enum lobby_end how)
{
	if (how <= l->end)
		return;
	if (how == LOBBY_RETIRE)
		door_empty(l->door);
	door_shut(l->door, how == LOBBY_HAND_OVER);
	l->end = how;
	if (how == LOBBY_CUT)
		cut_idle(l);
}

bool lobby_is_ending(const struct lobby *l)
{
	return l->end != LOBBY_OPEN;
}

void lobby_cut_idle(struct lobby *l)
{
	cut_idle(l);
	if (l->tls)
		tls_hurry(l->tls);
}

const char *lobby_address(const struct lobby *l)
{
	return door_address(l->door);
}

int lobby_descriptor(const struct lobby *l)
{
	return door_descriptor(l->door);
}

int64_t lobby_connections(const struct lobby *l)
{
	struct door_stats door;

	door_stats(l->door, &door);
	return door.inside;
}

void lobby_stats(const struct lobby *l, struct lobby_stats *ret)
{
	*ret = (struct lobby_stats){ 0 };
	door_stats(l->door, &ret->door);
	if (l->tls)
		tls_stats(l->tls, &ret->tls);
	ret->header_timeouts = lounge_timeouts(l->fresh);
	ret->idle_timeouts = lounge_timeouts(l->idle);
}

static void lobby_freep(struct lobby **l)
{
	lobby_free(*l);
}

int lobby_open(struct loop *loop, const struct lobby_options *options, struct buf *errors,
	       struct lobby **ret)
{
	CLEANUP(lobby_freep) struct lobby *l = xcalloc(1, sizeof *l);
	struct door_options door = options->door;
	int r;

	l->options = *options;
	door.prepare = on_prepare;
	door.arrived = on_arrived;
	door.full = options->crowded ? on_full : NULL;
	door.arg = l;
	if (options->identity)
		door.refusal = (struct span){ 0 }; /* before a handshake nothing can be said */
	if (options->identity)
		l->tls = tls_new(loop, &(struct tls_options){
					       .identity = options->identity,
					       .stall_timeout_ms = options->stall_timeout_ms,
					       .over = on_left,
					       .arg = l,
				       });
	l->fresh = lounge_new(loop, options->header_timeout_ms);
	l->idle = lounge_new(loop, options->idle_timeout_ms);
	r = door_open(loop, &door, errors, &l->door);
	if (r < 0)
		return r;
	*ret = steal(&l);
	return 0;
}

void lobby_free(struct lobby *l)
{
	if (!l)
		return;
	tls_free(l->tls);
	door_free(l->door);
	lounge_free(l->fresh);
	lounge_free(l->idle);
	free(l);
}
