/*
 * judge.c - verdicts on many requests, by the functions that judge real ones; for run.py.
 *
 * Reads requests from standard input until its end, each as
 *
 *      METHOD TARGET FIELDS BYTES LF, then for each field NAME-LENGTH VALUE-LENGTH LF NAME VALUE LF,
 *      then the body's BYTES and LF
 *
 * and prints for each: gated (0 or 1), kind, reason, account, other key ("-": none). One process for
 * thousands of them, where turnstile explain would be one for each.
 */
#include <stdio.h>

#include "config/config.h"
#include "request/request.h"

enum { FIELDS_MAX = 64, NAME_MAX_BYTES = 4096 };

/* The next `n` bytes and a line feed. The caller frees. */
static char *take(size_t n)
{
	char *s = xmalloc(n + 1);

	must(fread(s, 1, n, stdin) == n && getchar() == '\n');
	s[n] = '\0';
	return s;
}

static void take_field(size_t name, size_t value, struct header *ret)
{
	char *text = take(name + value);

	ret->name = (struct span){ text, name };
	ret->value = (struct span){ text + name, value };
}

static void judge(const struct config *config, const char *method, const char *target,
		  const struct headers *headers, struct span body)
{
	struct request_verdict v;
	struct look *look;

	if (request_is_looked_at(config, span_of(method), span_of(target))) {
		look = look_new(headers);
		look_feed(look, body.ptr, body.len / 2); /* in two pieces, as bodies come */
		look_feed(look, body.ptr + body.len / 2, body.len - body.len / 2);
		look_finish(look, config, headers, "127.0.0.1", body, &v);
		look_free(look);
	} else {
		request_not_looked_at(&v);
	}
	printf("%d %s %s %s %s\n", v.gated, request_kind_name(v.kind), v.reason,
	       v.account[0] ? v.account : "-", v.other_key[0] ? v.other_key : "-");
}

static bool judge_next(const struct config *config)
{
	char method[NAME_MAX_BYTES], target[NAME_MAX_BYTES];
	struct header fields[FIELDS_MAX];
	struct headers headers = { fields, 0 };
	size_t bytes, name, value;
	char *body;

	if (scanf("%4095s %4095s %zu %zu", method, target, &headers.count, &bytes) != 4)
		return false;
	must(headers.count <= FIELDS_MAX && getchar() == '\n');
	for (size_t i = 0; i < headers.count; i++) {
		must(scanf("%zu %zu", &name, &value) == 2 && getchar() == '\n');
		take_field(name, value, &fields[i]);
	}
	body = take(bytes);
	judge(config, method, target, &headers, (struct span){ body, bytes });
	for (size_t i = 0; i < headers.count; i++)
		free((char *)(uintptr_t)fields[i].name.ptr);
	free(body);
	return true;
}

int main(void)
{
	CLEANUP(config_freep) struct config *config = NULL;
	CLEANUP(buf_clear) struct buf errors = { 0 };
	const char *const overrides[] = { "queue.exempt=", NULL };
	const struct config_sources sources = { .overrides = overrides };

	must(config_load(&sources, &errors, &config) == 0);
	while (judge_next(config))
		;
	return 0;
}
