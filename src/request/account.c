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

#include <cjson/cJSON.h>
#include <openssl/evp.h>
#include <stdio.h>

enum { HASH_BYTES = 8 };

static void cjson_freep(cJSON **json)
{
	cJSON_Delete(*json);
}

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

/* The string member of that name (exact case, last duplicate) of an object; NULL if there is none.
 */
static const char *member_string(const cJSON *object, const char *name)
{
	const cJSON *child, *found = NULL;

	if (!cJSON_IsObject(object))
		return NULL;
	cJSON_ArrayForEach (child, object) {
		if (!strcmp(child->string, name))
			found = child;
	}
	return cJSON_GetStringValue(found);
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
	CLEANUP(cjson_freep) cJSON *outer = NULL;
	CLEANUP(cjson_freep) cJSON *inner = NULL;
	const char *user_id;
	struct span value;

	if (metadata.len)
		outer = cJSON_ParseWithLength(metadata.ptr, metadata.len);
	user_id = member_string(outer, "user_id");
	if (!user_id)
		return false;
	inner = cJSON_Parse(user_id);
	if (inner)
		value = span_of(member_string(inner, kind == ACCOUNT_SESSION_ID ? "session_id"
										: "account_uuid"));
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

/* Whether that source yields a name. */
static bool name_from(const struct account_source *source, const struct headers *headers,
		      struct span metadata, char ret[ACCOUNT_NAME_MAX])
{
	struct span value = { NULL, 0 };

	switch (source->kind) {
	case ACCOUNT_HEADER:
		return name_in_header(span_of(source->arg), headers, ret);
	case ACCOUNT_STATIC:
		value = span_trim(span_of(source->arg));
		break;
	case ACCOUNT_API_KEY:
		value = find_key(headers);
		if (value.len)
			account_of_key(value, ret);
		return value.len != 0;
	case ACCOUNT_ACCOUNT_UUID:
	case ACCOUNT_SESSION_ID:
		return name_in_metadata(metadata, source->kind, ret);
	case ACCOUNT_NONE:
		break;
	}
	if (value.len)
		make_name(value, ret);
	return value.len != 0;
}

void account_find(const struct account_source *sources, const struct headers *headers,
		  struct span metadata, char ret[ACCOUNT_NAME_MAX],
		  enum account_source_kind *ret_from)
{
	for (; sources->kind != ACCOUNT_NONE; sources++) {
		if (name_from(sources, headers, metadata, ret)) {
			*ret_from = sources->kind;
			return;
		}
	}
	strcpy(ret, "default");
	*ret_from = ACCOUNT_NONE;
}
