/*
 * account.c - whose request is it?
 *
 * account.source is a list; each kind of source is one function that says which bytes it found, or
 * that there are none. The first that has some wins, and its bytes are made a safe name.
 *
 * metadata.user_id comes in two forms, both a JSON string (observed from Claude Code 2.0 and 2.1):
 *
 *      user_<64 hex>_account_<uuid or nothing>_session_<uuid>
 *      {"device_id":"…","account_uuid":"<uuid or empty>","session_id":"<uuid>", …}
 *
 * Within metadata and within the second form the last duplicate of a key counts, as elsewhere.
 */
#include "request/account.h"

#include <ctype.h>
#include <stdio.h>

#include "config/accounts.h"
#include "config/forms.h"
#include "request/hash.h"
#include "request/json.h"
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

	if (value.len >= ACCOUNT_NAME_MAX)
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

/* user_…_account_A_session_S: A or S; the empty span if the form is another. */
static struct span find_in_old_form(const char *user_id, enum account_source_kind kind)
{
	static const char account_mark[] = "_account_", session_mark[] = "_session_";
	const char *mark = strstr(user_id, account_mark);
	const char *account = mark ? mark + strlen(account_mark) : NULL;
	const char *session = account ? strstr(account, session_mark) : NULL;

	if (strncmp(user_id, "user_", 5) != 0 || !session)
		return (struct span){ NULL, 0 };
	if (kind == ACCOUNT_SESSION_ID)
		return span_of(session + strlen(session_mark));
	return (struct span){ account, (size_t)(session - account) };
}

/* The name that `metadata` yields for either of its kinds; false if none. */
static bool name_in_metadata(const struct config *config, struct span metadata,
			     enum account_source_kind kind, char ret[ACCOUNT_NAME_MAX])
{
	CLEANUP(json_freep) cJSON *outer = json_parse(metadata);
	CLEANUP(json_freep) cJSON *inner = NULL;
	const char *user_id = cJSON_GetStringValue(json_member(outer, "user_id"));
	struct span value;

	if (!user_id)
		return false;
	inner = cJSON_Parse(user_id);
	if (inner)
		value = span_of(cJSON_GetStringValue(json_member(
			inner, kind == ACCOUNT_SESSION_ID ? "session_id" : "account_uuid")));
	else
		value = find_in_old_form(user_id, kind);
	value = span_trim(value);
	if (!value.len)
		return false;
	make_name(value, is_uuid(value) || account_has_section(config, value) || is_typed(value),
		  ret);
	return true;
}

static bool name_in_header(const struct config *config, struct span name,
			   const struct headers *headers, char ret[ACCOUNT_NAME_MAX])
{
	struct span value = span_trim(headers_get(headers, name));
	bool known = account_has_section(config, value) || is_our_hash(value) || is_typed(value);

	if (!value.len || headers_connection_names(headers, name))
		return false;
	make_name(value, known && !form_is_credential(name), ret);
	return true;
}

/* The name of a key, or of the account whose section lists it. */
static bool name_of_key(const struct config *config, const char *key, char ret[ACCOUNT_NAME_MAX])
{
	const char *account = account_of_key_name(config, key);

	snprintf(ret, ACCOUNT_NAME_MAX, "%s", account ? account : key);
	return *key;
}

/* Whether that source yields a name. */
static bool name_from(const struct config *config, const struct account_source *source,
		      const struct account_evidence *evidence, char ret[ACCOUNT_NAME_MAX])
{
	struct span fixed = span_trim(span_of(source->arg));

	switch (source->kind) {
	case ACCOUNT_HEADER:
		return config_trusts(config, evidence->client) &&
		       name_in_header(config, fixed, evidence->headers, ret);
	case ACCOUNT_API_KEY:
		return name_of_key(config, evidence->key_name, ret);
	case ACCOUNT_ACCOUNT_UUID:
	case ACCOUNT_SESSION_ID:
		return name_in_metadata(config, evidence->metadata, source->kind, ret);
	case ACCOUNT_STATIC:
		if (fixed.len)
			make_name(fixed, !span_starts(fixed, SPAN("sk-")), ret);
		return fixed.len != 0;
	case ACCOUNT_NONE:
		break;
	}
	return false;
}

void account_find(const struct config *config, const struct account_evidence *evidence,
		  char ret[ACCOUNT_NAME_MAX], enum account_source_kind *ret_from)
{
	const struct account_source *source = config->account.source;

	for (; source->kind != ACCOUNT_NONE; source++) {
		if (name_from(config, source, evidence, ret)) {
			*ret_from = source->kind;
			return;
		}
	}
	strcpy(ret, "default");
	*ret_from = ACCOUNT_NONE;
}

const char *account_source_name(enum account_source_kind kind)
{
	static const char *const names[] = {
		[ACCOUNT_NONE] = "default",
		[ACCOUNT_HEADER] = "header",
		[ACCOUNT_API_KEY] = "api-key",
		[ACCOUNT_ACCOUNT_UUID] = "metadata.account_uuid",
		[ACCOUNT_SESSION_ID] = "metadata.session_id",
		[ACCOUNT_STATIC] = "static",
	};

	must(kind < ARRAY_SIZE(names));
	return names[kind];
}
