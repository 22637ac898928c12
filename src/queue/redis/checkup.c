#include "queue/redis/checkup.h"

#include "base/clock.h"
#include "base/log.h"
#include "queue/redis/policy.h"

enum {
	EVERY_MS = 1000,
	FORGIVE_MS = 1500, /* after what others were refused; both together stay below 3 s */
};

#define NOBODY ":check" /* no account's name: names have no colon in front */

struct checkup_call {
	struct redis_call call;
	struct redis_checkup *checkup;
};

static struct checkup_call *new_call(struct redis_checkup *c, enum script script,
				     void (*done)(struct redis_call *, const redisReply *))
{
	struct checkup_call *e = xcalloc(1, sizeof *e);

	e->checkup = c;
	e->call.script = script_get(script);
	e->call.form = script_form(script);
	e->call.done = done;
	return e;
}

/* --- once a second ----------------------------------------------------------------------------- */

static void heard(struct redis_checkup *c, struct span why)
{
	char before[sizeof c->unheard];

	memcpy(before, c->unheard, sizeof before);
	snprintf(c->unheard, sizeof c->unheard, "%.*s", SPAN_ARG(why));
	if (*c->unheard && !*before)
		log_warn("redis forbids to send messages: turns are handed over by touches only",
			 LOG_STR("cause", c->unheard));
}

static void checked(struct redis_call *call, const redisReply *reply)
{
	struct redis_checkup *c = container_of(call, struct checkup_call, call)->checkup;
	struct redis_node *node = call->node;
	struct script_answer a;

	c->open = false;
	if (script_answer_read(reply, &a)) {
		heard(c, script_text(&a, 0));
		if (clock_ms() >= node->refused_ms + FORGIVE_MS)
			redis_node_accepts(node);
	} else if (reply) {
		redis_node_refuses(node, reply->str);
	}
	redis_call_free(call);
}

static void check(void *arg)
{
	struct redis_checkup *c = arg;
	struct checkup_call *e;

	timer_start(c->timer, EVERY_MS);
	if (c->open)
		return;
	e = new_call(c, SCRIPT_CHECK, checked);
	script_account(&e->call.command, c->names, NOBODY);
	c->open = redis_call_send(c->caller, &e->call) == 0;
	if (!c->open)
		redis_call_free(&e->call);
}

/* --- what may be evicted ------------------------------------------------------------------------ */

/* Who may not ask for it isn't told either. */
static void informed(struct redis_call *call, const redisReply *reply)
{
	struct span policy = reply ? redis_policy_evicting(reply) : SPAN("");

	if (policy.len)
		log_warn("redis may evict locks and lines when its memory is full: set "
			 "maxmemory-policy to noeviction",
			 LOG_SPAN("policy", policy));
	redis_call_free(call);
}

/* In a cluster by any slot that it has. */
static void ask_for_policy(struct redis_checkup *c, struct redis_node *node)
{
	struct checkup_call *e;
	unsigned slot = 0;

	while (slot < REDIS_SLOTS && redis_nodes_at(c->caller->nodes, slot) != node)
		slot++;
	if (slot == REDIS_SLOTS || node->policy_asked)
		return;
	e = new_call(c, SCRIPT_NONE, informed);
	redis_policy_command(&e->call.command);
	e->call.command.slot = slot;
	node->policy_asked = redis_call_send(c->caller, &e->call) == 0;
	if (!node->policy_asked)
		redis_call_free(&e->call);
}

/* --- life ---------------------------------------------------------------------------------------- */

void redis_checkup_link_up(struct redis_checkup *c, struct redis_node *node)
{
	timer_start(c->timer, 0);
	ask_for_policy(c, node);
}

void redis_checkup_open(struct redis_checkup *c)
{
	c->timer = timer_new(c->loop, check, c);
}

void redis_checkup_close(struct redis_checkup *c)
{
	timer_clear(&c->timer);
}
