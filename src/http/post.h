/*
 * post.h - a small document to an address of an operator's, and whether it was taken.
 *
 * A client of its own: nothing of the upstream's (proxy, certificates, connections) is used, and
 * the environment's proxies aren't either. Redirects aren't followed, as what is sent may be signed
 * and the address secret. The answer's body isn't kept.
 */
#pragma once

#include "base/loop.h"
#include "base/span.h"

struct post_client;
struct post;

/* Doesn't connect yet. `loop` outlives it. */
struct post_client *post_client_new(struct loop *loop) MUST_USE;

/* There must be no post left. Takes NULL. */
void post_client_free(struct post_client *c);

struct post_request {
	const char *url;           /* http or https */
	const char *const *fields; /* "name: value", besides the content type; ends with NULL */
	const char *type;          /* of the content */
	struct span body;
	int64_t limit_ms; /* for all of it, the name's resolving included */
};

/*
 * Sends; everything is copied. `done` comes once, from the loop, never from within the call: the
 * status, or 0 and curl's words why there is none, which live as long as the post. The post is the
 * caller's to free.
 */
struct post *post_new(struct post_client *c, const struct post_request *request,
		      void (*done)(void *arg, int status, const char *error), void *arg) MUST_USE;

/* Cuts one that isn't over. From within `done` as well. Takes NULL. */
void post_free(struct post *p);
