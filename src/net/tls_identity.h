/*
 * tls_identity.h - what tls.c needs of tls_identity.c. Private to the two.
 */
#pragma once

#include <openssl/ssl.h>

struct tls_identity {
	SSL_CTX *ctx;
};
