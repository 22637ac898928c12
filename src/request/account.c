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

#include <openssl/evp.h>
#include <stdio.h>

#include "config/accounts.h"
#include "request/json.h"

enum { HASH_BYTES = 8 };

/* `prefix`, 16 hex digits of the hash, NUL. */
static void hash_name(const char *prefix, struct span value, char *ret)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char *to = stpcpy(ret, prefix);

	must(EVP_Digest(value.ptr, value.len, digest, NULL, EVP_sha256(), NULL) == 1);
	for (int i = 0; i < HASH_BYTES; i++)
		to += sprintf(to, "%02x", digest[i]);
}

void account_of_key(struct span key, char ret[ACCOUNT_KEY_NAME_MAX])
{
	hash_name("key-", span_trim(key), ret);
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("._-@:", c));
}

/*
 * Whether `value` is a name as it is. "." and ".." would vanish from a URL; what looks like an API
 * key is one, wherever it was found (invariant 8).
 */
static bool is_name(struct span value)
{
	bool only_dots = true;

	if (value.len >= ACCOUNT_NAME_MAX || span_starts(value, SPAN("sk-")))
		return false;
	for (size_t i = 0; i < value.len; i++) {
		if (!is_name_char(value.ptr[i]))
			return false;
		only_dots = only_dots && value.ptr[i] == '.';
	}
	return !only_dots;
}

static void make_name(struct span value, char ret[ACCOUNT_NAME_MAX])
{
	if (!is_name(value)) {
		hash_name("h-", value, ret);
		return;
	}
	memcpy(ret, value.ptr, value.len);
	ret[value.len] = '\0';
}

/* SDKs send one key under either header, so the value alone counts. */
static struct span find_key(const struct headers *headers)
{
	const struct span scheme = SPAN("Bearer ");
	struct span value = span_trim(headers_get(headers, SPAN("x-api-key")));

	if (value.len)
		return value;
	value = span_trim(headers_get(headers, SPAN("authorization")));
	if (value.len <= scheme.len || strncasecmp(value.ptr, scheme.ptr, scheme.len) != 0)
		return (struct span){ NULL, 0 };
	return span_trim((struct span){ value.ptr + scheme.len, value.len - scheme.len });
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
static bool name_in_metadata(struct span metadata, enum account_source_kind kind,
			     char ret[ACCOUNT_NAME_MAX])
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
	make_name(value, ret);
	return true;
}

/* Whether what a header of that name says must not be seen (invariant 8). */
static bool is_secret_header(struct span name)
{
	return span_ieq(name, SPAN("x-api-key")) || span_ieq(name, SPAN("authorization")) ||
	       span_ieq(name, SPAN("proxy-authorization")) || span_ieq(name, SPAN("cookie"));
}

static bool name_in_header(struct span name, const struct headers *headers,
			   char ret[ACCOUNT_NAME_MAX])
{
	struct span value = span_trim(headers_get(headers, name));

	if (!value.len)
		return false;
	if (is_secret_header(name))
		hash_name("h-", value, ret);
	else
		make_name(value, ret);
	return true;
}

/* The name of a key, or of the account whose section lists it. */
static bool name_of_key(const struct config *config, const struct headers *headers,
			char ret[ACCOUNT_NAME_MAX])
{
	struct span key = find_key(headers);
	const char *account;

	if (!key.len)
		return false;
	account_of_key(key, ret);
	account = account_of_key_name(config, ret);
	if (account)
		snprintf(ret, ACCOUNT_NAME_MAX, "%s", account);
	return true;
}

/* Whether that source yields a name. */
static bool name_from(const struct config *config, const struct account_source *source,
		      const struct account_evidence *evidence, char ret[ACCOUNT_NAME_MAX])
{
	struct span fixed = span_trim(span_of(source->arg));

	switch (source->kind) {
	case ACCOUNT_HEADER:
		return config_trusts(config, evidence->client) &&
		       name_in_header(fixed, evidence->headers, ret);
	case ACCOUNT_API_KEY:
		return name_of_key(config, evidence->headers, ret);
	case ACCOUNT_ACCOUNT_UUID:
	case ACCOUNT_SESSION_ID:
		return name_in_metadata(evidence->metadata, source->kind, ret);
	case ACCOUNT_STATIC:
		if (fixed.len)
			make_name(fixed, ret);
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
