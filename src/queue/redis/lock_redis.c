/*
 * lock_redis.c - turns of all processes that share a Redis: the connections and their ups and
 * downs.
 *
 *      nodes        calls of scripts, and leases   ┐
 *      sub link     messages: grants for us        ├──> tickets.c ──> tickets
 *      sweep        over the nodes: what crashes left ┘
 *
 * A node going down: enters without an answer fail, as do those that come while it is down, from
 * command_timeout_ms after its last sign of life on. Waiters have redis.outage_ms for it to come back.
 * Then every waiter is touched: who has the turn learns so, who has lost its place enters again, with
 * the rank that it had. What couldn't be given back is tried again then, too, until
 * its lease has run out in Redis anyway. In a cluster all that is about the accounts that live on
 * that node.
 *
 * A server that falls silent while nothing is asked over its link is noticed by the keeper, which
 * refreshes the live key four times a second; its complaint makes us probe the link.
 *
 * Messages are published where the account lives, and a cluster repeats them on every node: so one
 * link listens, to any node that is up.
 */
#include "queue/lock.h"

#include <errno.h>

#include "queue/redis/checkup.h"
#include "queue/redis/keepers.h"
#include "queue/redis/policy.h"
#include "queue/redis/queries.h"
#include "queue/redis/sweep.h"
#include "queue/redis/tickets.h"

struct redis {
	struct lock_backend backend;
	struct loop *loop;
	const struct config *config;
	struct redis_address address;
	struct redis_tls *tls; /* NULL: without */
	struct redis_nodes nodes;
	struct keepers keepers;
	struct redis_tickets tickets;
	struct redis_queries ask;
	struct redis_checkup checkup;
	struct redis_link *sub;
	struct redis_address sub_address; /* the URL's, but for host and port */
	struct redis_node *sub_node;      /* whose it is */
	struct sweep *sweep;
	enum { RUNNING, STOPPING, STOPPED } state;
	struct timer *stop_limit;
	struct job stop_job;
	void (*stop_done)(void *arg);
	void *stop_arg;
};

/* --- up and down ------------------------------------------------------------------------- */

static void *node_new(void *arg, struct redis_node *node)
{
	struct redis *r = arg;

	return keepers_node(&r->keepers, node);
}

static void node_gone(void *arg, struct redis_node *node)
{
	(void)arg;
	keepers_node_gone(node);
}

/* Listens to a node that is up; one without slots may have been left by the others. */
static void place_sub(struct redis *r)
{
	struct redis_node *to = redis_nodes_any_up(&r->nodes);

	if (!to || to == r->sub_node || (redis_node_is_up(r->sub_node) && r->sub_node->slots))
		return;
	r->sub_node = to;
	free(r->sub_address.host);
	r->sub_address.host = to->address.host ? xstrdup(to->address.host) : NULL;
	r->sub_address.port = to->address.port;
	r->sub_address.path = to->address.path;
	redis_link_reset(r->sub, "listening to another node");
}

static void node_up(void *arg, struct redis_node *node)
{
	struct redis *r = arg;

	keepers_node_up(node);
	place_sub(r);
	redis_tickets_link_up(&r->tickets, node);
	redis_queries_link_up(&r->ask);
	redis_checkup_link_up(&r->checkup, node);
	if (r->state == RUNNING)
		sweep_link_up(r->sweep);
}

static void node_down(void *arg, struct redis_node *node)
{
	struct redis *r = arg;

	redis_queries_link_down(&r->ask);
	if (redis_nodes_any_up(&r->nodes))
		redis_queries_link_up(&r->ask); /* what it asks may be at another one */
	if (node == r->sub_node)
		redis_link_reset(r->sub, "the other link is down");
	place_sub(r);
}

static void patience_over(void *arg, struct redis_node *node)
{
	struct redis *r = arg;

	redis_tickets_lose_patience(&r->tickets, node);
}

static void outage(void *arg, struct redis_node *node)
{
	struct redis *r = arg;

	redis_tickets_give_up(&r->tickets, node);
}

/* What was at a node that is down may be at one that has been up all the time. */
static void slots_moved(void *arg)
{
	struct redis *r = arg;

	keepers_moved(&r->keepers, &r->nodes);
	place_sub(r);
	redis_tickets_moved(&r->tickets);
	redis_queries_link_up(&r->ask);
	if (r->state == RUNNING)
		sweep_link_up(r->sweep);
}

/* Messages may have been missed. */
static void sub_up(void *arg)
{
	struct redis *r = arg;

	keepers_refresh(&r->nodes);
}

static void sub_down(void *arg)
{
	(void)arg; /* touches tell what messages would have */
}

static void sub_message(void *arg, struct span payload)
{
	struct redis *r = arg;

	redis_tickets_message(&r->tickets, payload);
}

static void keeper_says(void *arg, struct redis_node *node, const struct keeper_news *news)
{
	struct redis *r = arg;

	(void)node;
	redis_tickets_keeper_news(&r->tickets, news);
}

static void swept(void *arg, const char *account, const struct script_answer *answer)
{
	struct redis *r = arg;

	redis_tickets_known(&r->tickets, account, answer);
	redis_tickets_answer(&r->tickets, answer);
}

static void ordered(void *arg, const struct script_answer *answer)
{
	struct redis *r = arg;

	redis_tickets_answer(&r->tickets, answer);
}

/* --- the table of lock.h ----------------------------------------------------------------- */

static void redis_enter(struct lock_backend *b, struct lock_ticket *t)
{
	struct redis *r = container_of(b, struct redis, backend);

	if (r->state == RUNNING)
		redis_tickets_enter(&r->tickets, t);
}

static void redis_give_back(struct lock_backend *b, struct lock_ticket *t, enum lock_end end)
{
	(void)b;
	redis_tickets_give_back(t, end);
}

static void redis_retune(struct lock_backend *b, const char *account,
			 const struct lock_terms *terms)
{
	redis_tickets_retune(&container_of(b, struct redis, backend)->tickets, account, terms);
}

static void redis_hold(struct lock_backend *b, const char *account, const struct lock_limit *limit)
{
	redis_tickets_limit(&container_of(b, struct redis, backend)->tickets, account, limit);
}

static void redis_release(struct lock_backend *b, const char *account, unsigned families)
{
	redis_tickets_unlimit(&container_of(b, struct redis, backend)->tickets, account, families);
}

static int64_t redis_position(struct lock_backend *b, const struct lock_ticket *t)
{
	(void)b;
	return redis_tickets_position(t);
}

static bool redis_holds(struct lock_backend *b, struct lock_ticket *t)
{
	(void)b;
	return redis_tickets_holds(t);
}

/* Messages are sent by scripts, and heard on a link of their own. */
static const char *hand_overs_are_slow(const struct redis *r)
{
	if (*r->checkup.unheard)
		return r->checkup.unheard;
	return redis_link_forbidden(r->sub);
}

static void redis_stats(const struct lock_backend *b, struct lock_stats *ret)
{
	const struct redis *r = container_of(b, struct redis, backend);

	*ret = (struct lock_stats){
		.round_trip_us = r->ask.round_trip_us,
		.hand_offs = &r->tickets.hand_offs,
		.round_trips = &r->ask.round_trips,
		.lost = r->tickets.lost,
		.dropped_waiters = r->tickets.dropped,
		.forgotten = r->tickets.presence.forgotten,
		.kept = redis_tickets_kept(&r->tickets),
		.returned = r->tickets.returned,
		.refusal = redis_nodes_error(&r->nodes),
		.slow_hand_overs = hand_overs_are_slow(r),
	};
	ret->up = redis_nodes_any_up(&r->nodes) && !*ret->refusal;
	for (size_t i = 0; i < r->nodes.count; i++) {
		ret->active_renewals += keeper_held(keeper_of(r->nodes.node[i]));
		ret->renewals += keeper_renewals(keeper_of(r->nodes.node[i]));
	}
}

static void redis_queries(struct lock_backend *b, struct lock_query *q)
{
	redis_queries_ask(&container_of(b, struct redis, backend)->ask, q);
}

static void redis_queries_forget(struct lock_backend *b, struct lock_query *q)
{
	(void)b;
	redis_queries_cancel(q);
}

static void redis_watch_settings(struct lock_backend *b, lock_settings_fn fn, void *arg)
{
	struct redis *r = container_of(b, struct redis, backend);

	settings_watch(&r->ask.settings, r->loop, fn, arg);
}

/* --- life -------------------------------------------------------------------------------- */

/* Everything that could still call back. */
static void shut(struct redis *r)
{
	timer_clear(&r->stop_limit);
	sweep_free(steal(&r->sweep));
	redis_link_free(steal(&r->sub));
	keepers_stop(&r->nodes);
	redis_checkup_close(&r->checkup);
	redis_nodes_close(&r->nodes);
	redis_tickets_close(&r->tickets);
	redis_queries_close(&r->ask);
}

static void stopped(struct job *job)
{
	struct redis *r = container_of(job, struct redis, stop_job);

	if (r->state == STOPPED)
		return;
	r->state = STOPPED;
	shut(r);
	r->stop_done(r->stop_arg);
}

static void stop_limit_reached(void *arg)
{
	struct redis *r = arg;

	loop_defer(r->loop, &r->stop_job);
}

static void redis_stop(struct lock_backend *b, int64_t limit_ms, void (*done)(void *arg), void *arg)
{
	struct redis *r = container_of(b, struct redis, backend);

	must(r->state == RUNNING);
	r->state = STOPPING;
	r->stop_done = done;
	r->stop_arg = arg;
	r->stop_limit = timer_new(r->loop, stop_limit_reached, r);
	timer_start(r->stop_limit, limit_ms);
	redis_tickets_settle(&r->tickets, &r->stop_job);
}

static void redis_free(struct lock_backend *b)
{
	struct redis *r = container_of(b, struct redis, backend);

	shut(r);
	job_cancel(&r->stop_job);
	redis_address_clear(&r->address);
	free(r->sub_address.host);
	redis_tls_free(r->tls);
	free(r);
}

static void open_sub(struct redis *r)
{
	const struct redis_names *names = &r->tickets.names;
	CLEANUP(freep) char *name = xasprintf("turnstile:%s", names->owner);
	CLEANUP(freep) char *channel = xasprintf("%s:%s", names->prefix, names->owner);
	struct redis_link_terms terms = {
		.address = &r->sub_address,
		.tls = r->tls,
		.timeout_ms = &r->config->redis.command_timeout_ms,
		.name = name,
		.channel = channel,
		.on_up = sub_up,
		.on_down = sub_down,
		.on_message = sub_message,
		.arg = r,
	};

	r->sub_address = r->address;
	r->sub_address.host = r->address.host ? xstrdup(r->address.host) : NULL;
	r->sub_node = r->nodes.node[0];
	r->sub = redis_link_new(r->loop, &terms);
}

/*
 * The greeting writes, so that a replica is found out. In a cluster a replica redirects instead,
 * and only one node would take that key.
 */
static void put_greeting(const struct redis_names *names, struct buf *out)
{
	CLEANUP(redis_command_clear) struct redis_command greeting = { 0 };

	if (names->cluster)
		redis_arg_str(&greeting, "PING");
	else
		redis_presence_live_command(names, &greeting);
	redis_command_encode(&greeting, out);
}

static void open_nodes(struct redis *r)
{
	const struct redis_names *names = &r->tickets.names;
	CLEANUP(freep) char *name = xasprintf("turnstile:%s", names->owner);
	CLEANUP(buf_clear) struct buf greeting = { 0 };
	struct redis_nodes_terms terms = {
		.loop = r->loop,
		.config = r->config,
		.address = &r->address,
		.tls = r->tls,
		.cluster = names->cluster,
		.name = name,
		.on_node = node_new,
		.on_node_gone = node_gone,
		.on_up = node_up,
		.on_down = node_down,
		.on_patience_over = patience_over,
		.on_outage = outage,
		.on_moved = slots_moved,
		.arg = r,
	};

	r->keepers = (struct keepers){ r->loop, r->config, r->tls, names, keeper_says, r };
	put_greeting(names, &greeting);
	terms.greeting = buf_span(&greeting);
	redis_nodes_open(&r->nodes, &terms);
}

static int name_owner(const char *instance, struct buf *errors, char **ret)
{
	/* Behind it: ".", boot, ":", UUID, NUL. */
	if (strlen(instance) + 1 + 8 + 1 + 36 + 1 > LOCK_TICKET_MAX || strchr(instance, ':')) {
		buf_printf(errors, "redis.instance: at most %d characters, no \":\"\n",
			   LOCK_TICKET_MAX - 47);
		return -EINVAL;
	}
	*ret = lock_owner_new(instance);
	return 0;
}

static const struct lock_ops redis_ops = {
	.name = "redis",
	.enter = redis_enter,
	.give_back = redis_give_back,
	.retune = redis_retune,
	.hold = redis_hold,
	.release = redis_release,
	.position = redis_position,
	.holds = redis_holds,
	.stats = redis_stats,
	.query = redis_queries,
	.query_cancel = redis_queries_forget,
	.watch_settings = redis_watch_settings,
	.stop = redis_stop,
	.free = redis_free,
};

/* What to connect with, and under which name. All cleared by the caller, after an error as well. */
struct means {
	struct redis_address address;
	struct redis_tls *tls;
	char *owner;
};

static int find_means(const struct config *config, struct buf *errors, struct means *m)
{
	CLEANUP(buf_clear) struct buf why = { 0 };

	if (redis_address_parse(span_of(config->redis.url), &why, &m->address) < 0) {
		buf_printf(errors, "redis.url: %s\n", buf_str(&why));
		return -EINVAL;
	}
	if (m->address.tls && redis_tls_new(config, m->address.host, errors, &m->tls) < 0)
		return -EINVAL;
	return name_owner(config->redis.instance, errors, &m->owner);
}

static void means_clear(struct means *m)
{
	redis_address_clear(&m->address);
	redis_tls_free(steal(&m->tls));
	free(steal(&m->owner));
}

int lock_redis_check(const struct config *config, struct buf *errors)
{
	struct means m = { 0 };
	int r = find_means(config, errors, &m);

	means_clear(&m);
	return r;
}

void lock_redis_advise(const struct config *config, struct buf *to)
{
	CLEANUP(buf_clear) struct buf errors = { 0 };
	struct means m = { 0 };

	if (!find_means(config, &errors, &m))
		redis_policy_advise(config, &m.address, m.tls, to);
	means_clear(&m);
}

int lock_redis_new(struct loop *loop, const struct config *config, struct buf *errors,
		   struct lock_backend **ret)
{
	struct means m = { 0 };
	struct redis *r;

	if (find_means(config, errors, &m) < 0) {
		means_clear(&m);
		return -EINVAL;
	}
	r = xcalloc(1, sizeof *r);
	r->backend.ops = &redis_ops;
	r->loop = loop;
	r->config = config;
	r->address = m.address;
	r->tls = m.tls;
	r->stop_job.run = stopped;
	redis_tickets_open(&r->tickets, loop, &r->nodes,
			   (struct redis_names){ xstrdup(config->redis.key_prefix),
						 config->redis.cluster, m.owner });
	r->ask = (struct redis_queries){ .loop = loop,
					 .caller = &r->tickets.calls.caller,
					 .names = &r->tickets.names,
					 .presence = &r->tickets.presence,
					 .fn = ordered,
					 .arg = r };
	redis_queries_open(&r->ask);
	r->checkup = (struct redis_checkup){ .loop = loop,
					     .caller = &r->tickets.calls.caller,
					     .names = &r->tickets.names };
	redis_checkup_open(&r->checkup);
	r->sweep = sweep_new(loop, config, &r->tickets.names, &r->tickets.calls.caller, swept, r);
	open_nodes(r);
	open_sub(r);
	*ret = &r->backend;
	return 0;
}
