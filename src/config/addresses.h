/*
 * addresses.h - ranges of network addresses: who is meant by "10.0.0.0/8, ::1, unix".
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/span.h"

enum address_kind {
	ADDRESS_END,  /* ends a list */
	ADDRESS_IPV4, /* the last four of the bytes, as in ::ffff:a.b.c.d */
	ADDRESS_IPV6,
	ADDRESS_UNIX, /* a peer on a Unix socket, which has no address */
};

struct address_range {
	enum address_kind kind;
	uint8_t bytes[16]; /* network order; behind `bits` all is zero */
	unsigned bits;     /* of `bytes` that count: 96 to 128 for IPv4 */
};

/*
 * Reads ADDRESS, ADDRESS/BITS or "unix" (RFC 4632, section 3.1; RFC 4291, section 2.3). -EINVAL and
 * what is wrong appended to `why`, also where bits behind the prefix are set: that is a slip.
 */
int address_range_parse(struct span text, struct address_range *ret, struct buf *why) MUST_USE;

/* Appends it as address_range_parse() reads it. */
void address_range_print(const struct address_range *range, struct buf *to);

/* Whether it is an address as such, IPv4 or IPv6: no name, range or port. */
bool address_is_numeric(const char *text);

/*
 * Whether `address` is in one of the ranges; `ranges` ends with ADDRESS_END. An address is numeric
 * without a port, empty for a peer on a Unix socket; IPv4 within IPv6 counts as IPv4.
 */
bool address_is_in(const struct address_range *ranges, const char *address);
