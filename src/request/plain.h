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
static inline unsigned special_bytes(__m128i v)
{
	__m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
	__m128i backslash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
	__m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), control));
}

static inline const char *skip_plain_blocks(const char *p, const char *end)
{
	for (; end - p >= 16; p += 16) {
		unsigned found = special_bytes(_mm_loadu_si128((const __m128i *)(const void *)p));

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

/*
 * Over plain bytes and the commonest escapes of two bytes (n, t, r, quote, backslash), by blocks of
 * 16. Stops at a quote, a control character, the backslash of another escape, or less than a block
 * before `end`; never within an escape. Which bytes are escaped is found without a branch: the ends
 * of runs of an odd number of backslashes, by the carries of an addition (Langdale and Lemire,
 * "Parsing Gigabytes of JSON per Second", section 3.1.1).
 */
#ifdef __SSE2__
/* The bytes behind a backslash that isn't escaped itself; `carried`: from and to the next block. */
static inline unsigned escaped_bytes(unsigned backslash, unsigned *carried)
{
	unsigned follows, odd_starts, sum;

	backslash &= ~*carried;
	follows = backslash << 1 | *carried;
	odd_starts = backslash & 0xaaaa & ~follows;
	sum = odd_starts + backslash;
	*carried = sum >> 16;
	return (0x5555 ^ sum << 1) & follows & 0xffff;
}

/* Those that may stand behind a backslash. */
static inline __m128i simple_escapes(__m128i v)
{
	__m128i n = _mm_cmpeq_epi8(v, _mm_set1_epi8('n')),
		t = _mm_cmpeq_epi8(v, _mm_set1_epi8('t'));
	__m128i r = _mm_cmpeq_epi8(v, _mm_set1_epi8('r'));
	__m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));

	return _mm_or_si128(_mm_or_si128(n, t), _mm_or_si128(r, quote));
}

static inline const char *skip_simple_blocks(const char *p, const char *end)
{
	unsigned carried = 0;

	for (; end - p >= 16; p += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		unsigned special = special_bytes(v), backslash, escaped, bad;

		if (!(special | carried))
			continue;
		backslash = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
		escaped = escaped_bytes(backslash, &carried);
		bad = escaped & ~(backslash | (unsigned)_mm_movemask_epi8(simple_escapes(v)));
		bad |= special & ~backslash & ~escaped;
		if (bad) {
			int at = __builtin_ctz(bad);

			return p + at - (escaped >> at & 1);
		}
	}
	return p - carried;
}
#else
static inline const char *skip_simple_blocks(const char *p, const char *end)
{
	(void)end;
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
