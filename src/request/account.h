/*
 * account.h - whose request is it? The key that requests are serialised by.
 *
 * A name consists of letters, digits and "._-@:", has 1 to ACCOUNT_NAME_MAX - 1 bytes and isn't
 * made of dots only: so it is safe in a Redis key, a log field and a segment of a URL. API keys
 * are hashed in any case ("key-…", invariant 8). Other values are ("h-…") if they aren't such names,
 * begin like a key ("sk-"), or come from a header that carries credentials.
 * Hashes are the first 16 hex digits of SHA-256 (FIPS 180-4, by libcrypto).
 */
#pragma once

#include "base/header.h"
#include "base/span.h"
#include "config/config.h"

enum {
	ACCOUNT_NAME_MAX = 129,    /* with its NUL */
	ACCOUNT_KEY_NAME_MAX = 21, /* "key-", 16 hex digits, NUL */
};

/*
 * The account by the first of `sources` (config->account.source, ended by ACCOUNT_NONE) that
 * yields something, and which one that was; "default" and ACCOUNT_NONE if none does. A source
 * yields nothing if what it names is absent, empty, or for metadata can't be parsed. `metadata`
 * is the JSON value of that member, or empty. Pure.
 */
void account_find(const struct account_source *sources, const struct headers *headers,
		  struct span metadata, char ret[ACCOUNT_NAME_MAX],
		  enum account_source_kind *ret_from);

/* The account's name of an API key, white space around it ignored: what `hash-key` prints. */
void account_of_key(struct span key, char ret[ACCOUNT_KEY_NAME_MAX]);
