/*
 * looked_at.h - what request.h makes of a request, whose body comes in pieces, under a configuration of a few
 * options.
 */
#pragma once

#include "check.h"
#include "request/request.h"

/* Named kinds, all of them, in an order that lets each be seen. */
static struct mark_rule named[] = {
	{ MARK_PROBE, NULL, NULL },        { MARK_TITLE, NULL, NULL },
	{ MARK_SUBAGENT, NULL, NULL },     { MARK_CLASSIFIER, NULL, NULL },
	{ MARK_NOTIFICATION, NULL, NULL }, { MARK_LOOP, NULL, NULL },
	{ MARK_COMPACTION, NULL, NULL },   { MARK_NONE, NULL, NULL },
};

static struct account_source sources[] = { { ACCOUNT_HEADER, "X-Account" },
					   { ACCOUNT_NONE, NULL } };

static inline struct request_verdict verdict_on(const struct config *config,
						const struct headers *headers, const char *client,
						struct span body, size_t piece)
{
	struct request_verdict verdict;
	struct look *look = look_new(headers);

	for (size_t at = 0; at < body.len; at += piece)
		look_feed(look, body.ptr + at, MIN(piece, body.len - at));
	look_finish(look, config, headers, client, body, &verdict);
	look_free(look);
	return verdict;
}

static inline struct config config_with(struct mark_rule *rules)
{
	return (struct config){
		.queue = { .enabled = true, .timeout_ms = 60000, .exempt = rules },
		.account = { .source = sources },
	};
}
