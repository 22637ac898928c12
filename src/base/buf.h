/*
 * buf.h - bytes that grow. A zeroed struct buf is empty: there is no buf_init().
 */
#pragma once

#include <stddef.h>

#include "base/mem.h"
#include "base/span.h"

struct buf {
	char *data;
	size_t len, cap;
};

/* Makes room for `n` more bytes behind `len` and returns where they go; grows by doubling. */
char *buf_reserve(struct buf *b, size_t n);

/*
 * The same, but with room for no more than that: for a content whose length is known. From 8 MiB on
 * the kernel is asked for huge pages: half of the time that 20 MiB take was spent on small ones.
 */
void buf_reserve_exact(struct buf *b, size_t n);

void buf_append(struct buf *b, const void *data, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *format, ...) PRINTF(2, 3);

/* Appends `s` as a JSON string with its quotes; bytes that are no UTF-8 become U+FFFD. */
void buf_json(struct buf *b, struct span s);

/* The content as a terminated string, owned by `b`, valid until the next call that changes it. */
const char *buf_str(struct buf *b);

/* Frees the content; `b` is empty again. May be called twice. */
void buf_clear(struct buf *b);

static inline struct span buf_span(const struct buf *b)
{
	return (struct span){ b->data, b->len };
}
