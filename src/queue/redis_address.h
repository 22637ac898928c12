/*
 * redis_address.h - what redis.url says.
 *
 *      redis://[[user]:password@]host[:port][/db]      host may be [v6]; 6379, 0 where not given
 *      unix:PATH[?user=U&password=P&db=N]
 *
 * Parts may be percent-encoded (RFC 3986, 2.1). "redis://secret@host" is refused, as some programs
 * take the word for a user and some for a password.
 */
#pragma once

#include "base/buf.h"
#include "base/mem.h"

/* Zero it; owned strings, NULL where the URL says nothing. */
struct redis_address {
	char *path; /* a Unix socket, or NULL: */
	char *host;
	int port;
	char *user, *password;
	int db;
};

/*
 * 0, or -EINVAL with a line in `errors` that doesn't show the URL, as it may hold a password.
 */
int redis_address_parse(const char *url, struct buf *errors, struct redis_address *ret) MUST_USE;

/* May be called twice. */
void redis_address_clear(struct redis_address *a);
