#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

#include "base/mem.h"
#include "net/tls.h"
#include "net/tls_identity.h"

/*
 * RFC 9325, sections 4.2 and 3.2: ephemeral keys and AEAD. TLS 1.3 has nothing else, so this is for
 * 1.2.
 */
static const char ciphers_1_2[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

/* Instead of OpenSSL's own, which asks on the terminal. */
static int no_passphrase(char *to, int size, int writing, void *arg)
{
	(void)to, (void)size, (void)writing, (void)arg;
	return 0;
}

/*
 * The client's list is of "LENGTH name" (RFC 7301); who has other names only gets no answer to it.
 */
static int choose_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_len,
			   const unsigned char *offered, unsigned int len, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *chosen;

	(void)ssl, (void)arg;
	if (SSL_select_next_proto(&chosen, ret_len, ours, sizeof ours - 1, offered, len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*ret = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *make_context(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	must(ctx);
	must(SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION));
	must(SSL_CTX_set_cipher_list(ctx, ciphers_1_2));
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets are kept by clients */
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
	return ctx;
}

static int complain(struct buf *errors, const char *option, const char *which, const char *file)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	buf_printf(errors, "%s_%s: %s: %s\n", option, which, file,
		   reason ? reason : "it can't be read as PEM");
	ERR_clear_error();
	return -EINVAL;
}

int tls_identity_new(const char *option, const char *cert_file, const char *key_file,
		     struct buf *errors, struct tls_identity **ret)
{
	SSL_CTX *ctx = make_context();
	int r = 0;

	if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1)
		r = complain(errors, option, "cert", cert_file);
	else if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1 ||
		 SSL_CTX_check_private_key(ctx) != 1)
		r = complain(errors, option, "key", key_file);
	if (r < 0) {
		SSL_CTX_free(ctx);
		return r;
	}
	*ret = xcalloc(1, sizeof **ret);
	(*ret)->ctx = ctx;
	return 0;
}

void tls_identity_free(struct tls_identity *i)
{
	if (!i)
		return;
	SSL_CTX_free(i->ctx); /* connections have references of their own */
	free(i);
}
