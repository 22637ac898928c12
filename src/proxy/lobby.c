#include "proxy/lobby.h"

#include <sys/socket.h>

#include "base/mem.h"

struct lobby {
	struct lobby_options options;
	struct door *door;
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

void lobby_leave(struct lobby *l, const char *address)
{
	door_left(l->door, address);
	l->options.left(l->options.arg);
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
		lobby_cut_idle(l);
}

bool lobby_is_ending(const struct lobby *l)
{
	return l->end != LOBBY_OPEN;
}

void lobby_cut_idle(struct lobby *l)
{
	lounge_clear(l->fresh);
	lounge_clear(l->idle);
}

const char *lobby_address(const struct lobby *l)
{
	return door_address(l->door);
}

int lobby_descriptor(const struct lobby *l)
{
	return door_descriptor(l->door);
}

void lobby_stats(const struct lobby *l, struct lobby_stats *ret)
{
	door_stats(l->door, &ret->door);
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
	int r;

	l->options = *options;
	l->fresh = lounge_new(loop, options->header_timeout_ms);
	l->idle = lounge_new(loop, options->idle_timeout_ms);
	r = door_open(loop, &options->door, errors, &l->door);
	if (r < 0)
		return r;
	*ret = steal(&l);
	return 0;
}

void lobby_free(struct lobby *l)
{
	if (!l)
		return;
	door_free(l->door);
	lounge_free(l->fresh);
	lounge_free(l->idle);
	free(l);
}
