/*
 * value_lists.c - the types of options that are lists of rules: queue.exempt and
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
} exempt[] = {
	[EXEMPT_PROBE] = { { "probe", 5 }, "" },
	[EXEMPT_TITLE] = { { "title", 5 }, "" },
	[EXEMPT_SUBAGENT] = { { "subagent", 8 }, "" },
	[EXEMPT_CLASSIFIER] = { { "classifier", 10 }, "" },
	[EXEMPT_NOTIFICATION] = { { "notification", 12 }, "" },
	[EXEMPT_HEADER] = { { "header:", 7 }, "NAME=VALUE" },
	[EXEMPT_MODEL] = { { "model:", 6 }, "PATTERN" },
};

static void clear_exempt(void *slot)
{
	struct exempt_rule **list = slot;

	for (struct exempt_rule *r = *list; r && r->kind != EXEMPT_NONE; r++) {
		free(r->name);
		free(r->value);
	}
	free(*list);
	*list = NULL;
}

/* What a header with a credential says must not stand in a configuration that is shown. */
static bool is_credential(struct span name)
{
	return span_ieq(name, SPAN("x-api-key")) || span_ieq(name, SPAN("authorization")) ||
	       span_ieq(name, SPAN("proxy-authorization")) || span_ieq(name, SPAN("cookie"));
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

static int parse_exempt_header(struct span text, struct span arg, struct exempt_rule *ret,
			       struct buf *why)
{
	const char *equals = arg.len ? memchr(arg.ptr, '=', arg.len) : NULL;
	struct span name = { arg.ptr, equals ? (size_t)(equals - arg.ptr) : 0 }, value;

	if (is_credential(name)) {
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

static int parse_exempt_rule(struct span text, struct exempt_rule *ret, struct buf *why)
{
	for (size_t i = EXEMPT_PROBE; i < ARRAY_SIZE(exempt); i++) {
		struct span name = exempt[i].text, arg;

		if (*exempt[i].behind ? !span_starts(text, name) : !span_eq(text, name))
			continue;
		arg = (struct span){ text.ptr + name.len, text.len - name.len };
		ret->kind = (enum exempt_kind)i;
		if (ret->kind == EXEMPT_HEADER)
			return parse_exempt_header(text, arg, ret, why);
		if (ret->kind == EXEMPT_MODEL && !is_argument(arg))
			return value_wrong(text, "has no pattern of visible ASCII without \",;#\"",
					   why);
		if (ret->kind == EXEMPT_MODEL)
			ret->value = xstrndup(arg.ptr, arg.len);
		return 0;
	}
	return value_wrong(text, "is none of them", why);
}

static int parse_exempt(const struct option *o, struct span text, void *slot, struct buf *why)
{
	CLEANUP(clear_exempt) struct exempt_rule *list = xcalloc(1, sizeof *list);
	struct span element;
	size_t count = 0;

	(void)o;
	while (text.len && span_next(&text, ',', &element)) {
		struct exempt_rule rule = { 0 };

		if (parse_exempt_rule(element, &rule, why) < 0)
			return -EINVAL;
		list = xrealloc(list, (count + 2) * sizeof *list);
		list[count++] = rule;
		list[count] = (struct exempt_rule){ 0 };
	}
	clear_exempt(slot);
	*(struct exempt_rule **)slot = steal(&list);
	return 0;
}

void config_exempt_print(const struct exempt_rule *r, struct buf *to)
{
	buf_printf(to, "%s%s%s%s", exempt[r->kind].text.ptr, r->name ? r->name : "",
		   r->name ? "=" : "", r->value ? r->value : "");
}

static void print_exempt(const struct option *o, const void *slot, struct buf *to)
{
	const struct exempt_rule *list = *(struct exempt_rule *const *)slot;

	(void)o;
	for (const struct exempt_rule *r = list; r->kind != EXEMPT_NONE; r++) {
		buf_puts(to, r == list ? "" : ", ");
		config_exempt_print(r, to);
	}
}

static void allowed_exempt(const struct option *o, struct buf *to)
{
	(void)o;
	for (size_t i = EXEMPT_PROBE; i < ARRAY_SIZE(exempt); i++)
		buf_printf(to, "%s%s%s", i > EXEMPT_PROBE ? ", " : "", exempt[i].text.ptr,
			   exempt[i].behind);
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

const struct option_type value_exempt = {
	sizeof(struct exempt_rule *), parse_exempt, print_exempt, allowed_exempt, clear_exempt,
};
const struct option_type value_ranges = {
	sizeof(struct address_range *), parse_ranges, print_ranges, allowed_ranges, clear_ranges,
};
