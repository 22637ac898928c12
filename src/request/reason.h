/*
 * reason.h - every verdict a request can get, one row each: its stable code, its kind, and what
 * it means. Logs, metrics, `turnstile explain` and turnstile(1) use the codes; they don't change.
 */
#pragma once

#include <stdbool.h>

/* What the last message is. Names for logs and metrics: request_kind_name(). */
enum request_kind {
	KIND_OTHER,        /* not looked at: other method or path, or the queue is off */
	KIND_USER_MESSAGE, /* real user input: gated */
	KIND_UNCLEAR,      /* a relay may read it in another way than we do: gated (unclear.h) */
	KIND_EXEMPT,       /* would be gated, but the configuration lets it pass */
	KIND_TOOL_RESULT,
	KIND_NOT_USER,   /* the last message isn't the user's, or there is none */
	KIND_UNREADABLE, /* empty, or no JSON to anybody */
	KIND_COUNT,
};

/* X(enum name, code, kind, explanation) */
#define REQUEST_REASONS(X)                                                                       \
	X(NOT_LOOKED_AT, "not_looked_at", KIND_OTHER,                                            \
	  "another method or path, or the queue is off")                                         \
	X(TEXT, "text", KIND_USER_MESSAGE, "the user's message is a string")                     \
	X(BLOCKS, "blocks", KIND_USER_MESSAGE,                                                   \
	  "the user's message is a list of blocks, none of them a tool's result")                \
	X(NO_CONTENT, "no_content", KIND_USER_MESSAGE,                                           \
	  "the user's message has no content, or null")                                          \
	X(ODD_CONTENT, "odd_content", KIND_USER_MESSAGE,                                         \
	  "the user's content is neither a string nor a list")                                   \
	X(TOO_DEEP, "too_deep", KIND_USER_MESSAGE,                                               \
	  "nested too deeply to be read to its end: gated to be safe")                           \
	X(EXEMPT_PROBE, "exempt_probe", KIND_EXEMPT, "queue.exempt has probe: max_tokens is 1")  \
	X(EXEMPT_TITLE, "exempt_title", KIND_EXEMPT,                                             \
	  "queue.exempt has title: no tools, and a JSON schema that asks for a title")           \
	X(EXEMPT_SUBAGENT, "exempt_subagent", KIND_EXEMPT,                                       \
	  "queue.exempt has subagent: an agent asks, not its user")                              \
	X(EXEMPT_CLASSIFIER, "exempt_classifier", KIND_EXEMPT,                                   \
	  "queue.exempt has classifier: a <transcript>, to be answered without a stream")        \
	X(EXEMPT_NOTIFICATION, "exempt_notification", KIND_EXEMPT,                               \
	  "queue.exempt has notification: a <task-notification> in a text")                      \
	X(EXEMPT_LOOP, "exempt_loop", KIND_EXEMPT, "queue.exempt has loop: a /loop woke up")     \
	X(EXEMPT_COMPACTION, "exempt_compaction", KIND_EXEMPT,                                   \
	  "queue.exempt has compaction: a conversation is summed up")                            \
	X(EXEMPT_AUXILIARY, "exempt_auxiliary", KIND_EXEMPT,                                     \
	  "queue.exempt has auxiliary: a side request of the client")                            \
	X(EXEMPT_WORKFLOW, "exempt_workflow", KIND_EXEMPT,                                       \
	  "queue.exempt has workflow: an agent of a workflow asks")                              \
	X(EXEMPT_HEADER, "exempt_header", KIND_EXEMPT, "a header: rule of queue.exempt holds")   \
	X(EXEMPT_MODEL, "exempt_model", KIND_EXEMPT, "a model: rule of queue.exempt holds")      \
	X(EXEMPT_ACCOUNT, "exempt_account", KIND_EXEMPT,                                         \
	  "the account's section says enabled = false")                                          \
	X(TOOL_RESULT, "tool_result", KIND_TOOL_RESULT,                                          \
	  "the user's message holds a tool's result")                                            \
	X(OTHER_ROLE, "other_role", KIND_NOT_USER, "the last message isn't the user's")          \
	X(NOT_AN_OBJECT, "not_an_object", KIND_NOT_USER, "the last message isn't an object")     \
	X(ONLY_SYSTEM, "only_system", KIND_NOT_USER, "all messages have the role \"system\"")    \
	X(NO_MESSAGES, "no_messages", KIND_NOT_USER, "\"messages\" is absent, empty or no list") \
	X(NOT_JSON, "not_json", KIND_UNREADABLE,                                                 \
	  "the body is empty, or nothing that could be a JSON object")                           \
	X(ODD_JSON, "odd_json", KIND_UNCLEAR,                                                    \
	  "begins as a JSON object and isn't valid JSON: the relay may be less strict")          \
	X(NOT_A_NUMBER, "not_a_number", KIND_UNCLEAR,                                            \
	  "JSON with NaN or Infinity, which some relays take")                                   \
	X(ODD_KEYS, "odd_keys", KIND_UNCLEAR,                                                    \
	  "a key such as \"Messages\": some relays ignore case")                                 \
	X(WIDE_TEXT, "wide_text", KIND_UNCLEAR, "UTF-16 or UTF-32, which some relays decode")    \
	X(CONTENT_TYPE, "content_type", KIND_UNCLEAR,                                            \
	  "a Content-Type that isn't JSON, or a charset that isn't UTF-8")                       \
	X(CONTENT_CODING, "content_coding", KIND_UNCLEAR,                                        \
	  "a content coding that isn't looked into, or several of them")                         \
	X(CODING_BROKEN, "coding_broken", KIND_UNCLEAR,                                          \
	  "the body isn't what its content coding says, or was cut short")                       \
	X(CODING_TOO_LARGE, "coding_too_large", KIND_UNCLEAR,                                    \
	  "the compressed body grows beyond the limits of what is looked into")

#define REQUEST_REASON_ENUM(name, code, kind, help) REASON_##name,
enum request_reason { REQUEST_REASONS(REQUEST_REASON_ENUM) REQUEST_REASON_COUNT };
#undef REQUEST_REASON_ENUM

struct request_reason_info {
	const char *code;
	enum request_kind kind;
	const char *help;
};

/* Whether requests of that kind queue. */
static inline bool request_kind_is_gated(enum request_kind kind)
{
	return kind == KIND_USER_MESSAGE || kind == KIND_UNCLEAR;
}

/* The row of a reason. Static; `reason` is less than REQUEST_REASON_COUNT. */
const struct request_reason_info *request_reason_info(enum request_reason reason);

/* What the reason of that code means; NULL if there is no such code. Static. */
const char *request_reason_meaning(const char *code);
