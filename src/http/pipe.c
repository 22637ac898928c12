#include "http/pipe.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { FIRST_CAP = 1024 }; /* an event of a stream */

/* Copies the `len` bytes from `offset` behind the oldest one to `to`, around the ring's end. */
static void copy_out(const struct pipe *p, size_t offset, char *to, size_t len)
{
	size_t at = (p->at + offset) % p->cap;
	size_t first = MIN(len, p->cap - at);

	memcpy(to, p->data + at, first);
	memcpy(to + first, p->data, len - first);
}

static void grow(struct pipe *p, size_t need)
{
	struct pipe bigger = { .cap = p->cap ? p->cap : FIRST_CAP, .len = p->len };

	while (bigger.cap < need)
		bigger.cap *= 2;
	bigger.data = xmalloc(bigger.cap);
	if (p->len)
		copy_out(p, 0, bigger.data, p->len);
	free(p->data);
	*p = bigger;
}

size_t pipe_write(struct pipe *p, const char *data, size_t len)
{
	size_t end, first;

	len = MIN(len, pipe_room(p));
	if (!len)
		return 0;
	if (p->len + len > p->cap)
		grow(p, p->len + len);
	end = (p->at + p->len) % p->cap;
	first = MIN(len, p->cap - end);
	memcpy(p->data + end, data, first);
	memcpy(p->data, data + first, len - first);
	p->len += len;
	return len;
}

void pipe_clear(struct pipe *p)
{
	free(p->data);
	*p = (struct pipe){ 0 };
}

size_t pipe_read(struct pipe *p, char *to, size_t max)
{
	size_t n = MIN(max, p->len);

	if (!n)
		return 0;
	copy_out(p, 0, to, n);
	p->at = (p->at + n) % p->cap;
	p->len -= n;
	if (!p->len) /* more streams are idle than busy */
		pipe_clear(p);
	return n;
}
