/*
 * guard.h - may this request be served? Pure functions over its headers.
 *
 * With admin.token or admin.tokens set, one of them must be there (RFC 6750), and that is enough: no
 * page in a browser can send it by itself. Without any the listener is on loopback, where every page
 * that a browser on this machine shows can reach it. So the Host must name this machine by address, or as localhost
 * (against DNS rebinding), and what changes something must not come from another site, which
 * browsers tell in Sec-Fetch-Site (W3C Fetch Metadata) and Origin (RFC 6454). No answer allows
 * CORS.
 */
#pragma once

#include "admin/route.h"
#include "base/header.h"
#include "base/mem.h"
#include "config/config.h"

enum guard_verdict {
	GUARD_FINE,
	GUARD_NO_TOKEN,   /* 401 */
	GUARD_WRONG_HOST, /* 403 */
	GUARD_OTHER_SITE, /* 403 */
	GUARD_READ_ONLY,  /* 403: its token may only look */
	GUARD_NOT_JSON,   /* 415: a body, or none but a type, that isn't application/json */
};

/* What the configuration says; both may be empty. */
struct guard_tokens {
	const char *token;                /* admin.token */
	const struct admin_token *tokens; /* admin.tokens; NULL: none */
};

/* Who asks, by the token that was sent. */
struct guard_person {
	char name[ADMIN_TOKEN_NAME_MAX + 1]; /* "admin" for admin.token; "" where none is needed */
	bool may_write;
};

/* `ret` is written with GUARD_FINE only. Every token is compared, so time tells nothing. */
enum guard_verdict guard_check(const struct headers *headers, enum route_access access,
			       const struct guard_tokens *tokens, bool has_body,
			       struct guard_person *ret) MUST_USE;

/* Whether both are the same, in a time that depends on the length of `given` only. */
bool guard_equal(struct span given, struct span wanted) MUST_USE;
