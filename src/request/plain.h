/*
 * plain.h - where the plain bytes of a JSON string end: at a quote, a backslash, or a control
 * character, which a string must not contain (RFC 8259, section 7).
 *
 * Nearly all of a body is skipped here, so it goes by blocks: of 16 bytes where the compiler knows
 * SSE2 (always on x86-64), else of 8. Inline, as most strings are short.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline bool is_plain(char c)
{
	return c != '"' && c != '\\' && (unsigned char)c >= 0x20;
}

/* Where the plain bytes at `p` end, at a block's precision: fewer than a block may be left. */
#ifdef __SSE2__
static inline const char *skip_plain_blocks(const char *p, const char *end)
{
	const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
	const __m128i control = _mm_set1_epi8(0x1f);

	for (; end - p >= 16; p += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		__m128i special =
			_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash));
		unsigned found;

		special = _mm_or_si128(special, _mm_cmpeq_epi8(_mm_min_epu8(v, control), v));
		found = (unsigned)_mm_movemask_epi8(special);
		if (found)
			return p + __builtin_ctz(found);
	}
	return p;
}
#else
/* Eight bytes at once in a word; "has a zero byte" and "has a byte below" as in Bit Twiddling Hacks
 * (https://graphics.stanford.edu/~seander/bithacks.html). */
static inline const char *skip_plain_blocks(const char *p, const char *end)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;

	for (; end - p >= 8; p += 8) {
		uint64_t v, quote, backslash;

		memcpy(&v, p, sizeof v);
		quote = v ^ ones * '"';
		backslash = v ^ ones * '\\';
		if ((((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) |
		     ((v - ones * 0x20) & ~v)) &
		    high)
			return p;
	}
	return p;
}
#endif

/* `end` if all of them are plain. */
static inline const char *plain_end(const char *p, const char *end)
{
	p = skip_plain_blocks(p, end);
	while (p < end && is_plain(*p))
		p++;
	return p;
}
