#include "queue/redis/scripts.h"

#include "redis/slot.h"

const struct redis_script *script_get(enum script script)
{
#define SCRIPT(name, sha, text) [SCRIPT_##name] = { sha, text },
	static const struct redis_script scripts[SCRIPT_COUNT] = {
#include "scripts.inc"
	};
#undef SCRIPT

	return script == SCRIPT_NONE ? NULL : &scripts[script];
}

static void put_key(struct redis_command *c, const struct redis_names *names, const char *kind,
		    const char *account)
{
	const char *open = names->cluster ? "{" : "", *close = names->cluster ? "}" : "";
	CLEANUP(freep)
	char *key = xasprintf("%s_%s:%s%s%s", names->prefix, kind, open, account, close);

	redis_arg_str(c, key);
}

unsigned redis_account_slot(const struct redis_names *names, const char *account)
{
	return names->cluster ? redis_slot(span_of(account)) : 0;
}

void script_account(struct redis_command *c, const struct redis_names *names, const char *account)
{
	static const char *const kinds[] = { "lock",  "last", "wait", "alive",
					     "pause", "who",  "times" };

	redis_arg_int(c, ARRAY_SIZE(kinds));
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		put_key(c, names, kinds[i], account);
	c->slot = redis_account_slot(names, account);
	redis_arg_str(c, names->prefix);
	redis_arg_str(c, names->owner);
}

void script_account_key(struct redis_command *c, const struct redis_names *names, const char *kind,
			const char *account)
{
	redis_arg_int(c, 1);
	put_key(c, names, kind, account);
	c->slot = redis_account_slot(names, account);
}

static bool is_str(const redisReply *r)
{
	return r->type == REDIS_REPLY_STRING;
}

static bool is_int(const redisReply *r)
{
	return r->type == REDIS_REPLY_INTEGER;
}

bool script_answer_read(const redisReply *reply, struct script_answer *ret)
{
	redisReply **e;

	if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements < 5)
		return false;
	e = reply->element;
	if (!is_str(e[0]) || !is_int(e[1]) || !is_str(e[2]) || !is_int(e[3]) || !is_int(e[4]))
		return false;
	*ret = (struct script_answer){
		.what = { e[0]->str, e[0]->len },
		.number = e[1]->integer,
		.granted = { e[2]->str, e[2]->len },
		.elapsed_ms = e[3]->integer,
		.dropped = e[4]->integer,
		.more = e + 5,
		.more_count = reply->elements - 5,
	};
	return true;
}
