#include "redis/reply.h"

#include <string.h>

#include "base/mem.h"
#include "base/span.h"

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
