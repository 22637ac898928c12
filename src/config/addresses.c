/*
 * addresses.c - ranges of network addresses. Both families are compared as IPv6 (RFC 4291, section
 * 2.5.5.2: an IPv4 address has its place there), so that a dual-stack listener makes no difference.
 */
#include "config/addresses.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

enum { BITS_MAX = 128, BITS_BEFORE_IPV4 = 96 };

static const uint8_t ipv4_within[16] = { [10] = 0xff, [11] = 0xff };

static enum address_kind read_address(const char *text, uint8_t ret[16])
{
	memcpy(ret, ipv4_within, 16);
	if (inet_pton(AF_INET, text, ret + 12) == 1)
		return ADDRESS_IPV4;
	if (inet_pton(AF_INET6, text, ret) != 1)
		return ADDRESS_END;
	return memcmp(ret, ipv4_within, 12) ? ADDRESS_IPV6 : ADDRESS_IPV4;
}

bool address_is_numeric(const char *text)
{
	uint8_t bytes[16];

	return read_address(text, bytes) != ADDRESS_END;
}

static bool same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned rest = bits % 8;

	if (memcmp(a, b, bits / 8))
		return false;
	return !rest || !((a[bits / 8] ^ b[bits / 8]) >> (8 - rest));
}

/* "/24" behind an address; without it, all bits. -1: no such number. */
static int read_bits(const char *slash, int most)
{
	int n = 0;

	if (!slash)
		return most;
	for (const char *p = slash + 1; *p && n <= most; p++) {
		if (*p < '0' || *p > '9')
			return -1;
		n = 10 * n + *p - '0';
	}
	return slash[1] && n <= most ? n : -1;
}

static bool is_zero_behind(const struct address_range *r)
{
	uint8_t masked[16] = { 0 };

	for (unsigned i = 0; i < r->bits; i++)
		masked[i / 8] |= r->bytes[i / 8] & (uint8_t)(0x80 >> i % 8);
	return !memcmp(masked, r->bytes, sizeof masked);
}

static int wrong(struct span text, const char *what, struct buf *why)
{
	buf_json(why, text);
	buf_printf(why, " %s", what);
	return -EINVAL;
}

int address_range_parse(struct span text, struct address_range *ret, struct buf *why)
{
	struct address_range r = { 0 };
	char copy[INET6_ADDRSTRLEN + 4];
	char *slash;
	int bits;

	if (span_eq(text, SPAN("unix"))) {
		*ret = (struct address_range){ .kind = ADDRESS_UNIX };
		return 0;
	}
	if (text.len >= sizeof copy)
		return wrong(text, "is no address", why);
	snprintf(copy, sizeof copy, "%.*s", SPAN_ARG(text));
	slash = strchr(copy, '/');
	if (slash)
		*slash = '\0';
	r.kind = read_address(copy, r.bytes);
	if (r.kind == ADDRESS_END)
		return wrong(text, "is no address", why);
	bits = read_bits(slash, strchr(copy, ':') ? BITS_MAX : BITS_MAX - BITS_BEFORE_IPV4);
	if (bits < 0)
		return wrong(text, "has a bad number of bits", why);
	r.bits = (unsigned)bits + (strchr(copy, ':') ? 0 : BITS_BEFORE_IPV4);
	if (r.bits < BITS_BEFORE_IPV4)
		r.kind = ADDRESS_IPV6;
	if (!is_zero_behind(&r))
		return wrong(text, "has bits set behind its prefix", why);
	*ret = r;
	return 0;
}

void address_range_print(const struct address_range *range, struct buf *to)
{
	bool v4 = range->kind == ADDRESS_IPV4;
	unsigned before = v4 ? BITS_BEFORE_IPV4 : 0;
	char text[INET6_ADDRSTRLEN];

	if (range->kind == ADDRESS_UNIX) {
		buf_puts(to, "unix");
		return;
	}
	must(inet_ntop(v4 ? AF_INET : AF_INET6, range->bytes + before / 8, text, sizeof text));
	buf_puts(to, text);
	if (range->bits < BITS_MAX)
		buf_printf(to, "/%u", range->bits - before);
}

bool address_is_in(const struct address_range *ranges, const char *address)
{
	uint8_t bytes[16];
	enum address_kind kind = address[0] ? read_address(address, bytes) : ADDRESS_UNIX;

	for (; kind != ADDRESS_END && ranges->kind != ADDRESS_END; ranges++) {
		if (ranges->kind == ADDRESS_UNIX
			    ? kind == ADDRESS_UNIX
			    : kind != ADDRESS_UNIX &&
				      same_prefix(ranges->bytes, bytes, ranges->bits))
			return true;
	}
	return false;
}
