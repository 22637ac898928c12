/*
 * request.c - the door to the room: which requests are looked at, and the look at one of them.
 *
 *      body ─> decode.c ─> tail.c ─> facts ─> classify.c ─> reason ─┐
 *                                      └─ metadata ─> account.c ────┴─> verdict
 */
#include "request/request.h"

#include "request/classify.h"
#include "request/decode.h"
#include "request/tail.h"

struct look {
	struct decoder *decoder;
	struct tail tail;
	size_t fed; /* bytes, as received */
};

const char *request_kind_name(enum request_kind kind)
{
	static const char *const names[] = {
		[KIND_OTHER] = "other",
		[KIND_USER_MESSAGE] = "user_message",
		[KIND_TOOL_RESULT] = "tool_result",
		[KIND_NOT_USER] = "not_user",
		[KIND_UNREADABLE] = "unreadable",
	};

	must(kind < ARRAY_SIZE(names));
	return names[kind];
}

bool request_is_looked_at(const struct config *config, struct span method, struct span target)
{
	const char *query = target.len ? memchr(target.ptr, '?', target.len) : NULL;

	if (!config->queue.enabled || !span_eq(method, SPAN("POST")))
		return false;
	if (query)
		target.len = (size_t)(query - target.ptr);
	for (char **path = config->queue.paths; *path; path++) {
		if (span_ends(target, span_of(*path)))
			return true;
	}
	return false;
}

/* A verdict without an account. */
static void verdict_set(struct request_verdict *ret, enum request_reason reason)
{
	const struct request_reason_info *info = request_reason_info(reason);

	*ret = (struct request_verdict){
		.gated = info->kind == KIND_USER_MESSAGE,
		.kind = info->kind,
		.reason = info->code,
		.account_from = ACCOUNT_NONE,
	};
}

void request_not_looked_at(struct request_verdict *ret)
{
	verdict_set(ret, REASON_NOT_LOOKED_AT);
}

static void look_sink(void *arg, const char *data, size_t len)
{
	struct look *look = arg;

	tail_feed(&look->tail, data, len);
}

void look_feed(struct look *look, const char *data, size_t len)
{
	look->fed += len;
	decode_feed(look->decoder, data, len);
}

static enum request_reason look_reason(const struct look *look, const struct tail_facts *facts)
{
	switch (decode_finish(look->decoder)) {
	case DECODE_UNKNOWN:
		return REASON_CONTENT_CODING;
	case DECODE_BROKEN:
		return REASON_CODING_BROKEN;
	case DECODE_TOO_LARGE:
		return REASON_CODING_TOO_LARGE;
	default:
		return classify(facts);
	}
}

void look_finish(struct look *look, const struct config *config, const struct headers *headers,
		 struct span body, struct request_verdict *ret)
{
	struct tail_facts facts;

	must(look->fed == body.len);
	tail_finish(&look->tail, &facts);
	verdict_set(ret, look_reason(look, &facts));
	if (ret->gated)
		account_find(config->account.source, headers, facts.metadata, ret->account,
			     &ret->account_from);
}

struct look *look_new(const struct headers *headers)
{
	struct look *look = xcalloc(1, sizeof *look);

	look->decoder = decoder_new(headers, look_sink, look);
	return look;
}

void look_free(struct look *look)
{
	if (!look)
		return;
	decoder_free(look->decoder);
	tail_clear(&look->tail);
	free(look);
}
