/*
 * tls.h - TLS on a listener: behind it, the rest of us speaks plain HTTP.
 *
 *      client <══ TLS ══> OpenSSL <── a pair of Unix sockets ──> the HTTP server
 *
 * The HTTP server gets one end of a socket pair in place of the
 * client's socket, so everything that it does to a socket (writing past its library, watching for a
 * hang-up, shutting down, seeing back-pressure) means the same with TLS and without; the price is
 * one copy more through the kernel, and two descriptors. All on the loop, nothing blocks but the
 * loading of files; a handshake takes the loop about 0.2 ms (ECDSA P-256) to 1 ms (RSA 2048).
 *
 * TLS 1.2 and 1.3, forward secrecy and AEAD only (RFC 9325), session tickets, ALPN http/1.1.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/loop.h"

struct tls_identity; /* a certificate with its chain, and its key */

/*
 * Loads PEM files: the server's certificate first, then those between it and the authority. 0, or
 * -EINVAL and in `errors` a line that names `OPTION_cert` or `OPTION_key` and what is wrong. A key
 * with a passphrase is wrong: there is nobody to ask.
 */
int tls_identity_new(const char *option, const char *cert_file, const char *key_file,
		     struct buf *errors, struct tls_identity **ret) MUST_USE;
void tls_identity_free(struct tls_identity *i); /* takes NULL */

struct tls;

struct tls_options {
	struct tls_identity *identity;   /* owned by the tls from tls_new() on */
	const int64_t *stall_timeout_ms; /* for what the server has written, when it has left */

	/* A connection is over whose server had left; `address` is from tls_server_left(). */
	void (*over)(void *arg, const char *address);
	void *arg;
};

struct tls *tls_new(struct loop *loop, const struct tls_options *options) MUST_USE;

/* New connections get this certificate; those that are there keep theirs. Takes ownership. */
void tls_use(struct tls *t, struct tls_identity *identity);

/*
 * Reserves the descriptors for the next connection; nothing if that is done. 0, or -errno. Called
 * before a client is accepted, so that none is that couldn't be served.
 */
int tls_prepare(struct tls *t) MUST_USE;

/*
 * A connection for the client at `fd`, non-blocking and ours from now on; tls_prepare() has
 * returned 0. Returns the server's end of it, non-blocking and the caller's.
 */
int tls_connection_new(struct tls *t, int fd) MUST_USE;

/*
 * The server closes its end, `fd`, before the loop goes on. What it has written still goes to the
 * client before the connection is over.
 */
void tls_server_left(struct tls *t, int fd, const char *address);

/* Resets the client's connection, so that what was sent can't be taken for all. Not yet left. */
void tls_connection_reset(struct tls *t, int fd);

/* From now on, a connection is over as soon as its server has left. */
void tls_hurry(struct tls *t);

struct tls_stats {
	int64_t handshakes, failures; /* completed; and broken off, plain HTTP included */
};
void tls_stats(const struct tls *t, struct tls_stats *ret);

/* All connections must be over. Takes NULL. */
void tls_free(struct tls *t);
