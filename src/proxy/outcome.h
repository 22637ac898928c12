/*
 * outcome.h - every way in which an exchange can end: one row each (invariant 10).
 *
 * Status, error type, code, message, log word and metric label come from here and can't disagree;
 * `turnstile codes` prints the rows, turnstile(1) is made from that, and tests/lint/outcomes compares
 * README.md's short table with it. The body's shape is the Claude API's (see its documentation,
 * "Errors"), the codes are the relays'. No type is overloaded_error: Claude Code gives up after three
 * of these and doesn't show their message; any other 503 it tries eleven times.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"

/* Shown to the client in x-user-message-queue-error, as the relays do. */
#define OUTCOME_QUEUE 1u
/* The client is told to try again: retry-after and x-should-retry. */
#define OUTCOME_RETRY 2u
/* Where the request ends can't be known, or isn't worth waiting for: the connection is closed. */
#define OUTCOME_CLOSE 4u

/* X(name, word, status, type, code, flags, what the client is told, what it means to operators) */
/* clang-format off */
#define OUTCOMES(X)                                                                        \
	X(ANSWERED, "answered", 0, NULL, NULL, 0,                                          \
	  "the upstream's response went to the client",                                    \
	  "the upstream's response went to the client")                                    \
	X(LINE_ASKED, "line_asked", 200, NULL, NULL, 0,                                    \
	  "where it stands in line",                                                       \
	  "asked at listen.line_path; in the log at debug level only")                     \
	X(LINE_UNKNOWN, "line_unknown", 401, "authentication_error", "LINE_UNKNOWN", 0,    \
	  "show the credential that your requests have, or ask with ?session=ID",          \
	  "asked at listen.line_path without a credential or a session; likewise")         \
	X(LINE_BUSY, "line_busy", 429, "rate_limit_error", "LINE_BUSY", OUTCOME_RETRY,     \
	  "too many accounts are asked about just now",                                    \
	  "asked at listen.line_path about one account too many in a second; likewise")    \
	X(CLIENT_GONE, "client_gone", 499, NULL, NULL, 0,                                  \
	  "the client hung up",                                                            \
	  "the client hung up, or has vanished for 30 s")                                  \
	X(CLIENT_STALLED, "client_stalled", 499, NULL, NULL, 0,                            \
	  "the client stopped sending or reading and was cut off",                         \
	  "the client stopped sending or reading for listen.stall_timeout_ms and "         \
	  "was cut off")                                                                   \
	X(CLIENT_SLOW, "client_slow", 408, NULL, NULL, 0,                                  \
	  "the client sent its request too slowly",                                        \
	  "the client sent its body more slowly than listen.min_rate_bytes_s, or than "    \
	  "listen.body_timeout_ms allows as a whole, and was cut off")                                                                   \
	X(BAD_REQUEST, "bad_request", 400, "invalid_request_error", "BAD_REQUEST",         \
	  OUTCOME_CLOSE,                                                                   \
	  "the request is malformed or ambiguous HTTP",                                    \
	  "malformed HTTP, or such that two readers could disagree where it ends; "        \
	  "the log says why")                                                              \
	X(TARGET_TOO_LONG, "target_too_long", 414, "invalid_request_error",                \
	  "TARGET_TOO_LONG", OUTCOME_CLOSE,                                                \
	  "the request's target is longer than listen.max_target_bytes",                   \
	  "longer than listen.max_target_bytes")                                           \
	X(HEADERS_TOO_LARGE, "headers_too_large", 431, "invalid_request_error",            \
	  "HEADERS_TOO_LARGE", OUTCOME_CLOSE,                                              \
	  "the request's headers exceed listen.max_header_bytes or listen.max_headers",    \
	  "more than listen.max_header_bytes or listen.max_headers")                       \
	X(NOT_IMPLEMENTED, "not_implemented", 501, "invalid_request_error",                \
	  "NOT_IMPLEMENTED", OUTCOME_CLOSE,                                                \
	  "CONNECT, and transfer codings other than chunked, are not served here",         \
	  "CONNECT, or a transfer coding other than chunked")                              \
	X(TOO_MANY_CONNECTIONS, "too_many_connections", 503, "api_error",                  \
	  "TOO_MANY_CONNECTIONS", OUTCOME_CLOSE | OUTCOME_RETRY,                           \
	  "too many connections from this address; try again later",                       \
	  "listen.max_connections_per_address is reached; no exchange, so no line "        \
	  "in the log")                                                                    \
	X(QUEUE_TIMEOUT, "queue_timeout", 503, "queue_timeout", "QUEUE_TIMEOUT",           \
	  OUTCOME_QUEUE | OUTCOME_RETRY,                                                   \
	  "waited too long for the account's turn",                                        \
	  "waited queue.timeout_ms for its turn")                                          \
	X(QUEUE_FULL, "queue_full", 503, "queue_full", "QUEUE_FULL",                       \
	  OUTCOME_QUEUE | OUTCOME_RETRY,                                                   \
	  "too many requests wait for this account",                                       \
	  "queue.max_waiting requests of the account wait already")                        \
	X(QUEUE_REMOVED, "queue_removed", 503, "queue_removed", "QUEUE_REMOVED",           \
	  OUTCOME_QUEUE | OUTCOME_RETRY,                                                   \
	  "an operator took the request out of the queue",                                 \
	  "an operator took it out of the line")                                           \
	X(ACCOUNT_LIMITED, "account_limited", 429, "rate_limit_error", "ACCOUNT_LIMITED",  \
	  OUTCOME_RETRY,                                                                   \
	  "the account's limit is reached, for longer than this request waits",            \
	  "the upstream has limited the account (queue.on_limit) for longer than "         \
	  "this request would wait; answered with the upstream's own refusal")             \
	X(BACKEND_ERROR, "backend_error", 503, "queue_backend_error",                      \
	  "QUEUE_BACKEND_ERROR", OUTCOME_QUEUE | OUTCOME_RETRY,                            \
	  "the queue's backend can't be reached; try again",                               \
	  "Redis can't be asked (queue.on_backend_error)")                                 \
	X(LOCK_LOST, "lock_lost", 503, "queue_lock_lost", "QUEUE_LOCK_LOST",               \
	  OUTCOME_QUEUE | OUTCOME_RETRY,                                                   \
	  "the lease of the account's turn ended too early; try again",                    \
	  "its lease ended before the response did (queue.on_lock_lost = abort); "         \
	  "after headers, the connection is cut")                                          \
	X(BODY_TOO_LARGE, "body_too_large", 413, "request_too_large",                      \
	  "REQUEST_TOO_LARGE", 0,                                                          \
	  "the request's body is larger than listen.max_body_bytes",                       \
	  "looked at, and larger than listen.max_body_bytes")                              \
	X(BUFFERS_FULL, "buffers_full", 503, "api_error", "BUFFERS_FULL",                  \
	  OUTCOME_RETRY,                                                                   \
	  "too many bytes wait in the queue; try again later",                             \
	  "the bodies that are kept reach listen.max_buffered_bytes together, those in "   \
	  "line three quarters of it, or those of one address or key their share")                                            \
	X(UPSTREAM_UNREACHABLE, "upstream_unreachable", 502, "api_error",                  \
	  "UPSTREAM_ERROR", OUTCOME_RETRY,                                                 \
	  "the upstream can't be reached; nothing was sent, try again",                    \
	  "no address, refused, no TLS, a proxy's refusal, or "                            \
	  "upstream.connect_timeout_ms, for upstream.connect_retry_ms; nothing was sent")  \
	X(UPSTREAM_BROKEN, "upstream_broken", 502, "api_error", "UPSTREAM_ERROR", 0,       \
	  "the upstream closed the connection or sent no valid response",                  \
	  "closed, cut, or no HTTP; after the headers, the client's connection is cut")    \
	X(UPSTREAM_TIMEOUT, "upstream_timeout", 504, "timeout_error",                      \
	  "UPSTREAM_TIMEOUT", 0,                                                           \
	  "the upstream didn't answer in time",                                            \
	  "silent for upstream.request_timeout_ms")                                        \
	X(SHUTTING_DOWN, "shutting_down", 503, "api_error", "SHUTTING_DOWN",               \
	  OUTCOME_RETRY,                                                                   \
	  "this instance is shutting down; try again",                                     \
	  "this instance is being stopped")
/* clang-format on */

enum outcome {
#define X(name, ...) OUTCOME_##name,
	OUTCOMES(X)
#undef X
		OUTCOME_COUNT
};

struct outcome_info {
	const char *word; /* in logs and metrics */
	int status;       /* 0: the upstream's; 499: nobody is there to hear it */
	const char *type, *code;
	unsigned flags;
	const char *message; /* to the client */
	const char *help;    /* to operators, by `turnstile codes` and the man page */
};

extern const struct outcome_info outcome_info[OUTCOME_COUNT];

/*
 * Appends the error body that tells the client of this outcome: the row's message, and behind a colon
 * what is known of this case ("": nothing).
 */
void outcome_body(enum outcome outcome, const char *more, const char *request_id, struct buf *to);
