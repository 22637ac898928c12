/*
 * exempt.h - requests that look like user messages, and that an operator lets pass (queue.exempt).
 *
 * Nobody typed them: a client sends them by itself, with the same path, credential and form as a
 * prompt. Each rule stands on what the request is for, not on the words of one version:
 *
 *   probe          `max_tokens` is 1: whoever wants one token back wants to know if he may ask at
 *                  all (the quota check at the start of a session).
 *   title          no tools, and an answer by a JSON schema with the property "title"
 *                  (output_config.format.schema). Sent milliseconds before the prompt that it
 *                  belongs to, so in line it holds that very prompt.
 *   subagent       the header X-Claude-Code-Agent-Id: what an agent of the session asks, not its
 *                  user. Several agents start at once and would start one after another.
 *   classifier     the last text begins with "<transcript>", and no stream is wanted: the auto mode
 *                  asks whether a tool call is harmless. Its client denies the call after 60 s.
 *   notification   the last text begins with "<task-notification>": a background task has ended.
 *   header:N=V     a field N with just that value; only from account.trusted_proxies, if those
 *                  are set.
 *   model:PATTERN  `model` matches the shell pattern (fnmatch(3): * ? [ ]).
 *
 * The last text is the content of the user's last message, or the last `text` in it that isn't a
 * <system-reminder>. All this is what the client says of itself: whoever may ask can pass so.
 */
#pragma once

#include "base/header.h"
#include "config/config.h"
#include "request/reason.h"
#include "request/tail.h"

/*
 * The first of `rules` (ended by EXEMPT_NONE, or NULL) that lets this user message pass; NULL if
 * none does. `trusted`: whether header rules count. Pure.
 */
const struct exempt_rule *exempt_find(const struct exempt_rule *rules,
				      const struct headers *headers, bool trusted,
				      const struct tail_facts *facts) MUST_USE;

/* The reason that tells of a rule. */
enum request_reason exempt_reason(enum exempt_kind kind) MUST_USE;
