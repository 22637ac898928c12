/*
 * account.h - whose request is it? The key that requests are serialised by.
 *
 * A name consists of letters, digits and "._-@:", has 1 to ACCOUNT_NAME_MAX - 1 bytes and isn't
 * made of dots only: so it is safe in a Redis key, a log field and a segment of a URL. API keys
 * are hashed in any case ("key-…", invariant 8). Other values are ("h-…") if they aren't such
 * names, begin like a key ("sk-"), or come from a header that carries credentials.
 * An API key that a section of the configuration lists has that section's name instead.
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

/* What an account is found in. */
struct account_evidence {
	const struct headers *headers;
	const char *client;   /* the peer's address, see config_trusts() */
	struct span metadata; /* the JSON value of that member, or empty */
};

/*
 * The account by the first of account.source that yields something, and which one that was;
 * "default" and ACCOUNT_NONE if none does. A source yields nothing if what it names is absent,
 * empty, for metadata can't be parsed, or for a header comes from somebody who isn't trusted. Pure.
 */
void account_find(const struct config *config, const struct account_evidence *evidence,
		  char ret[ACCOUNT_NAME_MAX], enum account_source_kind *ret_from);

/* "header", "api-key", "metadata.account_uuid", "metadata.session_id", "static"; "default". */
const char *account_source_name(enum account_source_kind kind);

/* The account's name of an API key, white space around it ignored: what `hash-key` prints. */
void account_of_key(struct span key, char ret[ACCOUNT_KEY_NAME_MAX]);
