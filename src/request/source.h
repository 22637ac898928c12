/*
 * source.h - what the elements of account.source and queue.share_by find in a request.
 */
#pragma once

#include "base/header.h"
#include "config/config.h"
#include "request/client.h"
#include "request/metadata.h"

/* What they look at. The first group is the caller's; the rest is filled in as it is asked for. */
struct source_evidence {
	const struct headers *headers;
	const char
		*key_name; /* account_of_key() of the key that counts (keys.h); "": there is none */
	const char *peer;  /* the connection's other end, as in client.h, see config_trusts() */
	struct span metadata; /* the JSON value of that member, or empty */

	bool read_metadata;
	struct metadata ids;
	char client[CLIENT_ADDRESS_MAX];
};

/*
 * The bytes that this source finds: of a key its name ("key-…"); empty if there is nothing, if metadata
 * can't be parsed, or for a header if it comes from somebody who isn't trusted or isn't forwarded. They
 * live as long as the evidence and what it points to.
 */
struct span source_find(const struct config *config, const struct account_source *source,
			struct source_evidence *evidence);

/* The session_id of its metadata; NULL: it has none. */
const char *source_session(struct source_evidence *evidence);

/* "header", "api-key", "metadata.account_uuid", …, "client", "static"; "default" for ACCOUNT_NONE. */
const char *source_name(enum account_source_kind kind);

/* Frees what was filled in. */
void source_clear(struct source_evidence *evidence);
