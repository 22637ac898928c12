#include "mutate.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Replaces `cut` bytes at `at` by others. */
static void splice(struct buf *b, size_t at, size_t cut, const char *data, size_t len)
{
	struct buf out = { 0 };

	buf_append(&out, b->data, at);
	buf_append(&out, data, len);
	buf_append(&out, b->data + at + cut, b->len - at - cut);
	buf_clear(b);
	*b = out;
}

static void mutate_once(struct random *r, struct buf *b, const char *token)
{
	const char *data = buf_str(b); /* not NULL, even if nothing is left */
	size_t at = random_below(r, b->len + 1), left = b->len - at;
	size_t cut = random_below(r, 20), from = random_below(r, b->len + 1);
	size_t most = random_below(r, 60);
	CLEANUP(buf_clear) struct buf copy = { 0 };

	buf_append(&copy, data + from, MIN(b->len - from, most));
	switch (random_below(r, 6)) {
	case 0:
		splice(b, at, MIN(left, 1), (char[]){ (char)random_next(r) }, 1);
		break;
	case 1:
		splice(b, at, MIN(cut, left), NULL, 0);
		break;
	case 2:
		splice(b, at, left, NULL, 0);
		break;
	case 3:
		splice(b, at, 0, copy.data, copy.len);
		break;
	default:
		splice(b, at, random_below(r, 2) ? MIN(left, strlen(token)) : 0, token,
		       strlen(token));
	}
}

void mutate(struct random *r, struct buf *input, const char *const *tokens, size_t count)
{
	for (size_t n = 1 + random_below(r, 3); n > 0; n--)
		mutate_once(r, input, tokens[random_below(r, count)]);
}
