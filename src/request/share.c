#include "request/share.h"

#include <stdio.h>

#include "config/accounts.h"
#include "request/hash.h"

enum { HASHED_MAX = 2 + SHARE_HASH_DIGITS + 1 };

static void hashed_name(enum account_source_kind kind, struct span value, char ret[HASHED_MAX])
{
	const struct span key = SPAN("key-"); /* hashed already */

	if (kind == ACCOUNT_API_KEY)
		snprintf(ret, HASHED_MAX, "u-%.*s", SHARE_HASH_DIGITS, value.ptr + key.len);
	else
		hash_name("u-", value, SHARE_HASH_DIGITS, ret);
}

/* The section that names whoever has this value; NULL if none does. */
static const char *named(const struct config *c, enum account_source_kind kind, struct span value)
{
	CLEANUP(freep) char *text = xstrndup(value.ptr, value.len);
	char hashed[HASHED_MAX];
	const char *found;

	if (kind == ACCOUNT_API_KEY)
		return share_of_key(c, text);
	if (kind == ACCOUNT_HEADER)
		return share_of_name(c, value);
	if (kind != ACCOUNT_DEVICE_ID)
		return NULL;
	found = share_of_device(c, text);
	hashed_name(kind, value, hashed);
	return found ? found : share_of_device(c, hashed);
}

/* Whether all requests of this account have the same value there. */
static bool named_the_account(const struct config *c, const struct account_source *source,
			      const char *account, const struct account_source *from)
{
	if (!from || source->kind != from->kind)
		return false;
	if (source->kind == ACCOUNT_HEADER)
		return span_ieq(span_of(source->arg), span_of(from->arg));
	return source->kind != ACCOUNT_API_KEY || account_key_count(c, account) < 2;
}

void share_find(const struct config *c, struct source_evidence *evidence, const char *account,
		const struct account_source *from, char ret[SHARE_NAME_MAX])
{
	const struct account_source *s = c->queue.share_by;

	ret[0] = '\0';
	for (; s && s->kind != ACCOUNT_NONE; s++) {
		struct span value = source_find(c, s, evidence);
		const char *name = value.len ? named(c, s->kind, value) : NULL;

		if (name) {
			snprintf(ret, SHARE_NAME_MAX, "%s", name);
			return;
		}
		if (value.len && !ret[0] && !named_the_account(c, s, account, from))
			hashed_name(s->kind, value, ret);
	}
}
