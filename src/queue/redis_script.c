#include "queue/redis_script.h"

#include <inttypes.h>

#include "queue/redis_slot.h"

struct script {
	const char *sha, *text;
};

#define SCRIPT(name, sha, text) [SCRIPT_##name] = { sha, text },
static const struct script scripts[SCRIPT_COUNT] = {
#include "scripts.inc"
};
#undef SCRIPT

static void put_arg(struct buf *b, struct span arg)
{
	buf_printf(b, "$%zu\r\n", arg.len);
	buf_append(b, arg.ptr, arg.len);
	buf_puts(b, "\r\n");
}

void redis_arg(struct redis_command *c, struct span arg)
{
	put_arg(&c->args, arg);
	c->argc++;
}

void redis_arg_str(struct redis_command *c, const char *arg)
{
	redis_arg(c, span_of(arg));
}

void redis_arg_int(struct redis_command *c, int64_t arg)
{
	char digits[24];

	snprintf(digits, sizeof digits, "%" PRId64, arg);
	redis_arg_str(c, digits);
}

void redis_arg_key(struct redis_command *c, const char *key)
{
	redis_arg_str(c, key);
	c->slot = redis_slot(span_of(key));
}

void redis_command_clear(struct redis_command *c)
{
	buf_clear(&c->args);
	c->argc = 0;
}

void redis_command_encode(const struct redis_command *c, struct buf *out)
{
	buf_printf(out, "*%d\r\n", c->argc);
	buf_append(out, c->args.data, c->args.len);
}

void redis_script_encode(enum redis_script script, bool by_text, const struct redis_command *c,
			 struct buf *out)
{
	const struct script *s = &scripts[script];

	buf_printf(out, "*%d\r\n", c->argc + 2);
	put_arg(out, by_text ? SPAN("EVAL") : SPAN("EVALSHA"));
	put_arg(out, span_of(by_text ? s->text : s->sha));
	buf_append(out, c->args.data, c->args.len);
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

void redis_script_account(struct redis_command *c, const struct redis_names *names,
			  const char *account)
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

void redis_script_account_key(struct redis_command *c, const struct redis_names *names,
			      const char *kind, const char *account)
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

bool redis_answer_read(const redisReply *reply, struct redis_answer *ret)
{
	redisReply **e;

	if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements < 5)
		return false;
	e = reply->element;
	if (!is_str(e[0]) || !is_int(e[1]) || !is_str(e[2]) || !is_int(e[3]) || !is_int(e[4]))
		return false;
	*ret = (struct redis_answer){
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

bool redis_is_error(const redisReply *reply, const char *kind)
{
	return reply && reply->type == REDIS_REPLY_ERROR && strstr(reply->str, kind);
}

enum redis_redirect redis_redirect_of(const char *error)
{
	static const struct {
		const char *word;
		enum redis_redirect kind;
	} words[] = {
		{ "MOVED ", REDIRECT_MOVED },
		{ "ASK ", REDIRECT_ASK },
		{ "TRYAGAIN", REDIRECT_LATER },
		{ "CLUSTERDOWN", REDIRECT_LATER },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (span_starts(span_of(error), span_of(words[i].word)))
			return words[i].kind;
	}
	return REDIRECT_NONE;
}

bool redis_error_is_unusable(const char *error)
{
	static const char *const kinds[] = { "READONLY", "LOADING",   "MASTERDOWN",
					     "NOAUTH",   "WRONGPASS", "invalid password" };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strstr(error, kinds[i]))
			return true;
	}
	return false;
}

bool redis_is_unusable(const redisReply *reply)
{
	return reply && reply->type == REDIS_REPLY_ERROR && redis_error_is_unusable(reply->str);
}
