/*
 * reply.h - what Redis' errors mean. Pure.
 */
#pragma once

#include <hiredis/hiredis.h>
#include <stdbool.h>

/* Whether it is an error of that kind: "NOSCRIPT", "READONLY", ... wherever a script put it. */
bool redis_is_error(const redisReply *reply, const char *kind);

/* How a cluster says that a command is for elsewhere, or for later. */
enum redis_redirect {
	REDIRECT_NONE,
	REDIRECT_MOVED, /* that slot is another node's */
	REDIRECT_ASK,   /* the slot is on its way there: this once, ask there */
	REDIRECT_LATER, /* TRYAGAIN, CLUSTERDOWN: no node can do it right now */
};
enum redis_redirect redis_redirect_of(const char *error);

/* Errors after which a connection is of no use: the server isn't a master that serves us. */
bool redis_is_unusable(const redisReply *reply);
bool redis_error_is_unusable(const char *error);
