/*
 * patience.h - how long a client says it waits.
 *
 * In seconds from the start of the request, decimals allowed: X-Stainless-Timeout (Anthropic's SDK
 * for JavaScript, and Claude Code) and X-Stainless-Read-Timeout (that for Python, the longest
 * silence). If both are there, the smaller one counts.
 */
#pragma once

#include <stdint.h>

#include "base/header.h"

/* In milliseconds, at least 1; -1 if the client doesn't say, or in another way than SDKs do. Pure. */
int64_t patience_ms(const struct headers *headers);
