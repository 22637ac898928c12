#include "proxy/bodies.h"

#include <stdio.h>

#include "request/account.h"
#include "request/client.h"
#include "request/keys.h"

#define uthash_fatal(msg) must_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

enum { NAME_MAX_BYTES = MAX(CLIENT_ADDRESS_MAX, ACCOUNT_KEY_NAME_MAX) + 1 };

struct body_owner {
	char name[NAME_MAX_BYTES]; /* "@" and an address, or "=" and a key's name */
	int64_t bytes;
	size_t bodies;
	UT_hash_handle hh;
};

struct bodies {
	const struct config *config;
	int64_t bytes;
	struct body_owner *owners;
};

static struct body_owner *owner_get(struct bodies *b, char kind, const char *name)
{
	char full[NAME_MAX_BYTES];
	struct body_owner *o;

	snprintf(full, sizeof full, "%c%s", kind, name);
	HASH_FIND_STR(b->owners, full, o);
	if (!o) {
		o = xcalloc(1, sizeof *o);
		strcpy(o->name, full);
		HASH_ADD_STR(b->owners, name, o);
	}
	o->bodies++;
	return o;
}

static void owner_leave(struct bodies *b, struct body_owner *o, int64_t bytes)
{
	if (!o)
		return;
	o->bytes -= bytes;
	if (--o->bodies)
		return;
	must(!o->bytes);
	HASH_DEL(b->owners, o);
	free(o);
}

void bodies_open(struct bodies *b, const char *address, const struct headers *headers,
		 struct body_account *ret)
{
	struct keys keys;

	must(!ret->address && !ret->key);
	keys_find(headers, &keys);
	if (address[0])
		ret->address = owner_get(b, '@', address);
	if (keys.first.len) {
		char name[ACCOUNT_KEY_NAME_MAX];

		account_of_key(keys.first, name);
		ret->key = owner_get(b, '=', name);
	}
}

/* One body has room in it, however small the share is. */
static bool has_share(const struct bodies *b, const struct body_owner *o, int64_t bytes)
{
	const struct config *c = b->config;
	int64_t share = c->listen.max_buffered_bytes / 100 * c->listen.max_buffered_share;

	return !o || c->listen.max_buffered_share == 100 ||
	       o->bytes + bytes <= MAX(share, c->listen.max_body_bytes);
}

static bool is_at_share(const struct bodies *b, const struct body_owner *o)
{
	return o && !has_share(b, o, b->config->listen.max_body_bytes);
}

bool bodies_would_help(const struct bodies *b, const struct body_account *a,
		       const struct body_account *other, enum bodies_room room)
{
	if (!other->bytes)
		return false;
	return room == BODIES_FULL ||
	       (is_at_share(b, a->address) && other->address == a->address) ||
	       (is_at_share(b, a->key) && other->key == a->key);
}

enum bodies_room bodies_charge(struct bodies *b, struct body_account *a, int64_t bytes)
{
	if (!has_share(b, a->address, bytes) || !has_share(b, a->key, bytes))
		return BODIES_OF_OWNER;
	if (b->bytes + bytes > b->config->listen.max_buffered_bytes)
		return BODIES_FULL;
	b->bytes += bytes;
	a->bytes += bytes;
	if (a->address)
		a->address->bytes += bytes;
	if (a->key)
		a->key->bytes += bytes;
	return BODIES_ROOM;
}

void bodies_close(struct bodies *b, struct body_account *a)
{
	b->bytes -= a->bytes;
	owner_leave(b, a->address, a->bytes);
	owner_leave(b, a->key, a->bytes);
	*a = (struct body_account){ 0 };
}

int64_t bodies_bytes(const struct bodies *b)
{
	return b->bytes;
}

struct bodies *bodies_new(const struct config *config)
{
	struct bodies *b = xcalloc(1, sizeof *b);

	b->config = config;
	return b;
}

void bodies_free(struct bodies *b)
{
	if (b)
		must(!b->owners && !b->bytes);
	free(b);
}
