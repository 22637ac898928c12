#include "net/connections.h"

#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/peer.h"

struct connections {
	struct connections_options options;
	struct acceptor *acceptor;
	struct tls *tls;                /* or NULL */
	struct idle_list *fresh, *idle; /* before the first request; between two */
	enum connections_end end;
};

void connections_add_idle(struct connections *c, struct idle_entry *entry, bool is_new)
{
	const struct connections_options *o = &c->options;
	bool is_fresh = is_new && *o->header_timeout_ms < *o->idle_timeout_ms;

	idle_list_add(is_fresh ? c->fresh : c->idle, entry);
	if (c->end == CONNECTIONS_CUT)
		shutdown(entry->fd, SHUT_RDWR);
}

static int on_prepare(void *arg)
{
	struct connections *c = arg;
	const struct acceptor_options *o = &c->options.acceptor;
	int r = c->tls ? tls_prepare(c->tls) : 0;

	return r < 0 || !o->prepare ? r : o->prepare(o->arg);
}

/* With TLS the server gets another descriptor; one that it couldn't take is closed by now. */
static bool on_accepted(void *arg, int fd, const struct sockaddr *from, socklen_t len)
{
	struct connections *c = arg;
	const struct acceptor_options *o = &c->options.acceptor;
	char address[PEER_ADDRESS_MAX];

	if (!c->tls)
		return o->accepted(o->arg, fd, from, len);
	fd = tls_connection_new(c->tls, fd);
	peer_address(from, address);
	if (!o->accepted(o->arg, fd, from, len))
		tls_server_left(c->tls, fd, address);
	return true;
}

static void on_closed(void *arg, const char *address)
{
	struct connections *c = arg;

	acceptor_closed(c->acceptor, address);
	if (c->options.closed)
		c->options.closed(c->options.arg);
}

static struct idle_entry *longest_idle(const struct connections *c)
{
	struct idle_entry *a = idle_list_oldest(c->fresh), *b = idle_list_oldest(c->idle);

	return !a || (b && b->since_ms < a->since_ms) ? b : a;
}

/* Has sent what the loop hasn't read yet: its request is on its way. */
static bool has_sent(const struct idle_entry *entry)
{
	char c;

	return recv(entry->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/*
 * It stays on its list until it is closed, so that it is the same one if this is called before.
 */
static bool on_make_room(void *arg)
{
	struct connections *c = arg;
	struct idle_entry *entry = longest_idle(c);

	if (!entry)
		return c->options.make_room && c->options.make_room(c->options.arg);
	if (clock_ms() - entry->since_ms < c->options.make_room_after_ms || has_sent(entry))
		return false;
	shutdown(entry->fd, SHUT_RDWR);
	return true;
}

void connections_closing(struct connections *c, int fd, const char *address)
{
	if (c->tls)
		tls_server_left(c->tls, fd, address);
	else
		on_closed(c, address);
}

void connections_reset(struct connections *c, int fd)
{
	if (c->tls)
		tls_connection_reset(c->tls, fd);
	else
		peer_reset(fd);
}

void connections_use(struct connections *c, struct tls_identity *identity)
{
	must(c->tls);
	tls_use(c->tls, identity);
}

static void cut_idle(struct connections *c)
{
	idle_list_shutdown(c->fresh);
	idle_list_shutdown(c->idle);
}

void connections_quiesce(struct connections *c, enum connections_end how)
{
	if (how <= c->end)
		return;
	if (how == CONNECTIONS_RETIRE)
		acceptor_take_backlog(c->acceptor);
	acceptor_stop(c->acceptor, how == CONNECTIONS_TAKEN_OVER);
	c->end = how;
	if (how == CONNECTIONS_CUT)
		cut_idle(c);
}

bool connections_are_ending(const struct connections *c)
{
	return c->end != CONNECTIONS_OPEN;
}

void connections_cut_idle(struct connections *c)
{
	cut_idle(c);
	if (c->tls)
		tls_hurry(c->tls);
}

const char *connections_address(const struct connections *c)
{
	return acceptor_address(c->acceptor);
}

int connections_descriptor(const struct connections *c)
{
	return acceptor_descriptor(c->acceptor);
}

int64_t connections_count(const struct connections *c)
{
	struct acceptor_stats acceptor;

	acceptor_stats(c->acceptor, &acceptor);
	return acceptor.open;
}

void connections_stats(const struct connections *c, struct connections_stats *ret)
{
	*ret = (struct connections_stats){ 0 };
	acceptor_stats(c->acceptor, &ret->acceptor);
	if (c->tls)
		tls_stats(c->tls, &ret->tls);
	ret->header_timeouts = idle_list_timeouts(c->fresh);
	ret->idle_timeouts = idle_list_timeouts(c->idle);
}

static void connections_freep(struct connections **c)
{
	connections_free(*c);
}

int connections_open(struct loop *loop, const struct connections_options *options,
		     struct buf *errors, struct connections **ret)
{
	CLEANUP(connections_freep) struct connections *c = xcalloc(1, sizeof *c);
	struct acceptor_options acceptor = options->acceptor;
	int r;

	c->options = *options;
	acceptor.prepare = on_prepare;
	acceptor.accepted = on_accepted;
	acceptor.make_room = options->make_room_after_ms >= 0 ? on_make_room : NULL;
	acceptor.arg = c;
	if (options->identity)
		acceptor.refusal = (struct span){ 0 }; /* before a handshake nothing can be said */
	if (options->identity)
		c->tls = tls_new(loop, &(struct tls_options){
					       .identity = options->identity,
					       .stall_timeout_ms = options->stall_timeout_ms,
					       .over = on_closed,
					       .arg = c,
				       });
	c->fresh = idle_list_new(loop, options->header_timeout_ms);
	c->idle = idle_list_new(loop, options->idle_timeout_ms);
	r = acceptor_open(loop, &acceptor, errors, &c->acceptor);
	if (r < 0)
		return r;
	*ret = steal(&c);
	return 0;
}

void connections_free(struct connections *c)
{
	if (!c)
		return;
	tls_free(c->tls);
	acceptor_free(c->acceptor);
	idle_list_free(c->fresh);
	idle_list_free(c->idle);
	free(c);
}
