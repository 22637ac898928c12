/*
 * hash.h - SHA-256 (FIPS 180-4, by libcrypto) as names: what derives from keys, prompts and sessions
 * is seen as a few of its hex digits only (invariant 8).
 */
#pragma once

#include <stddef.h>

#include "base/span.h"

/* Writes `prefix`, the first `digits` (even, at most 64) hex digits of the value's hash, and NUL. */
void hash_name(const char *prefix, struct span value, size_t digits, char *ret);

/*
 * Writes the 64 hex digits of the text's HMAC-SHA-256 (RFC 2104) with the secret, and NUL: whoever
 * has the secret can tell that the text is ours.
 */
void hash_sign(const char *secret, struct span text, char ret[65]);
