/*
 * marks.h - what a request is for, as far as it shows: rules of queue.exempt.
 *
 * Claude Code says what most of its requests are for in x-claude-code-request-class, if it was asked
 * to (CLAUDE_CODE_GATEWAY_HINT_HEADERS): main, subagent, workflow, auxiliary, compaction. Where that
 * is sent it decides, and a shape only tells kinds within a class apart. Else the shape decides:
 *
 *   probe          auxiliary; `max_tokens` is 1: whoever wants one token back wants to know if he may
 *                  ask at all (the quota check at the start of a session).
 *   title          auxiliary; no tools, and an answer by a JSON schema with the property "title"
 *                  (output_config.format.schema). Sent milliseconds before the prompt that it
 *                  belongs to, so in line it holds that very prompt.
 *   classifier     auxiliary; "<transcript>" in a text, no tools, no stream, and no client that waits
 *                  for more than 60 s: the auto mode asks whether a tool call is harmless, and denies
 *                  the call after that time.
 *   subagent       the header X-Claude-Code-Agent-Id: what an agent of the session asks, not its
 *                  user. Several agents start at once.
 *   workflow       the same with the type "workflow…" in X-Claude-Code-Agent-Type.
 *   compaction     the header X-Claude-Code-Compaction, or a last text that begins with "CRITICAL:
 *                  Respond with TEXT ONLY": the session's largest request.
 *   notification   main; "<task-notification>" in a text: a background task has ended.
 *   loop           main; a /loop has woken up: "workload/cron" in User-Agent, or the class
 *                  background-task in x-claude-1p-request-class. Where neither field tells, the
 *                  command "/loop" in a text, though somebody may have typed it just now.
 *   auxiliary      the class; without one, the first three.
 *   header:N=V     a field N with just that value; only from account.trusted_proxies, if those
 *                  are set.
 *   model:PATTERN  `model` matches the shell pattern (fnmatch(3): * ? [ ]).
 *
 * "In a text": within the first 4 KiB of any text of the user's last message, reminders included. The
 * last text is the last one that isn't a <system-reminder>. All this is what the client says of
 * itself: whoever may ask can pass so.
 */
#pragma once

#include "base/header.h"
#include "config/config.h"
#include "request/reason.h"
#include "request/tail.h"

/* What a request shows. */
struct marks_evidence {
	const struct headers *headers;
	const struct tail_facts *facts;
	int64_t patience_ms; /* as in patience.h */
	bool trusted;        /* whether header rules count */
};

/* The set of marks that hold, but for header and model: 1u << enum mark_kind each. Pure. */
unsigned marks_find(const struct marks_evidence *evidence);

/* The mark that says most of those in the set: "title", …; "" if it is empty. Static. */
const char *marks_name(unsigned marks);

/* The first of `rules` (ended by MARK_NONE, or NULL) that holds; NULL if none does. Pure. */
const struct mark_rule *marks_match(const struct mark_rule *rules, unsigned marks,
				    const struct marks_evidence *evidence) MUST_USE;

/* The reason of a request that passes by a rule of that kind. */
enum request_reason marks_reason(enum mark_kind kind) MUST_USE;
