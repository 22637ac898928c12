/* tls_none.c - for a hiredis without TLS: says so. */
#include "redis/tls.h"

#include <errno.h>

int redis_tls_new(const struct config *config, const char *host, struct buf *errors,
		  struct redis_tls **ret)
{
	(void)config;
	(void)host;
	(void)ret;
	buf_puts(errors, "redis.url: this build has no TLS to Redis, as it was built without "
			 "hiredis_ssl (hiredis 1.0 or later): use redis:// or unix:\n");
	return -EINVAL;
}

void redis_tls_free(struct redis_tls *tls)
{
	must(!tls);
}

int redis_tls_start(struct redis_tls *tls, redisContext *c)
{
	(void)c;
	must(!tls);
	return -EPROTO;
}

const char *redis_tls_refusal(const struct redis_tls *tls)
{
	must(!tls);
	return NULL;
}
