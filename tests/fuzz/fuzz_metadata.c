/*
 * fuzz_metadata.c - what clients say of themselves, whole and damaged.
 *
 *      device, account, session ──> one of the two forms ──> damage ──> metadata_read() ──> trimmed texts, or nothing
 *
 * Undamaged, each part comes out as it went in. Each input is a copy of its own, so that reading beyond it is seen.
 */
#include <string.h>

#include "driver.h"
#include "mutate.h"
#include "request/metadata.h"

enum { COUNT = 100000, PART_MAX = 40 };

static const char *const tokens[] = {
	"{",
	"}",
	"\"",
	"\\\"",
	"\\u0000",
	"\\",
	"_account_",
	"_session_",
	"user_",
	"null",
	"[[[[",
	"\"device_id\":7",
	"\"user_id\":{}",
	"\\ud800",
	"\xff",
	" ",
};

struct parts {
	char device[PART_MAX], account[PART_MAX], session[PART_MAX];
};

static void make_part(struct random *r, char *to)
{
	static const char letters[] = "0123456789abcdef-ABCxyz.";
	size_t n = 1 + random_below(r, PART_MAX - 1);

	for (size_t i = 0; i < n; i++)
		to[i] = letters[random_below(r, sizeof letters - 1)];
	to[n] = '\0';
}

/* The JSON of the member `metadata`. */
static void write_metadata(struct random *r, const struct parts *p, struct buf *to)
{
	CLEANUP(buf_clear) struct buf user_id = { 0 };

	if (random_chance(r, 2))
		buf_printf(&user_id, "user_%s_account_%s_session_%s", p->device, p->account,
			   p->session);
	else
		buf_printf(
			&user_id,
			"{\"device_id\":\" %s\",\"account_uuid\":\"%s\\t\",\"session_id\":\"%s\"}",
			p->device, p->account, p->session);
	to->len = 0;
	buf_puts(to, "{\"user_id\":\"gone\",\"user_id\":");
	buf_json(to, buf_span(&user_id));
	buf_puts(to, "}");
}

static void check_text(const char *text)
{
	if (!text)
		return;
	must(*text);
	must(span_eq(span_of(text), span_trim(span_of(text))));
}

static struct metadata read_copy(const struct buf *b)
{
	CLEANUP(freep) char *copy = xmalloc(MAX(b->len, 1));
	struct metadata m = { .device_id = copy }; /* is overwritten */

	if (b->len)
		memcpy(copy, b->data, b->len);
	metadata_read((struct span){ copy, b->len }, &m);
	check_text(m.device_id);
	check_text(m.account_uuid);
	check_text(m.session_id);
	return m;
}

static bool is(const char *got, const char *want)
{
	return got && !strcmp(got, want);
}

int main(int argc, char **argv)
{
	struct random r;
	size_t count = fuzz_count(argc, argv, COUNT, &r), understood = 0, nothing = 0;
	CLEANUP(buf_clear) struct buf b = { 0 };

	for (size_t i = 0; i < count; i++) {
		struct parts p;
		struct metadata m;

		make_part(&r, p.device);
		make_part(&r, p.account);
		make_part(&r, p.session);
		write_metadata(&r, &p, &b);
		m = read_copy(&b);
		must(is(m.device_id, p.device) && is(m.account_uuid, p.account) &&
		     is(m.session_id, p.session));
		metadata_clear(&m);
		mutate(&r, &b, tokens, ARRAY_SIZE(tokens));
		m = read_copy(&b);
		understood += m.session_id != NULL;
		nothing += !m.device_id && !m.account_uuid && !m.session_id;
		metadata_clear(&m);
	}
	printf("%zu damaged: %zu with a session, %zu with nothing\n", count, understood, nothing);
	return understood && nothing ? 0 : 1;
}
