#include "proxy/descriptors.h"

#include <string.h>

#include "base/mem.h"
#include "config/addresses.h"
#include "http/http_client.h"
#include "http/server_shards.h"

enum {
	OWN = 64, /* files, listeners, loops, Redis, and what is in use for a moment */
	ADMIN_MOST = 256,
	ADMIN_SHARE = 10, /* of few descriptors, operators get one in so many */
	ADMIN_LEAST = 8,
	PER_CLIENT = 1,
	PER_CLIENT_TLS = 2, /* more: tls.h */
	PER_UPSTREAM = 1,
	PER_LOOKUP = 1, /* more, while a name is looked up or tried: two at a time (libcurl) */
};

/* Numeric hosts, and sockets with a path, need no lookup. */
static bool is_looked_up(const struct config *c)
{
	const char *url = c->upstream.proxy[0] ? c->upstream.proxy : c->upstream.url;
	const char *scheme = strstr(url, "://"), *authority = scheme ? scheme + 3 : url;
	const char *at = memrchr(authority, '@', strcspn(authority, "/"));
	const char *host = at ? at + 1 : authority;
	CLEANUP(freep) char *name = xstrndup(host, strcspn(host, ":/"));

	return !c->upstream.unix_socket[0] && host[0] != '[' && !address_is_numeric(name);
}

static int64_t per_connection(const struct config *c)
{
	return PER_CLIENT + (c->listen.tls_cert[0] ? PER_CLIENT_TLS : 0) + PER_UPSTREAM +
	       (is_looked_up(c) ? PER_LOOKUP : 0);
}

/* Each shard of the server has an epoll descriptor, each of the client a pair. */
static int64_t of_shards(int64_t connections)
{
	return connections / SERVER_SHARD_MAX + 2 * (connections / HTTP_CLIENT_SHARD_MAX);
}

void descriptors_plan(const struct config *c, int64_t limit, struct descriptor_plan *ret)
{
	int64_t admin =
		c->admin.address[0] ? MIN(ADMIN_MOST, MAX(limit / ADMIN_SHARE, ADMIN_LEAST)) : 0;
	int64_t each = per_connection(c), most = c->listen.max_connections;
	int64_t left = limit - OWN - admin;
	int64_t room = MAX(left - of_shards(MAX(left, 0) / each), 0) / each;

	ret->needed = each * most + of_shards(most) + OWN + (c->admin.address[0] ? ADMIN_MOST : 0);
	ret->connections = MAX(MIN(most, room), 1);
	ret->admin = admin;
}
