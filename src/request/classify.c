/*
 * classify.c - the rule: is the last message real user input?
 *
 *  1. "messages" is a non-empty array, else not gated.
 *  2. Trailing messages with the role "system" are skipped; the last of the rest must be an
 *     object with the role "user", else not gated.
 *  3. If its content is an array and any element is an object whose type is "tool_result",
 *     "tool_use_result" or ends in "_tool_result": a tool result, not gated.
 *  4. Otherwise, whatever its content is: a user message, gated.
 *
 * tail.c finds the facts; which shapes they come in, and what we do about each:
 *
 *   A typed prompt, as a string or as blocks with <system-reminder> texts before it: gated. The
 *   same turn may come in either form from one request to the next, so the form says nothing.
 *
 *   Reminders and interjections ("The user sent a new message while you were working") as
 *   messages with the role "system" behind the user's turn: skipped, as the turn before them
 *   decides whether the model is asked something new or goes on with its tools.
 *
 *   One tool result or several, in whichever order of keys, its content a string or blocks; a
 *   denied tool too: not gated. The turn that called the tool is still going on, and a wait in
 *   the middle of a tool loop would be one per step.
 *
 *   A tool result together with typed text (after Esc, or after refusing a call): not gated. It
 *   must answer its tool call in any case, and by its blocks it is a continuation.
 *
 *   Tool results further up stay in the conversation for ever: only the last turn counts.
 *
 *   Results of server tools ("web_search_tool_result"): as other tool results.
 *
 *   A prefilled answer (role "assistant" in last place): not the user's, not gated.
 *
 *   "cache_control" moves to the last block with each request: blocks may have any other key.
 *
 *   Side requests that nobody typed (session title, quota probe, a subagent's first turn, web
 *   search, the auto-mode classifier, a task notification, compaction): they look like prompts in
 *   path, credential and form, and load the account like prompts: gated. Of those that a rule can
 *   tell, an operator may let pass which he likes (exempt.h). Compaction stays gated: it is the
 *   largest request of a session, and its user waits for it as for an answer.
 *
 *   Token counting, batches, models, files: other paths, never looked at (request.c).
 */
#include "request/classify.h"

static const struct request_reason_info reasons[] = {
#define ROW(name, code, kind, help) [REASON_##name] = { code, kind, help },
	REQUEST_REASONS(ROW)
#undef ROW
};

const struct request_reason_info *request_reason_info(enum request_reason reason)
{
	must(reason < REQUEST_REASON_COUNT);
	return &reasons[reason];
}

const char *request_reason_meaning(const char *code)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		if (!strcmp(reasons[i].code, code))
			return reasons[i].help;
	}
	return NULL;
}

static enum request_reason classify_content(const struct tail_message *message)
{
	switch (message->content) {
	case TAIL_CONTENT_STRING:
		return REASON_TEXT;
	case TAIL_CONTENT_ARRAY:
		return message->tool_result ? REASON_TOOL_RESULT : REASON_BLOCKS;
	case TAIL_CONTENT_NONE:
		return REASON_NO_CONTENT;
	default:
		return REASON_ODD_CONTENT;
	}
}

enum request_reason classify(const struct tail_facts *facts)
{
	if (facts->status == TAIL_NOT_JSON || facts->status == TAIL_NOT_A_NUMBER)
		return REASON_NOT_JSON;
	if (facts->status == TAIL_TOO_DEEP)
		return REASON_TOO_DEEP;
	if (!facts->messages)
		return REASON_NO_MESSAGES;
	if (facts->only_system)
		return REASON_ONLY_SYSTEM;
	if (!facts->last.is_object)
		return REASON_NOT_AN_OBJECT;
	if (facts->last.role != TAIL_ROLE_USER)
		return REASON_OTHER_ROLE;
	return classify_content(&facts->last);
}
