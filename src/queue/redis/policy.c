#include "queue/redis/policy.h"

#include <string.h>

#include "base/mem.h"
#include "redis/link.h"

void redis_policy_command(struct redis_command *c)
{
	redis_arg_str(c, "INFO");
	redis_arg_str(c, "memory");
}

struct span redis_policy_evicting(const redisReply *reply)
{
	static const char name[] = "maxmemory_policy:";
	const char *at = reply->type == REDIS_REPLY_STRING ? strstr(reply->str, name) : NULL;
	struct span policy;

	if (!at)
		return SPAN("");
	at += sizeof name - 1;
	policy = (struct span){ at, strcspn(at, "\r\n") };
	return span_eq(policy, SPAN("noeviction")) ? SPAN("") : policy;
}

struct inquiry {
	struct loop loop;
	struct redis_link *link;
	struct buf *to;
	bool over;
};

static void answered(void *arg, const redisReply *reply)
{
	struct inquiry *q = arg;
	struct span policy = reply ? redis_policy_evicting(reply) : SPAN("");

	if (policy.len)
		buf_printf(
			q->to,
			"redis.url: its server may evict locks and lines when its memory is full: "
			"set its maxmemory-policy (%.*s) to noeviction\n",
			SPAN_ARG(policy));
	q->over = true;
}

static void on_up(void *arg)
{
	struct inquiry *q = arg;
	CLEANUP(redis_command_clear) struct redis_command command = { 0 };
	CLEANUP(buf_clear) struct buf bytes = { 0 };

	redis_policy_command(&command);
	redis_command_encode(&command, &bytes);
	if (redis_link_send(q->link, buf_span(&bytes), answered, q) < 0)
		q->over = true;
}

static void on_down(void *arg)
{
	((struct inquiry *)arg)->over = true;
}

static void on_limit(void *arg)
{
	((struct inquiry *)arg)->over = true;
}

void redis_policy_advise(const struct config *config, const struct redis_address *address,
			 struct redis_tls *tls, struct buf *to)
{
	struct inquiry q = { .to = to };
	struct redis_link_terms terms = {
		.address = address,
		.tls = tls,
		.timeout_ms = &config->redis.command_timeout_ms,
		.name = "turnstile:check",
		.on_up = on_up,
		.on_down = on_down,
		.arg = &q,
	};
	struct timer *limit;

	loop_open(&q.loop);
	limit = timer_new(&q.loop, on_limit, &q);
	timer_start(limit, config->redis.command_timeout_ms);
	q.link = redis_link_new(&q.loop, &terms);
	while (!q.over)
		uv_run(&q.loop.uv, UV_RUN_ONCE);
	redis_link_free(q.link);
	timer_clear(&limit);
	loop_close(&q.loop);
}
