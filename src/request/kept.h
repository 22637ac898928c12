/*
 * kept.h - is it the same request again? Names by which whoever was sent away gets the place back.
 *
 * Claude Code's own re-sends have its prompt's id (x-claude-code-prompt-id, with an agent's the agent's
 * id, too), also where `stream` and `max_tokens` differ. Of others the body must be the same, and the
 * session where there is one. Account and credential are part of the key: nobody else comes by it.
 *
 * Of a body counts how long it is, all of it up to KEPT_WHOLE bytes, else its first and last 4 KiB and
 * pieces between them: a 20 MiB body costs no more than a small one. Two bodies of one person that only
 * differ elsewhere are taken for one; all that comes of it is that the second gets the first one's place.
 */
#pragma once

#include "base/header.h"
#include "base/span.h"

enum {
	KEPT_KEY_MAX = 17, /* 16 hex digits, NUL */
	KEPT_SESSION_MAX = 17,
	KEPT_WHOLE = 16 * 1024,
};

/* What makes a request the same. Texts may be empty. */
struct kept_evidence {
	const char *account, *key_name; /* as in source.h */
	const struct headers *headers;
	struct span session; /* its id, as the client says it */
	struct span body;
};

/* The name of its place. Pure. */
void kept_key(const struct kept_evidence *evidence, char ret[KEPT_KEY_MAX]);

/* The session's name for others than its client: a hash. */
void kept_session(struct span id, char ret[KEPT_SESSION_MAX]);
