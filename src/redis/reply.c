#include "redis/reply.h"

#include <string.h>

#include "base/mem.h"
#include "base/span.h"

bool redis_reply_fits(const redisReply *reply, redis_form_fn form)
{
	return !form || reply->type == REDIS_REPLY_ERROR || form(reply);
}

bool redis_is_str(const redisReply *r)
{
	return r->type == REDIS_REPLY_STRING;
}

bool redis_is_int(const redisReply *r)
{
	return r->type == REDIS_REPLY_INTEGER;
}

bool redis_is_status(const redisReply *r)
{
	return r->type == REDIS_REPLY_STATUS;
}

bool redis_is_set(const redisReply *r)
{
	return redis_is_status(r) || r->type == REDIS_REPLY_NIL;
}

bool redis_is_array(const redisReply *r)
{
	return r->type == REDIS_REPLY_ARRAY;
}

bool redis_are_all(const redisReply *array, size_t from, redis_form_fn form)
{
	for (size_t i = from; i < array->elements; i++) {
		if (!form(array->element[i]))
			return false;
	}
	return true;
}

bool redis_is_texts(const redisReply *r)
{
	return redis_is_array(r) && redis_are_all(r, 0, redis_is_str);
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
