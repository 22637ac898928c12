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
	/* As prelude.lua has them. */
	static const char *const kinds[] = { "lock",  "last",  "wait",   "alive", "pause",
					     "who",   "times", "seats",  "line",  "shares",
					     "count", "kept",  "kept_at" };

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

static bool are_pairs(const redisReply *r, redis_form_fn first, redis_form_fn second)
{
	if (!redis_is_array(r) || r->elements % 2)
		return false;
	for (size_t i = 0; i < r->elements; i += 2) {
		if (!first(r->element[i]) || !second(r->element[i + 1]))
			return false;
	}
	return true;
}

static bool are_turns(const redisReply *r)
{
	if (!redis_is_array(r) || r->elements % 3)
		return false;
	for (size_t i = 0; i < r->elements; i += 3) {
		if (!redis_is_str(r->element[i]) || !redis_is_int(r->element[i + 1]) ||
		    !redis_is_int(r->element[i + 2]))
			return false;
	}
	return true;
}

bool script_answer_read(const redisReply *reply, struct script_answer *ret)
{
	redisReply **e;

	if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements < 4)
		return false;
	e = reply->element;
	if (!redis_is_str(e[0]) || !redis_is_int(e[1]) || !are_turns(e[2]) || !redis_is_int(e[3]))
		return false;
	*ret = (struct script_answer){
		.what = { e[0]->str, e[0]->len },
		.number = e[1]->integer,
		.granted = e[2]->element,
		.granted_count = e[2]->elements / 3,
		.dropped = e[3]->integer,
		.more = e + 4,
		.more_count = reply->elements - 4,
	};
	return true;
}

struct script_turn script_granted(const struct script_answer *a, size_t i)
{
	redisReply **e = &a->granted[3 * i];

	return (struct script_turn){
		.id = { e[0]->str, e[0]->len },
		.start_in_ms = e[1]->integer,
		.probe = e[2]->integer,
	};
}

struct span script_text(const struct script_answer *a, size_t i)
{
	if (i >= a->more_count || !redis_is_str(a->more[i]))
		return SPAN("");
	return (struct span){ a->more[i]->str, a->more[i]->len };
}

int64_t script_number(const struct script_answer *a, size_t i)
{
	return i < a->more_count && redis_is_int(a->more[i]) ? a->more[i]->integer : 0;
}

/* --- forms ----------------------------------------------------------------------------------- */

static bool is_str_or_int(const redisReply *r)
{
	return redis_is_str(r) || redis_is_int(r);
}

static bool is_answer(const redisReply *r)
{
	struct script_answer a;

	return script_answer_read(r, &a) && redis_are_all(r, 4, is_str_or_int);
}

/* Two numbers, the caller's tickets, names of owners. */
static bool is_swept(const redisReply *r)
{
	struct script_answer a;

	return script_answer_read(r, &a) && a.more_count >= 3 && redis_is_int(a.more[0]) &&
	       redis_is_int(a.more[1]) && redis_is_texts(a.more[2]) &&
	       redis_are_all(r, 7, redis_is_str);
}

/* Unknown waiters; of each turn three words. */
static bool is_touched(const redisReply *r)
{
	struct script_answer a;

	return script_answer_read(r, &a) && a.more_count == 2 && redis_is_texts(a.more[0]) &&
	       redis_is_texts(a.more[1]) && a.more[1]->elements % 3 == 0;
}

/* view.lua */
static bool is_view(const redisReply *r)
{
	static const redis_form_fn forms[] = {
		redis_is_str,   redis_is_str,   redis_is_int,   redis_is_int,
		redis_is_int,   redis_is_int,   redis_is_texts, redis_is_texts,
		redis_is_texts, redis_is_texts, redis_is_texts, redis_is_texts,
	};

	if (!redis_is_array(r) || r->elements != ARRAY_SIZE(forms))
		return false;
	for (size_t i = 0; i < r->elements; i++) {
		if (!forms[i](r->element[i]))
			return false;
	}
	return true;
}

static bool is_survey(const redisReply *r)
{
	return redis_is_array(r) && r->elements == 3 && redis_is_int(r->element[0]) &&
	       are_pairs(r->element[1], redis_is_str, is_view) &&
	       are_pairs(r->element[2], redis_is_int, redis_is_str);
}

/* index.lua: whether it is noted, and who was pushed out. */
static bool is_indexed(const redisReply *r)
{
	return redis_is_array(r) && r->elements && redis_is_int(r->element[0]) &&
	       redis_are_all(r, 1, redis_is_str);
}

redis_form_fn script_form(enum script script)
{
	switch (script) {
	case SCRIPT_SWEEP:
		return is_swept;
	case SCRIPT_TOUCH:
		return is_touched;
	case SCRIPT_LOOK:
		return is_view;
	case SCRIPT_SURVEY:
		return is_survey;
	case SCRIPT_INDEX:
		return is_indexed;
	case SCRIPT_UNINDEX:
	case SCRIPT_BEACON:
		return redis_is_int;
	case SCRIPT_NONE:
		return NULL;
	default:
		return is_answer;
	}
}
