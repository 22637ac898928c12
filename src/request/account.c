/*
 * account.c - whose request is it?
 *
 * account.source is a list; the first element that finds something wins (source.c), and what it finds is
 * made a safe name.
 */
#include "request/account.h"

#include <ctype.h>
#include <stdio.h>

#include "config/accounts.h"
#include "config/forms.h"
#include "request/hash.h"
#include "request/keys.h"

enum { HASH_DIGITS = 16 };

void account_of_key(struct span key, char ret[ACCOUNT_KEY_NAME_MAX])
{
	hash_name("key-", key_trim(key), HASH_DIGITS, ret);
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("._-@:", c));
}

/* Whether a name may look so. "." and ".." would vanish from a URL. */
static bool is_name(struct span value)
{
	bool only_dots = true;

	if (value.len >= ACCOUNT_NAME_MAX || account_name_is_reserved(value))
		return false;
	for (size_t i = 0; i < value.len; i++) {
		if (!is_name_char(value.ptr[i]))
			return false;
		only_dots = only_dots && value.ptr[i] == '.';
	}
	return !only_dots;
}

/* What random tokens have more of than names that people type. */
enum {
	TYPED_MAX = 64,
	TYPED_DIGITS_MAX = 16,
	TYPED_CHANGES_MAX = 4, /* from letters to digits or back, in all */
	RUN_MAX = 24,          /* letters and digits without a separator */
	SHORT_RUN_MAX = 8,     /* may change twice ("v2a"), a longer one once ("customer12") */
};

/* A run of letters and digits at the begin of `s`: how long it is, and how often it changes. */
static size_t measure_run(struct span s, size_t *ret_changes, size_t *digits)
{
	size_t n = 0;

	*ret_changes = 0;
	for (; n < s.len && isalnum((unsigned char)s.ptr[n]); n++) {
		bool digit = isdigit((unsigned char)s.ptr[n]);

		*digits += digit;
		*ret_changes += n && digit != !!isdigit((unsigned char)s.ptr[n - 1]);
	}
	return n;
}

/* Whether somebody could have typed this name: short, of words and numbers, and not "sk-…". */
static bool is_typed(struct span s)
{
	size_t digits = 0, changes = 0;

	if (s.len > TYPED_MAX || span_starts(s, SPAN("sk-")))
		return false;
	while (s.len) {
		size_t here, n = measure_run(s, &here, &digits);

		if (n > RUN_MAX || here > (n > SHORT_RUN_MAX ? 1 : 2))
			return false;
		changes += here;
		n += n < s.len; /* the separator */
		s.ptr += n;
		s.len -= n;
	}
	return digits <= TYPED_DIGITS_MAX && changes <= TYPED_CHANGES_MAX;
}

static bool is_hex(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (!isxdigit((unsigned char)s.ptr[i]))
			return false;
	}
	return true;
}

/* "key-" or "h-" and as many digits as we make. */
static bool is_our_hash(struct span s)
{
	size_t prefix = span_starts(s, SPAN("key-")) ? 4 : span_starts(s, SPAN("h-")) ? 2 : 0;

	return prefix && s.len == prefix + HASH_DIGITS &&
	       is_hex((struct span){ s.ptr + prefix, s.len - prefix });
}

/* RFC 9562, section 4. */
static bool is_uuid(struct span s)
{
	static const size_t lengths[] = { 8, 4, 4, 4, 12 };
	struct span group;
	size_t n = 0;

	while (n < ARRAY_SIZE(lengths) && span_next(&s, '-', &group) && group.len == lengths[n] &&
	       is_hex(group))
		n++;
	return n == ARRAY_SIZE(lengths) && !s.ptr;
}

/* `clear`: it is no key, if it may be a name at all. */
static void make_name(struct span value, bool clear, char ret[ACCOUNT_NAME_MAX])
{
	if (!is_name(value) || !clear) {
		hash_name("h-", value, HASH_DIGITS, ret);
		return;
	}
	memcpy(ret, value.ptr, value.len);
	ret[value.len] = '\0';
}

/* Whether a value from there may be seen as it is, if it can be a name at all. */
static bool is_clear(const struct config *config, const struct account_source *source,
		     struct span s)
{
	switch (source->kind) {
	case ACCOUNT_HEADER:
		return !form_is_credential(span_of(source->arg)) &&
		       (account_has_section(config, s) || is_our_hash(s) || is_typed(s));
	case ACCOUNT_STATIC:
		return !span_starts(s, SPAN("sk-"));
	case ACCOUNT_CLIENT:
		return true;
	default:
		return is_uuid(s) || account_has_section(config, s) || is_typed(s);
	}
}

void account_find(const struct config *config, struct source_evidence *evidence,
		  char ret[ACCOUNT_NAME_MAX], const struct account_source **ret_from)
{
	const struct account_source *source = config->account.source;
	struct span found = { NULL, 0 };
	const char *section = NULL;

	while (source->kind != ACCOUNT_NONE) {
		found = source_find(config, source, evidence);
		if (found.len)
			break;
		source++;
	}
	*ret_from = found.len ? source : NULL;
	if (source->kind == ACCOUNT_API_KEY)
		section = account_of_key_name(config, found.ptr);
	if (!found.len)
		strcpy(ret, "default");
	else if (source->kind == ACCOUNT_API_KEY)
		snprintf(ret, ACCOUNT_NAME_MAX, "%s", section ? section : found.ptr);
	else
		make_name(found, is_clear(config, source, found), ret);
}
