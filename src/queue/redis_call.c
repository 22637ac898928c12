#include "queue/redis_call.h"

static int transmit(struct redis_call *c, bool by_text);

static void answered(void *arg, const redisReply *reply)
{
	struct redis_call *c = arg;

	list_remove(&c->link);
	if (redis_is_error(reply, "NOSCRIPT") && (!c->wanted || c->wanted(c))) {
		if (transmit(c, true) == 0)
			return;
		reply = NULL;
	}
	c->done(c, reply);
}

static int transmit(struct redis_call *c, bool by_text)
{
	CLEANUP(buf_clear) struct buf bytes = { 0 };
	int r;

	if (c->script == SCRIPT_COUNT)
		redis_command_encode(&c->command, &bytes);
	else
		redis_script_encode(c->script, by_text, &c->command, &bytes);
	r = redis_link_send(c->caller->link, buf_span(&bytes), answered, c);
	if (r == 0)
		list_append(&c->caller->open, &c->link);
	return r;
}

int redis_call_send(struct redis_caller *caller, struct redis_call *c)
{
	c->caller = caller;
	return transmit(c, false);
}

void redis_call_free(struct redis_call *c)
{
	list_remove(&c->link);
	redis_command_clear(&c->command);
	free(c);
}

void redis_caller_clear(struct redis_caller *caller)
{
	struct redis_call *c;

	while ((c = list_first(&caller->open, struct redis_call, link)))
		redis_call_free(c);
}
