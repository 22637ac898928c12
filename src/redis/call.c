#include "redis/call.h"

#include <errno.h>

#include "base/clock.h"

enum { AGAIN_MS = 25, HOPS_MAX = 5 };

static int transmit(struct redis_call *c, struct redis_node *node);

/* --- what isn't done yet ----------------------------------------------------------------- */

/* A node that was named but can't be reached is as good as a link that went down. */
static void give_up(struct redis_call *c)
{
	redisReply reply = { .type = REDIS_REPLY_ERROR, .str = c->refusal };

	reply.len = strlen(c->refusal);
	c->done(c, redis_redirect_of(c->refusal) == REDIRECT_LATER ? &reply : NULL);
}

static bool is_wanted(const struct redis_call *c)
{
	return !c->wanted || c->wanted(c);
}

static void park(struct redis_call *c)
{
	c->asking = c->by_text = false;
	c->hops = 0;
	list_append(&c->caller->parked, &c->link);
	timer_start(c->caller->again, AGAIN_MS);
}

/* In the order in which they were asked for; those that have to wait on come back to the list. */
static void try_again(void *arg)
{
	struct redis_caller *caller = arg;
	struct redis_call *c;
	struct list due;

	list_init(&due);
	while ((c = list_first(&caller->parked, struct redis_call, link))) {
		list_remove(&c->link);
		list_append(&due, &c->link);
	}
	while ((c = list_first(&due, struct redis_call, link))) {
		list_remove(&c->link);
		if (!is_wanted(c))
			c->done(c, NULL);
		else if (clock_ms() >= c->until_ms)
			give_up(c);
		else if (transmit(c, redis_nodes_at(caller->nodes, c->command.slot)) < 0)
			park(c);
	}
}

/* --- answers ----------------------------------------------------------------------------- */

/* Goes where `error` says, or waits. False: it says nothing of the kind. */
static bool follow(struct redis_call *c, const char *error)
{
	enum redis_redirect to = redis_redirect_of(error);
	struct redis_node *node = NULL;

	if (to == REDIRECT_NONE || !c->node->all->terms.cluster)
		return false;
	if (to != REDIRECT_LATER)
		node = redis_nodes_redirect(c->node->all, c->node, error);
	snprintf(c->refusal, sizeof c->refusal, "%s", error);
	c->asking = to == REDIRECT_ASK;
	c->by_text = false;
	if (!is_wanted(c))
		c->done(c, NULL);
	else if (!node || ++c->hops > HOPS_MAX || transmit(c, node) < 0)
		park(c);
	return true;
}

static void answered(void *arg, const redisReply *reply)
{
	struct redis_call *c = arg;

	list_remove(&c->link);
	if (reply && !redis_reply_fits(reply, c->form)) {
		redis_link_reset(c->node->link, "an answer that makes no sense");
		reply = NULL;
	}
	if (reply && reply->type == REDIS_REPLY_ERROR && follow(c, reply->str))
		return;
	if (redis_is_error(reply, "NOSCRIPT") && !c->by_text) {
		c->by_text = true;
		if (is_wanted(c) && transmit(c, c->node) == 0)
			return;
		reply = NULL;
	}
	c->done(c, reply);
}

static void permitted(void *arg, const redisReply *reply)
{
	(void)arg;
	(void)reply; /* what matters is the answer to the call behind it */
}

/* --- sending ----------------------------------------------------------------------------- */

static int transmit(struct redis_call *c, struct redis_node *node)
{
	CLEANUP(buf_clear) struct buf bytes = { 0 };
	int r;

	if (!redis_node_is_up(node))
		return -ENOTCONN;
	if (!c->script)
		redis_command_encode(&c->command, &bytes);
	else
		redis_script_encode(c->script, c->by_text || c->in_order, &c->command, &bytes);
	if (c->asking &&
	    (r = redis_link_send(node->link, SPAN("*1\r\n$6\r\nASKING\r\n"), permitted, NULL)) < 0)
		return r;
	r = redis_link_send(node->link, buf_span(&bytes), answered, c);
	if (r == 0) {
		c->node = node;
		list_append(&c->caller->open, &c->link);
	}
	return r;
}

int redis_call_send(struct redis_caller *caller, struct redis_call *c)
{
	c->caller = caller;
	c->by_text = c->asking = false;
	c->hops = 0;
	c->until_ms = clock_ms() + caller->nodes->terms.config->redis.command_timeout_ms;
	return transmit(c, redis_nodes_at(caller->nodes, c->command.slot));
}

void redis_call_free(struct redis_call *c)
{
	list_remove(&c->link);
	redis_command_clear(&c->command);
	free(c);
}

void redis_caller_open(struct redis_caller *caller, struct loop *loop, struct redis_nodes *nodes)
{
	caller->nodes = nodes;
	list_init(&caller->open);
	list_init(&caller->parked);
	caller->again = timer_new(loop, try_again, caller);
}

void redis_caller_clear(struct redis_caller *caller)
{
	struct redis_call *c;

	timer_clear(&caller->again);
	while ((c = list_first(&caller->open, struct redis_call, link)) ||
	       (c = list_first(&caller->parked, struct redis_call, link)))
		redis_call_free(c);
}
