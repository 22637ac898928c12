/*
 * value_lists.c - the types of options that are lists of rules: queue.exempt, queue.yield, admin.tokens and
 * account.trusted_proxies. A list may be empty. As in values.c, print() and parse() are each
 * other's inverse.
 */
#include <ctype.h>
#include <errno.h>

#include "config/addresses.h"
#include "config/forms.h"
#include "config/values.h"

static const struct {
	struct span text; /* one that ends with ":" has something behind it */
	const char *behind;
} marks[] = {
	[MARK_PROBE] = { { "probe", 5 }, "" },
	[MARK_TITLE] = { { "title", 5 }, "" },
	[MARK_SUBAGENT] = { { "subagent", 8 }, "" },
	[MARK_CLASSIFIER] = { { "classifier", 10 }, "" },
	[MARK_NOTIFICATION] = { { "notification", 12 }, "" },
	[MARK_LOOP] = { { "loop", 4 }, "" },
	[MARK_COMPACTION] = { { "compaction", 10 }, "" },
	[MARK_AUXILIARY] = { { "auxiliary", 9 }, "" },
	[MARK_WORKFLOW] = { { "workflow", 8 }, "" },
	[MARK_HEADER] = { { "header:", 7 }, "NAME=VALUE" },
	[MARK_MODEL] = { { "model:", 6 }, "PATTERN" },
};

static void clear_marks(void *slot)
{
	struct mark_rule **list = slot;

	for (struct mark_rule *r = *list; r && r->kind != MARK_NONE; r++) {
		free(r->name);
		free(r->value);
	}
	free(*list);
	*list = NULL;
}

/* Visible ASCII without what would end the element, or begin a comment in the file. */
static bool is_argument(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (!isprint((unsigned char)s.ptr[i]) || strchr(",;#", s.ptr[i]))
			return false;
	}
	return s.len;
}

static int parse_header_mark(struct span text, struct span arg, struct mark_rule *ret,
			     struct buf *why)
{
	const char *equals = arg.len ? memchr(arg.ptr, '=', arg.len) : NULL;
	struct span name = { arg.ptr, equals ? (size_t)(equals - arg.ptr) : 0 }, value;

	if (form_is_credential(name)) { /* its value would be shown with the configuration */
		buf_puts(why, "has a header with credentials, which would be seen here");
		return -EINVAL;
	}
	if (!form_is_token(name))
		return value_wrong(text, "names no header and value", why);
	value = span_trim((struct span){ equals + 1, arg.len - name.len - 1 });
	if (!is_argument(value))
		return value_wrong(text, "has no value of visible ASCII without \",;#\"", why);
	ret->name = xstrndup(name.ptr, name.len);
	ret->value = xstrndup(value.ptr, value.len);
	return 0;
}

static int parse_mark_rule(struct span text, struct mark_rule *ret, struct buf *why)
{
	for (size_t i = MARK_PROBE; i < ARRAY_SIZE(marks); i++) {
		struct span name = marks[i].text, arg;

		if (*marks[i].behind ? !span_starts(text, name) : !span_eq(text, name))
			continue;
		arg = (struct span){ text.ptr + name.len, text.len - name.len };
		ret->kind = (enum mark_kind)i;
		if (ret->kind == MARK_HEADER)
			return parse_header_mark(text, arg, ret, why);
		if (ret->kind == MARK_MODEL && !is_argument(arg))
			return value_wrong(text, "has no pattern of visible ASCII without \",;#\"",
					   why);
		if (ret->kind == MARK_MODEL)
			ret->value = xstrndup(arg.ptr, arg.len);
		return 0;
	}
	return value_wrong(text, "is none of them", why);
}

static int parse_marks(const struct option *o, struct span text, void *slot, struct buf *why)
{
	CLEANUP(clear_marks) struct mark_rule *list = xcalloc(1, sizeof *list);
	struct span element;
	size_t count = 0;

	(void)o;
	while (text.len && span_next(&text, ',', &element)) {
		struct mark_rule rule = { 0 };

		if (parse_mark_rule(element, &rule, why) < 0)
			return -EINVAL;
		list = xrealloc(list, (count + 2) * sizeof *list);
		list[count++] = rule;
		list[count] = (struct mark_rule){ 0 };
	}
	clear_marks(slot);
	*(struct mark_rule **)slot = steal(&list);
	return 0;
}

void config_mark_print(const struct mark_rule *r, struct buf *to)
{
	buf_printf(to, "%s%s%s%s", marks[r->kind].text.ptr, r->name ? r->name : "",
		   r->name ? "=" : "", r->value ? r->value : "");
}

static void print_marks(const struct option *o, const void *slot, struct buf *to)
{
	const struct mark_rule *list = *(struct mark_rule *const *)slot;

	(void)o;
	for (const struct mark_rule *r = list; r->kind != MARK_NONE; r++) {
		buf_puts(to, r == list ? "" : ", ");
		config_mark_print(r, to);
	}
}

static void allowed_marks(const struct option *o, struct buf *to)
{
	(void)o;
	for (size_t i = MARK_PROBE; i < ARRAY_SIZE(marks); i++)
		buf_printf(to, "%s%s%s", i > MARK_PROBE ? ", " : "", marks[i].text.ptr,
			   marks[i].behind);
}

static void clear_ranges(void *slot)
{
	struct address_range **list = slot;

	free(*list);
	*list = NULL;
}

static int parse_ranges(const struct option *o, struct span text, void *slot, struct buf *why)
{
	CLEANUP(clear_ranges) struct address_range *list = xcalloc(1, sizeof *list);
	struct span element;
	size_t count = 0;

	(void)o;
	while (text.len && span_next(&text, ',', &element)) {
		list = xrealloc(list, (count + 2) * sizeof *list);
		if (address_range_parse(element, &list[count], why) < 0)
			return -EINVAL;
		list[++count] = (struct address_range){ 0 };
	}
	clear_ranges(slot);
	*(struct address_range **)slot = steal(&list);
	return 0;
}

static void print_ranges(const struct option *o, const void *slot, struct buf *to)
{
	const struct address_range *list = *(struct address_range *const *)slot;

	(void)o;
	for (const struct address_range *r = list; r->kind != ADDRESS_END; r++) {
		buf_puts(to, r == list ? "" : ", ");
		address_range_print(r, to);
	}
}

static void allowed_ranges(const struct option *o, struct buf *to)
{
	(void)o;
	buf_puts(to, "empty, or ADDRESS, ADDRESS/BITS, unix, ...");
}

static void clear_tokens(void *slot)
{
	struct admin_token **list = slot;

	for (struct admin_token *t = *list; t && t->name; t++) {
		free(t->name);
		free(t->secret);
	}
	free(*list);
	*list = NULL;
}

/* What is wrong is told without the text, which holds a secret; but by its place in the list. */
static int wrong_token(size_t at, const char *what, struct buf *why)
{
	buf_printf(why, "element %zu %s", at + 1, what);
	return -EINVAL;
}

static bool is_known_token(const struct admin_token *list, struct span name, struct span secret)
{
	for (; list->name; list++) {
		if (span_eq(span_of(list->name), name) || span_eq(span_of(list->secret), secret))
			return true;
	}
	return false;
}

/* "NAME:read:TOKEN" or "NAME:write:TOKEN". A token has no ":" in it. */
static int parse_token(struct span element, size_t at, const struct admin_token *before,
		       struct admin_token *ret, struct buf *why)
{
	CLEANUP(buf_clear) struct buf flaw = { 0 };
	struct span rest = element, name, access, secret;

	if (!span_next(&rest, ':', &name) || !span_next(&rest, ':', &access))
		return wrong_token(at, "isn't of that form", why);
	secret = span_trim(rest);
	if (!form_is_name(name, "._-") || name.len > ADMIN_TOKEN_NAME_MAX)
		return wrong_token(at, "has a name of other characters, or a longer one", why);
	ret->may_write = span_eq(access, SPAN("write"));
	if (!ret->may_write && !span_eq(access, SPAN("read")))
		return wrong_token(at, "says neither read nor write", why);
	if (!secret.len)
		return wrong_token(at, "has no token", why);
	if (form_secret.check(&secret, &flaw) < 0)
		return wrong_token(at, buf_str(&flaw), why);
	if (is_known_token(before, name, secret))
		return wrong_token(at, "has the name or the token of one before it", why);
	ret->name = xstrndup(name.ptr, name.len);
	ret->secret = xstrndup(secret.ptr, secret.len);
	return 0;
}

static int parse_tokens(const struct option *o, struct span text, void *slot, struct buf *why)
{
	CLEANUP(clear_tokens) struct admin_token *list = xcalloc(1, sizeof *list);
	struct span element;
	size_t count = 0;

	(void)o;
	while (text.len && span_next(&text, ',', &element)) {
		struct admin_token token = { 0 };

		if (parse_token(element, count, list, &token, why) < 0)
			return -EINVAL;
		list = xrealloc(list, (count + 2) * sizeof *list);
		list[count++] = token;
		list[count] = (struct admin_token){ 0 };
	}
	clear_tokens(slot);
	*(struct admin_token **)slot = steal(&list);
	return 0;
}

static void print_tokens(const struct option *o, const void *slot, struct buf *to)
{
	const struct admin_token *list = *(struct admin_token *const *)slot;

	(void)o;
	for (const struct admin_token *t = list; t->name; t++)
		buf_printf(to, "%s%s:%s:%s", t == list ? "" : ", ", t->name,
			   t->may_write ? "write" : "read", t->secret);
}

static void allowed_tokens(const struct option *o, struct buf *to)
{
	(void)o;
	buf_printf(to, "empty, or NAME:read:TOKEN, NAME:write:TOKEN, ...; TOKEN as admin.token");
}

const struct option_type value_marks = {
	sizeof(struct mark_rule *), parse_marks, print_marks, allowed_marks, clear_marks,
};
const struct option_type value_ranges = {
	sizeof(struct address_range *), parse_ranges, print_ranges, allowed_ranges, clear_ranges,
};
const struct option_type value_tokens = {
	sizeof(struct admin_token *), parse_tokens, print_tokens, allowed_tokens, clear_tokens,
};
