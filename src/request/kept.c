#include "request/kept.h"

#include "base/buf.h"
#include "request/hash.h"

enum { ENDS = 4096, PIECES = 64, PIECE = 64, DIGITS = 16 };

static struct span field(const struct kept_evidence *e, struct span name)
{
	return span_trim(headers_get(e->headers, name));
}

/* With its length before it: so no two lists of texts look the same. */
static void add(struct buf *b, struct span s)
{
	buf_printf(b, "%zu:", s.len);
	buf_append(b, s.ptr, s.len);
}

static void add_body(struct buf *b, struct span body)
{
	size_t middle = body.len - MIN(body.len, (size_t)2 * ENDS);

	if (body.len <= KEPT_WHOLE) {
		add(b, body);
		return;
	}
	buf_printf(b, "%zu:", body.len);
	add(b, (struct span){ body.ptr, ENDS });
	add(b, (struct span){ body.ptr + body.len - ENDS, ENDS });
	for (size_t i = 0; i < PIECES; i++)
		add(b,
		    (struct span){ body.ptr + ENDS + (middle - PIECE) / (PIECES - 1) * i, PIECE });
}

void kept_key(const struct kept_evidence *e, char ret[KEPT_KEY_MAX])
{
	CLEANUP(buf_clear) struct buf b = { 0 };
	struct span prompt = field(e, SPAN("x-claude-code-prompt-id"));

	add(&b, span_of(e->account));
	add(&b, span_of(e->key_name));
	add(&b, prompt);
	if (prompt.len) {
		add(&b, field(e, SPAN("x-claude-code-agent-id")));
	} else {
		add(&b, e->session);
		add_body(&b, e->body);
	}
	hash_name("", buf_span(&b), DIGITS, ret);
}

void kept_session(struct span id, char ret[KEPT_SESSION_MAX])
{
	hash_name("", id, DIGITS, ret);
}
