/*
 * bodies.h - the memory that bodies are kept in, and who has how much of it. Private to proxy/.
 *
 *      address 10.0.0.7   3 MiB ──┐
 *      key key-0123…      2 MiB ──┴──> one body        each body is charged to both
 *
 * All bodies together have listen.max_buffered_bytes. Nobody, by address or by key, has more than a share
 * of them. And when all of it is taken, it isn't the next who is refused, but the one who holds much and
 * brings little: a client that sends its body so slowly that nobody's network is to blame.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/header.h"
#include "base/mem.h"
#include "config/config.h"

struct bodies;
struct body_owner; /* an address or a key; gone with its last body */

/* What is kept of one request. Zeroed: nothing, and nobody is known for it. */
struct body_account {
	struct body_owner *address, *key;
	int64_t bytes;
};

/* `config` is read at any time. */
struct bodies *bodies_new(const struct config *config) MUST_USE;

/* All accounts must be closed. Takes NULL. */
void bodies_free(struct bodies *b);

/* Whose the body will be. `address` may be empty (a Unix socket): that one has no share. */
void bodies_open(struct bodies *b, const char *address, const struct headers *headers,
		 struct body_account *ret);

enum bodies_room {
	BODIES_ROOM,     /* charged */
	BODIES_OF_OWNER, /* its address or its key has its share already */
	BODIES_FULL,     /* there is no room for anybody */
};

enum bodies_room bodies_charge(struct bodies *b, struct body_account *account, int64_t bytes)
	MUST_USE;

/* Whether closing `other` would bring `account`, which there is no room for, nearer to having some. */
bool bodies_would_help(const struct bodies *b, const struct body_account *account,
		       const struct body_account *other, enum bodies_room room);

/* The body is gone. May be called twice. */
void bodies_close(struct bodies *b, struct body_account *account);

/* All that is kept now. */
int64_t bodies_bytes(const struct bodies *b);
