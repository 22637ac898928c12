/*
 * reply.h - what replies must look like, and what Redis' errors mean. Pure.
 */
#pragma once

#include <hiredis/hiredis.h>
#include <stdbool.h>

/*
 * A form: what a reply that is no error must look like. Who reads one relies on it, so it is looked
 * at before anybody does (call.c, link.c): a server that answers otherwise isn't to be believed.
 */
typedef bool (*redis_form_fn)(const redisReply *reply);

/* True for an error, too, and without a form. */
bool redis_reply_fits(const redisReply *reply, redis_form_fn form);

bool redis_is_str(const redisReply *r);
bool redis_is_int(const redisReply *r);
bool redis_is_status(const redisReply *r);
/* As SET answers: a status, or nil where a condition didn't hold. */
bool redis_is_set(const redisReply *r);
bool redis_is_array(const redisReply *r);
/* An array of strings. */
bool redis_is_texts(const redisReply *r);
/* Of an array: all elements from the `from`th on. */
bool redis_are_all(const redisReply *array, size_t from, redis_form_fn form);

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
