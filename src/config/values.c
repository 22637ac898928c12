/*
 * values.c - the types of options.
 *
 * print() and parse() are each other's inverse: whatever one type shows can be loaded again and
 * gives the same value. config_print(), the comparison of a reload and the tests stand on that.
 */
#include "config/values.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "config/forms.h"

int value_wrong(struct span text, const char *what, struct buf *why)
{
	if (!text.len) {
		buf_puts(why, "is empty");
		return -EINVAL;
	}
	buf_json(why, text);
	buf_printf(why, " %s", what);
	return -EINVAL;
}

static int parse_bool(const struct option *o, struct span text, void *slot, struct buf *why)
{
	static const struct {
		struct span word;
		bool value;
	} words[] = {
		{ { "true", 4 }, true }, { { "false", 5 }, false }, { { "yes", 3 }, true },
		{ { "no", 2 }, false },  { { "on", 2 }, true },     { { "off", 3 }, false },
		{ { "1", 1 }, true },    { { "0", 1 }, false },
	};

	(void)o;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (span_ieq(text, words[i].word)) {
			*(bool *)slot = words[i].value;
			return 0;
		}
	}
	return value_wrong(text, "is neither", why);
}

static void print_bool(const struct option *o, const void *slot, struct buf *to)
{
	(void)o;
	buf_puts(to, *(const bool *)slot ? "true" : "false");
}

static void allowed_bool(const struct option *o, struct buf *to)
{
	(void)o;
	buf_puts(to, "true or false");
}

/*
 * Takes a number off the front, "-" included so that the error can be about its range; `rest` is
 * what follows. False if there is none.
 */
static bool take_number(struct span text, int64_t *ret, struct span *rest)
{
	bool negative = text.len && text.ptr[0] == '-';
	size_t i = negative;
	int64_t n = 0;

	for (; i < text.len && isdigit((unsigned char)text.ptr[i]); i++) {
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, text.ptr[i] - '0', &n))
			n = INT64_MAX; /* and stays there: out of any range */
	}
	if (i == negative)
		return false;
	*ret = negative ? -n : n;
	*rest = span_trim((struct span){ text.ptr + i, text.len - i });
	return true;
}

static int set_number(const struct option *o, struct span text, int64_t n, void *slot,
		      struct buf *why)
{
	if (n < o->min || n > o->max)
		return value_wrong(text, "is out of range", why);
	*(int64_t *)slot = n;
	return 0;
}

static int parse_number(const struct option *o, struct span text, void *slot, struct buf *why)
{
	struct span rest;
	int64_t n;

	if (!take_number(text, &n, &rest) || rest.len)
		return value_wrong(text, "is not a whole number", why);
	return set_number(o, text, n, slot, why);
}

static void print_number(const struct option *o, const void *slot, struct buf *to)
{
	(void)o;
	buf_printf(to, "%" PRId64, *(const int64_t *)slot);
}

static void allowed_number(const struct option *o, struct buf *to)
{
	buf_printf(to, "%" PRId64 " to %" PRId64, o->min, o->max);
}

/* Largest first, the last is the one without a name. */
static const struct {
	struct span name;
	int64_t bytes;
} units[] = {
	{ { "GiB", 3 }, 1LL << 30 },
	{ { "MiB", 3 }, 1LL << 20 },
	{ { "KiB", 3 }, 1LL << 10 },
	{ { "", 0 }, 1 },
};

static int parse_bytes(const struct option *o, struct span text, void *slot, struct buf *why)
{
	struct span unit;
	int64_t n;

	if (!take_number(text, &n, &unit))
		return value_wrong(text, "is not a whole number of bytes, KiB, MiB or GiB", why);
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (!span_ieq(unit, units[i].name))
			continue;
		if (__builtin_mul_overflow(n, units[i].bytes, &n))
			return value_wrong(text, "is out of range", why);
		return set_number(o, text, n, slot, why);
	}
	return value_wrong(text, "is not a whole number of bytes, KiB, MiB or GiB", why);
}

static void put_bytes(int64_t n, struct buf *to)
{
	size_t i = 0;

	while (n % units[i].bytes)
		i++;
	buf_printf(to, "%" PRId64 "%.*s", n / units[i].bytes, SPAN_ARG(units[i].name));
}

static void print_bytes(const struct option *o, const void *slot, struct buf *to)
{
	(void)o;
	put_bytes(*(const int64_t *)slot, to);
}

static void allowed_bytes(const struct option *o, struct buf *to)
{
	put_bytes(o->min, to);
	buf_puts(to, " to ");
	put_bytes(o->max, to);
}

/* Enums are stored as the compiler stores them: all of ours are unsigned int. */
_Static_assert(sizeof(enum release_on) == sizeof(unsigned), "an enum's size");
_Static_assert(sizeof(enum log_level) == sizeof(unsigned), "an enum's size");

static int parse_word(const struct option *o, struct span text, void *slot, struct buf *why)
{
	for (size_t i = 0; i < o->words.count; i++) {
		if (span_ieq(text, span_of(o->words.list[i]))) {
			*(unsigned *)slot = (unsigned)i;
			return 0;
		}
	}
	return value_wrong(text, "is none of them", why);
}

static void print_word(const struct option *o, const void *slot, struct buf *to)
{
	unsigned i = *(const unsigned *)slot;

	must(i < o->words.count);
	buf_puts(to, o->words.list[i]);
}

static int parse_words(const struct option *o, struct span text, void *slot, struct buf *why)
{
	struct span element;
	unsigned set = 0, bit = 0;

	while (text.len && span_next(&text, ',', &element)) {
		if (parse_word(o, element, &bit, why) < 0)
			return -EINVAL;
		set |= 1u << bit;
	}
	*(unsigned *)slot = set;
	return 0;
}

static void print_words(const struct option *o, const void *slot, struct buf *to)
{
	unsigned set = *(const unsigned *)slot;
	bool more = false;

	for (size_t i = 0; i < o->words.count; i++) {
		if (!(set & 1u << i))
			continue;
		buf_printf(to, "%s%s", more ? ", " : "", o->words.list[i]);
		more = true;
	}
}

static void allowed_words(const struct option *o, struct buf *to)
{
	buf_puts(to, "empty, or any of ");
	for (size_t i = 0; i < o->words.count; i++)
		buf_printf(to, "%s%s", i ? ", " : "", o->words.list[i]);
}

static void allowed_word(const struct option *o, struct buf *to)
{
	for (size_t i = 0; i < o->words.count; i++)
		buf_printf(to, "%s%s", i ? ", " : "", o->words.list[i]);
}

static void clear_text(void *slot)
{
	char **text = slot;

	free(*text);
	*text = NULL;
}

/* A text that the file couldn't express (inih's comments, a line's end) would not load again. */
static int check_expressible(struct span text, struct buf *why)
{
	for (size_t i = 0; i < text.len; i++) {
		if (iscntrl((unsigned char)text.ptr[i])) {
			buf_puts(why, "has a control character");
			return -EINVAL;
		}
		if (text.ptr[i] == ';' && (i == 0 || isspace((unsigned char)text.ptr[i - 1]))) {
			buf_puts(why, "has a \";\" where a comment would begin");
			return -EINVAL;
		}
	}
	return 0;
}

static int parse_text(const struct option *o, struct span text, void *slot, struct buf *why)
{
	if (check_expressible(text, why) < 0 || o->form->check(&text, why) < 0)
		return -EINVAL;
	clear_text(slot);
	*(char **)slot = text.len ? xstrndup(text.ptr, text.len) : xstrdup("");
	return 0;
}

static void print_text(const struct option *o, const void *slot, struct buf *to)
{
	(void)o;
	buf_puts(to, *(char *const *)slot);
}

static void allowed_text(const struct option *o, struct buf *to)
{
	buf_puts(to, o->form->allowed);
}

static void clear_paths(void *slot)
{
	char ***paths = slot;

	for (size_t i = 0; *paths && (*paths)[i]; i++)
		free((*paths)[i]);
	free(*paths);
	*paths = NULL;
}

/* Printable ASCII only, and nothing that ends a path in a target. */
static int check_path(struct span path, struct buf *why)
{
	if (!path.len || path.ptr[0] != '/')
		return value_wrong(path, "doesn't begin with \"/\"", why);
	for (size_t i = 0; i < path.len; i++) {
		if (path.ptr[i] <= ' ' || path.ptr[i] > '~' || strchr("?#;", path.ptr[i]))
			return value_wrong(path, "has a character that no path has", why);
	}
	return 0;
}

static int parse_paths(const struct option *o, struct span text, void *slot, struct buf *why)
{
	CLEANUP(clear_paths) char **paths = NULL;
	struct span path;
	size_t count = 0;

	(void)o;
	while (span_next(&text, ',', &path)) {
		if (check_path(path, why) < 0)
			return -EINVAL;
		paths = xrealloc(paths, (count + 2) * sizeof *paths);
		paths[count++] = xstrndup(path.ptr, path.len);
		paths[count] = NULL;
	}
	clear_paths(slot);
	*(char ***)slot = steal(&paths);
	return 0;
}

static void print_paths(const struct option *o, const void *slot, struct buf *to)
{
	char *const *paths = *(char **const *)slot;

	(void)o;
	for (size_t i = 0; paths[i]; i++)
		buf_printf(to, "%s%s", i ? ", " : "", paths[i]);
}

static void allowed_paths(const struct option *o, struct buf *to)
{
	(void)o;
	buf_puts(to, "/PATH, /PATH, ...");
}

static const struct {
	struct span text; /* one that ends with ":" has an argument behind it */
	enum account_source_kind kind;
} sources[] = {
	{ { "header:", 7 }, ACCOUNT_HEADER },
	{ { "api-key", 7 }, ACCOUNT_API_KEY },
	{ { "metadata.account_uuid", 21 }, ACCOUNT_ACCOUNT_UUID },
	{ { "metadata.session_id", 19 }, ACCOUNT_SESSION_ID },
	{ { "metadata.device_id", 18 }, ACCOUNT_DEVICE_ID },
	{ { "client", 6 }, ACCOUNT_CLIENT },
	{ { "static:", 7 }, ACCOUNT_STATIC },
};

static void clear_sources(void *slot)
{
	struct account_source **list = slot;

	for (struct account_source *s = *list; s && s->kind != ACCOUNT_NONE; s++)
		free(s->arg);
	free(*list);
	*list = NULL;
}

static int check_source(enum account_source_kind kind, struct span arg, struct span text,
			struct buf *why)
{
	if (kind == ACCOUNT_HEADER && !form_is_token(arg))
		return value_wrong(text, "names no header", why);
	if (kind != ACCOUNT_STATIC)
		return 0;
	if (!form_is_name(arg, "._-@:") || arg.len > ACCOUNT_STATIC_MAX)
		return value_wrong(text, "is no name of up to 128 letters, digits and \"._-@:\"",
				   why);
	return 0;
}

/* One element; the caller owns ret->arg. */
static int parse_source(struct span text, struct account_source *ret, struct buf *why)
{
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		struct span name = sources[i].text;
		bool has_arg = name.ptr[name.len - 1] == ':';
		struct span arg;

		if (has_arg ? !span_starts(text, name) : !span_eq(text, name))
			continue;
		arg = (struct span){ text.ptr + name.len, text.len - name.len };
		if (check_source(sources[i].kind, arg, text, why) < 0)
			return -EINVAL;
		ret->kind = sources[i].kind;
		ret->arg = has_arg ? xstrndup(arg.ptr, arg.len) : NULL;
		return 0;
	}
	return value_wrong(text, "is none of them", why);
}

static int parse_sources(const struct option *o, struct span text, void *slot, struct buf *why)
{
	CLEANUP(clear_sources) struct account_source *list = NULL;
	struct span element;
	size_t count = 0;

	(void)o;
	while (span_next(&text, ',', &element)) {
		list = xrealloc(list, (count + 2) * sizeof *list);
		list[count] = (struct account_source){ 0 };
		if (parse_source(element, &list[count], why) < 0)
			return -EINVAL;
		list[++count] = (struct account_source){ 0 };
	}
	clear_sources(slot);
	*(struct account_source **)slot = steal(&list);
	return 0;
}

static void print_sources(const struct option *o, const void *slot, struct buf *to)
{
	const struct account_source *list = *(struct account_source *const *)slot;

	(void)o;
	for (const struct account_source *s = list; s->kind != ACCOUNT_NONE; s++) {
		size_t i = 0;

		while (sources[i].kind != s->kind)
			i++;
		buf_printf(to, "%s%s%s", s == list ? "" : ", ", sources[i].text.ptr,
			   s->arg ? s->arg : "");
	}
}

static void allowed_sources(const struct option *o, struct buf *to)
{
	(void)o;
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		buf_printf(to, "%s%s", i ? ", " : "", sources[i].text.ptr);
		if (sources[i].text.ptr[sources[i].text.len - 1] == ':')
			buf_puts(to, "NAME");
	}
}

const struct option_type value_bool = {
	sizeof(bool), parse_bool, print_bool, allowed_bool, NULL,
};
const struct option_type value_number = {
	sizeof(int64_t), parse_number, print_number, allowed_number, NULL,
};
const struct option_type value_bytes = {
	sizeof(int64_t), parse_bytes, print_bytes, allowed_bytes, NULL,
};
const struct option_type value_word = {
	sizeof(unsigned), parse_word, print_word, allowed_word, NULL,
};
const struct option_type value_words = {
	sizeof(unsigned), parse_words, print_words, allowed_words, NULL,
};
const struct option_type value_text = {
	sizeof(char *), parse_text, print_text, allowed_text, clear_text,
};
const struct option_type value_paths = {
	sizeof(char **), parse_paths, print_paths, allowed_paths, clear_paths,
};
const struct option_type value_sources = {
	sizeof(struct account_source *),
	parse_sources,
	print_sources,
	allowed_sources,
	clear_sources,
};

void value_show(const struct option *o, const void *slot, struct buf *to)
{
	CLEANUP(buf_clear) struct buf text = { 0 };

	if (o->flags & OPTION_OPAQUE) {
		o->type->print(o, slot, &text);
		buf_puts(to, text.len ? "***" : "");
	} else if (o->flags & OPTION_SECRET) {
		form_mask(span_of(*(char *const *)slot), to);
	} else {
		o->type->print(o, slot, to);
	}
}
