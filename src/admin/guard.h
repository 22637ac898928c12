/*
 * guard.h - may this request be served? Pure functions over its headers.
 *
 * With admin.token set, it must be there (RFC 6750), and that is enough: no page in a browser can
 * send it by itself. Without one the listener is on loopback, where every page that a browser on
 * this machine shows can reach it. So the Host must name this machine by address, or as localhost
 * (against DNS rebinding), and what changes something must not come from another site, which
 * browsers tell in Sec-Fetch-Site (W3C Fetch Metadata) and Origin (RFC 6454). No answer allows
 * CORS.
 */
#pragma once

#include "admin/route.h"
#include "base/header.h"
#include "base/mem.h"

enum guard_verdict {
	GUARD_FINE,
	GUARD_NO_TOKEN,   /* 401 */
	GUARD_WRONG_HOST, /* 403 */
	GUARD_OTHER_SITE, /* 403 */
	GUARD_NOT_JSON,   /* 415: a body, or none but a type, that isn't application/json */
};

/* `token`: admin.token, may be empty. */
enum guard_verdict guard_check(const struct headers *headers, enum route_access access,
			       const char *token, bool has_body) MUST_USE;

/* Whether both are the same, in a time that depends on the length of `given` only. */
bool guard_equal(struct span given, struct span wanted) MUST_USE;
