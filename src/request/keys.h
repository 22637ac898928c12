/*
 * keys.h - the API keys that a request shows, found where relays look for them.
 *
 * In the order in which they count: x-api-key, authorization, x-goog-api-key, api-key,
 * x-litellm-api-key, each with "Bearer " before the key or without. Only fields that are forwarded:
 * one that Connection names isn't. Behind them, for relays that take what they find: what stands
 * behind another scheme ("Basic KEY"), and later fields of the same name. White space and bytes
 * beyond ASCII at a key's ends are no part of it, as in relays that trim.
 */
#pragma once

#include "base/header.h"
#include "base/span.h"

struct keys {
	struct span first; /* the one that counts; empty: none */
	struct span other; /* the next one that differs: which of them a relay takes isn't known */
};

/* The spans point into the headers. Pure. */
void keys_find(const struct headers *headers, struct keys *ret);

/* The key without what a relay trims. */
struct span key_trim(struct span key);
