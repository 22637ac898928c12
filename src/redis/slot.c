#include "redis/slot.h"

/* Bit by bit: an account's keys are hashed once a call, by a tag of some 20 bytes. */
static unsigned crc16(struct span s)
{
	unsigned crc = 0;

	for (size_t i = 0; i < s.len; i++) {
		crc ^= (unsigned)(unsigned char)s.ptr[i] << 8;
		for (int bit = 0; bit < 8; bit++)
			crc = crc << 1 ^ (crc & 0x8000 ? 0x11021 : 0);
	}
	return crc;
}

unsigned redis_slot(struct span key)
{
	const char *end = key.ptr + key.len;
	const char *open = key.len ? memchr(key.ptr, '{', key.len) : NULL;
	const char *close = open ? memchr(open, '}', (size_t)(end - open)) : NULL;

	if (close && close > open + 1)
		key = (struct span){ open + 1, (size_t)(close - open - 1) };
	return crc16(key) % REDIS_SLOTS;
}
