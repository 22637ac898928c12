/*
 * easies.h - curl's easy handles, kept for reuse where this libcurl can be trusted with that.
 *
 * Before 8.2, libcurl keeps a pointer into the fields of a handle's last response when it frees
 * them, and appends to what that points at if the next response begins with a folded line
 * (curl/curl issue 11101): a double free, before any callback has seen the line. So there each
 * transfer has a handle of its own.
 */
#pragma once

#include <curl/curl.h>

#include "base/list.h"

struct easy {
	struct list link;
	CURL *curl;
};

struct easies {
	struct list idle;
	int count, max;
};

/* None yet. */
void easies_open(struct easies *e);

/* Frees those that are idle. */
void easies_clear(struct easies *e);

/* One without options; easies_put() takes it back, which no multi handle may have any more. */
struct easy *easies_take(struct easies *e);
void easies_put(struct easies *e, struct easy *easy);
