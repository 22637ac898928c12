/*
 * share.h - whose is it within its account? A share of the account's turns is a person, a device, a
 * session or a client, by queue.share_by.
 *
 * A section [share "NAME"] names those whose key, device or header it lists; the first element of
 * queue.share_by that finds one of them wins. Otherwise it is the first element that finds anything and
 * isn't what named the account: within an account that is one key, that key tells nobody apart. An
 * account whose section lists several keys is told apart by them. The name is "u-" and 12 hex digits of
 * the value's hash, of a key the first 12 of its name.
 *
 * Keys are the relay's to check. Everything else is the client's word: who makes up devices or sessions
 * makes up shares.
 */
#pragma once

#include "config/shares.h"
#include "request/source.h"

/* `from`: what named the account, see account_find(); "" if nothing tells anything. Pure. */
void share_find(const struct config *config, struct source_evidence *evidence, const char *account,
		const struct account_source *from, char ret[SHARE_NAME_MAX]);
