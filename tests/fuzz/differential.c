/*
 * differential.c - one body, several opinions.
 *
 *      tail.c + classify.c, whole, by bytes and in random pieces   ─┐
 *      reference.c: same grammar, a tree, an independent walk       ├─ must agree
 *      cJSON's full parse, walked here: where its grammar allows   ─┘
 *
 * cJSON accepts more than JSON (control characters, "01", "1."), so it is asked only about what
 * the reference takes for JSON. It refuses some of that: lone surrogates, 1000 levels, numbers of
 * 64 characters; and it ends strings at "\u0000". There it has no opinion.
 */
#include "differential.h"

#include <cjson/cJSON.h>
#include <stdio.h>

#include "generate.h"
#include "reference.h"
#include "request/classify.h"

enum { BYTEWISE_MAX = 2000, NUMBER_MAX = 60, KEPT_IN_ANY_CASE = 16 };

static const cJSON *cjson_get(const cJSON *object, const char *name)
{
	const cJSON *child, *found = NULL;

	if (!cJSON_IsObject(object))
		return NULL;
	cJSON_ArrayForEach (child, object) {
		if (!strcmp(child->string, name))
			found = child;
	}
	return found;
}

static bool cjson_is(const cJSON *value, const char *s)
{
	return cJSON_IsString(value) && !strcmp(value->valuestring, s);
}

static bool cjson_is_tool_result(const cJSON *block)
{
	const cJSON *type = cjson_get(block, "type");

	return cjson_is(type, "tool_result") || cjson_is(type, "tool_use_result") ||
	       (cJSON_IsString(type) &&
		span_ends(span_of(type->valuestring), SPAN("_tool_result")));
}

static enum request_kind cjson_kind(const cJSON *root)
{
	const cJSON *child, *last = NULL, *messages = cjson_get(root, "messages");

	if (!cJSON_IsArray(messages))
		return KIND_NOT_USER;
	cJSON_ArrayForEach (child, messages) {
		if (!cjson_is(cjson_get(child, "role"), "system"))
			last = child;
	}
	if (!cjson_is(cjson_get(last, "role"), "user"))
		return KIND_NOT_USER;
	messages = cjson_get(last, "content");
	if (!cJSON_IsArray(messages))
		return KIND_USER_MESSAGE;
	cJSON_ArrayForEach (child, messages) {
		if (cjson_is_tool_result(child))
			return KIND_TOOL_RESULT;
	}
	return KIND_USER_MESSAGE;
}

/* Whether cJSON may refuse or misread what is JSON. */
static bool beyond_cjson(const char *data, size_t len)
{
	const char numeric[] = "0123456789+-.eE";
	size_t run = 0, depth = 0;

	if (memmem(data, len, "\\u0000", 6) || memmem(data, len, "\\ud", 3) ||
	    memmem(data, len, "\\uD", 3))
		return true;
	for (size_t i = 0; i < len; i++) {
		run = data[i] && strchr(numeric, data[i]) ? run + 1 : 0;
		depth += data[i] == '{' || data[i] == '['; /* more than there are: no harm */
		if (run >= NUMBER_MAX || depth >= CJSON_NESTING_LIMIT)
			return true;
	}
	return false;
}

static _Noreturn void finding(const char *what, const char *data, size_t len)
{
	fprintf(stderr, "finding: %s; the body (%zu bytes):\n", what, len);
	fwrite(data, 1, len, stderr);
	fputc('\n', stderr);
	abort();
}

/* Each piece in memory of its own and just that long, for ASan to watch. */
static void feed_piece(struct tail *t, const char *data, size_t len)
{
	char *piece = xmalloc(len);

	if (len)
		memcpy(piece, data, len);
	tail_feed(t, piece, len);
	free(piece);
}

struct opinion {
	enum request_reason reason;
	struct span members[TAIL_MEMBERS]; /* in the body */
	struct span text;                  /* decoded */
};

/* Up to the first byte beyond ASCII: the scanner doesn't decode those. */
static struct span ascii_start(struct span s)
{
	size_t n = 0;

	while (n < s.len && n < TAIL_TEXT_MAX && !(s.ptr[n] & 0x80))
		n++;
	return (struct span){ s.ptr, n };
}

static void compare_facts(const struct opinion *want, const struct tail_facts *facts,
			  const char *data, size_t len)
{
	const struct tail_text *text = &facts->last.text;

	for (int i = 0; i < TAIL_MEMBERS; i++) {
		struct span kept = facts->members[i].json;

		if (facts->members[i].too_long
			    ? kept.len || want->members[i].len <= KEPT_IN_ANY_CASE
			    : !span_eq(kept, want->members[i]))
			finding("a member that is kept differs", data, len);
	}
	if (facts->last.is_object &&
	    !span_eq(ascii_start((struct span){ text->first, text->len }), ascii_start(want->text)))
		finding("the text differs", data, len);
}

static void compare(const struct opinion *want, const char *data, size_t len, size_t piece_max)
{
	struct random r = { 0x9e3779b97f4a7c15u ^ len };
	struct tail t = { 0 };
	struct tail_facts facts;

	for (size_t at = 0; at < len;) {
		size_t n = 1 + random_below(&r, piece_max);

		n = MIN(n, len - at);
		feed_piece(&t, data + at, n);
		at += n;
	}
	tail_finish(&t, &facts);
	if (facts.status == TAIL_TOO_DEEP)
		finding("too deep, though the reference could read it", data, len);
	if (classify(&facts) != want->reason)
		finding(request_reason_info(classify(&facts))->code, data, len);
	if (facts.status == TAIL_OK)
		compare_facts(want, &facts, data, len);
	tail_clear(&t);
}

static void ask_cjson(const struct opinion *scanned, const char *data, size_t len)
{
	char *text = xcalloc(len + 1, 1);
	cJSON *root;

	memcpy(text, data, len);
	root = cJSON_ParseWithLengthOpts(text, len + 1, NULL, true);
	if (!root)
		finding("cJSON refuses what the others take for JSON", data, len);
	if (cjson_kind(root) != request_reason_info(scanned->reason)->kind)
		finding("cJSON's walk finds another kind", data, len);
	cJSON_Delete(root);
	free(text);
}

static void ask_reference(const struct node *root, struct opinion *ret)
{
	static const char *const names[TAIL_MEMBERS] = {
		[TAIL_METADATA] = "metadata",     [TAIL_MODEL] = "model",
		[TAIL_MAX_TOKENS] = "max_tokens", [TAIL_STREAM] = "stream",
		[TAIL_TOOLS] = "tools",           [TAIL_OUTPUT_CONFIG] = "output_config",
	};
	const struct node *text = reference_text(root);

	*ret = (struct opinion){ .reason = reference_reason(root) };
	for (int i = 0; i < TAIL_MEMBERS; i++) {
		const struct node *n = node_get(root, names[i]);

		if (n)
			ret->members[i] = (struct span){ n->begin, (size_t)(n->end - n->begin) };
	}
	if (text)
		ret->text = (struct span){ text->string, text->length };
}

const char *differential(const char *data, size_t len)
{
	bool deep;
	struct node *root = reference_parse(data, len, &deep);
	struct opinion want;

	if (deep) /* the reference has no opinion */
		return "deep";
	ask_reference(root, &want);
	compare(&want, data, len, len ? len : 1);
	compare(&want, data, len, 7);
	if (len <= BYTEWISE_MAX)
		compare(&want, data, len, 1);
	if (root && !beyond_cjson(data, len))
		ask_cjson(&want, data, len);
	node_free(root);
	return request_reason_info(want.reason)->code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	differential((const char *)data, size);
	return 0;
}
