/*
 * redis_address.h - what redis.url says.
 *
 *      redis://[[user]:password@]host[:port][/db]      host may be [v6]; 6379, 0 where not given
 *      rediss://...                                    the same over TLS (redis_tls.h)
 *      unix:PATH[?user=U&password=P&db=N]
 *      redis+sentinel://[[user]:password@]host[:port][,host[:port]...]/master[/db]    26379; the login
 *                          is for Redis, sentinels are asked without one
 *
 * Parts may be percent-encoded (RFC 3986, 2.1). "redis://secret@host" is refused, as some programs
 * take the word for a user and some for a password.
 */
#pragma once

#include "base/buf.h"
#include "base/mem.h"
#include "base/span.h"

struct redis_host {
	char *name;
	int port;
};

/* Zero it; owned strings, NULL where the URL says nothing. */
struct redis_address {
	char *path;   /* a Unix socket, or NULL: */
	char *master; /* the name under which the sentinels know it, or NULL: */
	char *host;
	int port;
	struct redis_host *sentinels;
	size_t sentinel_count;
	char *user, *password;
	int db;
	bool tls;
};

/*
 * 0, or -EINVAL and what is wrong, "has no host" say, appended to `why`, without the URL, as that
 * may hold a password. How a host may be spelled is not looked at.
 */
int redis_address_parse(struct span url, struct buf *why, struct redis_address *ret) MUST_USE;

/* Where it is, without the login. */
void redis_address_copy(const struct redis_address *a, struct redis_address *ret);

/* May be called twice. */
void redis_address_clear(struct redis_address *a);
