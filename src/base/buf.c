#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { HUGE_FROM = 8 << 20 };

/* Of whole pages in it; a wish, that the kernel may not grant. */
static void ask_for_huge_pages(const struct buf *b)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t first = ((uintptr_t)b->data + page - 1) / page * page;
	uintptr_t last = ((uintptr_t)b->data + b->cap) / page * page;

	madvise((void *)first, last - first, MADV_HUGEPAGE);
}

static void set_cap(struct buf *b, size_t cap)
{
	if (cap == b->cap)
		return;
	b->data = xrealloc(b->data, cap);
	b->cap = cap;
}

char *buf_reserve(struct buf *b, size_t n)
{
	size_t cap = b->cap ? b->cap : 64;

	must(n < SIZE_MAX / 2 - b->len);
	while (cap < b->len + n)
		cap *= 2;
	set_cap(b, cap);
	return b->data + b->len;
}

void buf_reserve_exact(struct buf *b, size_t n)
{
	must(n < SIZE_MAX / 2 - b->len);
	set_cap(b, MAX(b->cap, b->len + n));
	if (b->cap >= HUGE_FROM)
		ask_for_huge_pages(b);
}

void buf_append(struct buf *b, const void *data, size_t n)
{
	if (!n)
		return;
	memcpy(buf_reserve(b, n), data, n);
	b->len += n;
}

void buf_puts(struct buf *b, const char *s)
{
	buf_append(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list args, again;
	int n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	must(n >= 0);
	vsnprintf(buf_reserve(b, (size_t)n + 1), (size_t)n + 1, format, again);
	b->len += (size_t)n;
	va_end(again);
	va_end(args);
}

/* The length of the well-formed UTF-8 sequence at `s` (RFC 3629, section 4), or 0. */
static size_t utf8_length(const unsigned char *s, size_t left)
{
	size_t n = s[0] < 0x80   ? 1
		   : s[0] < 0xc2 ? 0
		   : s[0] < 0xe0 ? 2
		   : s[0] < 0xf0 ? 3
		   : s[0] < 0xf5 ? 4
				 : 0;

	if (n > left)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

void buf_json(struct buf *b, struct span s)
{
	const unsigned char *p = (const unsigned char *)s.ptr;
	size_t n;

	buf_puts(b, "\"");
	for (size_t i = 0; i < s.len; i += n) {
		n = utf8_length(p + i, s.len - i);
		if (!n) {
			n = 1;
			buf_puts(b, "\\ufffd");
		} else if (p[i] == '"' || p[i] == '\\') {
			buf_printf(b, "\\%c", p[i]);
		} else if (p[i] < 0x20 || p[i] == 0x7f) {
			buf_printf(b, "\\u%04x", p[i]);
		} else {
			buf_append(b, p + i, n);
		}
	}
	buf_puts(b, "\"");
}

const char *buf_str(struct buf *b)
{
	*buf_reserve(b, 1) = 0;
	return b->data;
}

void buf_clear(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ 0 };
}
