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

#include "base/span.h"
#include "config/config.h"
#include "request/source.h"

enum {
	ACCOUNT_NAME_MAX = 129,    /* with its NUL */
	ACCOUNT_KEY_NAME_MAX = 21, /* "key-", 16 hex digits, NUL */
};

/*
 * The account by the first of account.source that finds something (source.h), and which one that was;
 * "default" and NULL if none does. `*ret_from` is valid until a reload. Pure.
 */
void account_find(const struct config *config, struct source_evidence *evidence,
		  char ret[ACCOUNT_NAME_MAX], const struct account_source **ret_from);

/* The account's name of an API key, trimmed as in keys.h: what `hash-key` prints. */
void account_of_key(struct span key, char ret[ACCOUNT_KEY_NAME_MAX]);
