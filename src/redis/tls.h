/*
 * tls.h - TLS on connections to Redis (rediss://), where hiredis can do it.
 *
 * redis_tls.c is built with hiredis_ssl (hiredis 1.0 or later), redis_tls_none.c without.
 */
#pragma once

#include <hiredis/hiredis.h>

#include "base/buf.h"
#include "base/mem.h"
#include "config/config.h"

struct redis_tls;

/*
 * Reads the files that config->redis names. `host`: the name that the server's certificate must be
 * for; copied. -EINVAL with a line in `errors`: a file is no good, or this build has no TLS to
 * Redis.
 */
int redis_tls_new(const struct config *config, const char *host, struct buf *errors,
		  struct redis_tls **ret) MUST_USE;

/* Takes NULL; connections that were started keep what they need. */
void redis_tls_free(struct redis_tls *tls);

/*
 * Begins the handshake on a fresh connection, blocking or not as that is; a blocking one has ended
 * it when this returns. From any thread. -EPROTO: it failed, and the context's errstr says why.
 */
int redis_tls_start(struct redis_tls *tls, redisContext *c) MUST_USE;

/*
 * Why the latest certificate was refused, a static string; NULL: it wasn't. hiredis doesn't tell.
 */
const char *redis_tls_refusal(const struct redis_tls *tls);
