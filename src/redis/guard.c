#include "redis/guard.h"

#include <string.h>

enum { ELEMENTS_MAX = 1 << 20, MESSAGE_ELEMENTS = 3 };

static bool refuse(struct redis_guard *g, const char *why)
{
	g->refusal = why;
	return false;
}

/* --- messages: what it is, the channel, and a payload or a count ------------------------------ */

static bool is_text(const char *wanted, const char *text, size_t len)
{
	return len == strlen(wanted) && !memcmp(text, wanted, len);
}

static bool is_kind(struct redis_guard *g, const char *text, size_t len)
{
	return is_text("message", text, len) ||
	       (is_text("subscribe", text, len) && g->confirmations && g->confirmations--);
}

static bool is_part_of_message(struct redis_guard *g, const redisReadTask *t, int type,
			       const char *text, size_t len)
{
	if (t->idx == 2)
		return type == REDIS_REPLY_STRING || type == REDIS_REPLY_INTEGER;
	if (type != REDIS_REPLY_STRING)
		return false;
	return t->idx == 1 ? is_text(g->channel, text, len) : is_kind(g, text, len);
}

/* --- what may come ---------------------------------------------------------------------------- */

/* hiredis ends the connection by itself upon an error that nobody asked for. */
static bool may_begin(struct redis_guard *g, int type, long long elements)
{
	g->is_message = false;
	if (g->replies) {
		g->replies--;
		return true;
	}
	g->is_message = g->channel && type == REDIS_REPLY_ARRAY && elements == MESSAGE_ELEMENTS;
	return g->is_message || type == REDIS_REPLY_ERROR ||
	       refuse(g, "an answer that nobody asked for");
}

/* `text` of a string, status or error; `elements` of an array. */
static bool may_come(const redisReadTask *t, int type, const char *text, size_t len,
		     long long elements)
{
	struct redis_guard *g = t->privdata;

	if (type < REDIS_REPLY_STRING || type > REDIS_REPLY_ERROR)
		return refuse(g, "an answer that isn't RESP 2");
	if (elements > ELEMENTS_MAX)
		return refuse(g, "an answer with too many elements");
	if (!t->parent)
		return may_begin(g, type, elements);
	return !g->is_message || is_part_of_message(g, t, type, text, len) ||
	       refuse(g, "a message that isn't one");
}

/* --- instead of hiredis' own ------------------------------------------------------------------ */

static const redisReplyObjectFunctions *under(const redisReadTask *t)
{
	return ((const struct redis_guard *)t->privdata)->under;
}

static void *create_string(const redisReadTask *t, char *text, size_t len)
{
	return may_come(t, t->type, text, len, 0) ? under(t)->createString(t, text, len) : NULL;
}

static void *create_integer(const redisReadTask *t, long long n)
{
	return may_come(t, t->type, NULL, 0, 0) ? under(t)->createInteger(t, n) : NULL;
}

static void *create_nil(const redisReadTask *t)
{
	return may_come(t, REDIS_REPLY_NIL, NULL, 0, 0) ? under(t)->createNil(t) : NULL;
}

#if HIREDIS_MAJOR >= 1
static void *create_array(const redisReadTask *t, size_t n)
#else
static void *create_array(const redisReadTask *t, int n)
#endif
{
	return may_come(t, t->type, NULL, 0, (long long)n) ? under(t)->createArray(t, n) : NULL;
}

#if HIREDIS_MAJOR >= 1
static void *create_double(const redisReadTask *t, double n, char *text, size_t len)
{
	(void)n, (void)text, (void)len;
	refuse(t->privdata, "an answer that isn't RESP 2");
	return NULL;
}

static void *create_bool(const redisReadTask *t, int n)
{
	return create_double(t, n, NULL, 0);
}
#endif

static const redisReplyObjectFunctions guarded = {
	.createString = create_string,
	.createArray = create_array,
	.createInteger = create_integer,
	.createNil = create_nil,
#if HIREDIS_MAJOR >= 1
	.createDouble = create_double,
	.createBool = create_bool,
#endif
};

void redis_guard_start(struct redis_guard *g, redisContext *c)
{
	g->under = c->reader->fn;
	g->fn = guarded;
	g->fn.freeObject = g->under->freeObject;
	c->reader->fn = &g->fn;
	c->reader->privdata = g;
}

void redis_guard_subscribe(struct redis_guard *g, const char *channel)
{
	g->channel = channel;
	g->confirmations++;
}

bool redis_guard_is_full(struct redis_guard *g, const redisContext *c)
{
	return c->reader->len > REDIS_REPLY_BYTES_MAX && !refuse(g, "an answer that is too large");
}
