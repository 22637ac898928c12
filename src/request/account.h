/*
 * account.h - whose request is it? The key that requests are serialised by.
 *
 * A name consists of letters, digits and "._-@:", has 1 to ACCOUNT_NAME_MAX - 1 bytes and isn't
 * made of dots only: so it is safe in a Redis key, a log field and a segment of a URL. API keys
 * are hashed in any case ("key-…", invariant 8; where they are found: keys.h). An API key that a
 * section of the configuration lists has that section's name instead.
 *
 * Other values are a name as they are if somebody could have typed them as one ("team-a",
 * "desk-12", "ann@example.com"), if a section has that name, if they are a hash of ours, or, within
 * metadata, a UUID. All else may be a key and is hashed ("h-…"), and so is every value of a field
 * that carries credentials (form_is_credential()). Hashes have 16 hex digits (hash.h).
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
	const char
		*key_name; /* account_of_key() of the key that counts (keys.h); "": there is none */
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

/* The account's name of an API key, trimmed as in keys.h: what `hash-key` prints. */
void account_of_key(struct span key, char ret[ACCOUNT_KEY_NAME_MAX]);
