/*
 * route.h - which row of a table serves a request? Pure functions.
 */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "base/span.h"

struct call;

enum route_access {
	ROUTE_OPEN,  /* anybody: it tells nothing */
	ROUTE_READ,  /* who has the token, if there is one */
	ROUTE_WRITE, /* the same, and not from another site's page (guard.h) */
};

enum { ROUTE_PARAMS = 2, ROUTE_PARAM_MAX = 160 };

struct route {
	const char *method;
	const char *path; /* "{name}" stands for one segment that isn't empty */
	enum route_access access;
	void (*handle)(struct call *call);
	const char *help; /* one line for GET /api */
};

/* What stood in place of {…}, in order, percent-decoded (RFC 3986, section 2.1). */
struct route_params {
	char text[ROUTE_PARAMS][ROUTE_PARAM_MAX];
};

/*
 * 0 and the row that serves this method and target (path and query). HEAD is served by GET's row.
 * -ENOENT: no row has this path. -EACCES: some have, but not with this method; then the methods
 * that they have are appended to `allow`, separated by ", ".
 */
int route_find(const struct route *table, size_t count, struct span method, struct span target,
	       const struct route **ret, struct route_params *params, struct buf *allow) MUST_USE;

/*
 * Percent-decodes (RFC 3986, section 2.1). False if it is empty, too long, not well-formed, or has
 * a control character.
 */
bool route_decode(struct span s, char ret[ROUTE_PARAM_MAX]) MUST_USE;

/* The value of a parameter of the target's query, as it stands there; a NULL ptr: there is none. */
struct span route_query(struct span target, struct span name);
