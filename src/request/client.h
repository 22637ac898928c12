/*
 * client.h - whose address is it, behind proxies? For logs, operators and limits, never for trust.
 *
 *      client 203.0.113.9 ──> 10.0.0.8 (trusted) ──> 10.0.0.2 (trusted, the peer) ──> turnstile
 *      X-Forwarded-For: 203.0.113.9, 10.0.0.8        the nearest one that isn't trusted
 *
 * Each proxy appends who it was asked by, so the list is believed from its end, as far as those who
 * wrote it are in account.trusted_proxies. The field is X-Forwarded-For where there is one, else
 * Forwarded (RFC 7239, section 5.2). Where the option is empty nobody is believed.
 */
#pragma once

#include "base/header.h"
#include "config/addresses.h"

enum { CLIENT_ADDRESS_MAX = 64 };

/*
 * `peer`: the connection's other end, numeric and without a port, empty for a Unix socket; `trusted`
 * ends with ADDRESS_END. Where the list ends before somebody who isn't trusted, or with what is no
 * address ("unknown", an obfuscated name), it is the last one that was known.
 */
void client_find(const struct address_range *trusted, const struct headers *headers,
		 const char *peer, char ret[CLIENT_ADDRESS_MAX]);
