/*
 * tls.c - TLS by OpenSSL beneath hiredis.
 *
 * The context is made here and not by hiredis, which checks a certificate's chain but not its name.
 */
#include "redis/tls.h"

#include <errno.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "config/addresses.h"

struct redis_tls {
	SSL_CTX *ctx;
	char *host;
	_Atomic(const char *) refusal; /* of either thread's latest handshake */
};

static int complain(struct buf *errors, const char *option, const char *file)
{
	buf_printf(errors, "%s: %s: %s\n", option, file,
		   ERR_reason_error_string(ERR_peek_last_error()));
	ERR_clear_error();
	return -EINVAL;
}

static int load_files(SSL_CTX *ctx, const struct config *c, struct buf *errors)
{
	const char *ca = c->redis.ca_file, *cert = c->redis.cert_file, *key = c->redis.key_file;

	if (!*ca)
		SSL_CTX_set_default_verify_paths(ctx);
	else if (SSL_CTX_load_verify_locations(ctx, ca, NULL) != 1)
		return complain(errors, "redis.ca_file", ca);
	if (!*cert != !*key) {
		buf_puts(errors, "redis.cert_file, redis.key_file: set both or none\n");
		return -EINVAL;
	}
	if (*cert && SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
		return complain(errors, "redis.cert_file", cert);
	if (*key && SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		return complain(errors, "redis.key_file", key);
	return 0;
}

static int check_certificate(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct redis_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	if (!ok)
		tls->refusal = X509_verify_cert_error_string(X509_STORE_CTX_get_error(store));
	return ok;
}

int redis_tls_new(const struct config *config, const char *host, struct buf *errors,
		  struct redis_tls **ret)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	int r;

	must(ctx);
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, check_certificate);
	r = load_files(ctx, config, errors);
	if (r < 0) {
		SSL_CTX_free(ctx);
		return r;
	}
	*ret = xcalloc(1, sizeof **ret);
	(*ret)->ctx = ctx;
	(*ret)->host = xstrdup(host);
	SSL_CTX_set_app_data(ctx, *ret);
	return 0;
}

void redis_tls_free(struct redis_tls *tls)
{
	if (!tls)
		return;
	SSL_CTX_free(tls->ctx);
	free(tls->host);
	free(tls);
}

/* Whom the certificate must be for. */
static bool expect_host(SSL *ssl, const char *host)
{
	if (address_is_numeric(host))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

int redis_tls_start(struct redis_tls *tls, redisContext *c)
{
	SSL *ssl = SSL_new(tls->ctx);

	must(ssl);
	tls->refusal = NULL;
	must(expect_host(ssl, tls->host));
	return redisInitiateSSL(c, ssl) == REDIS_OK ? 0 : -EPROTO; /* frees `ssl` in any case */
}

const char *redis_tls_refusal(const struct redis_tls *tls)
{
	return tls->refusal;
}
