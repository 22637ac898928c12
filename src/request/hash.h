/*
 * hash.h - SHA-256 (FIPS 180-4, by libcrypto) as names: what derives from keys, prompts and sessions
 * is seen as a few of its hex digits only (invariant 8).
 */
#pragma once

#include <stddef.h>

#include "base/span.h"

/* Writes `prefix`, the first `digits` (even, at most 64) hex digits of the value's hash, and NUL. */
void hash_name(const char *prefix, struct span value, size_t digits, char *ret);
