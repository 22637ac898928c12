/*
 * early_response.h - a response to a client that is still sending its request.
 *
 * libmicrohttpd answers when it has read a request to its end. An upstream that answers before
 * (413) should be heard at once, and a client that sends 30 MiB in vain should know. So such a
 * response is written past libmicrohttpd, and ends the connection.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "http/http_server.h"

struct early_response;

enum early_response_state {
	EARLY_RESPONSE_DONE,    /* all of it is with the kernel */
	EARLY_RESPONSE_BLOCKED, /* the client must read: go on when the socket can be written */
	EARLY_RESPONSE_WAITING, /* read() has nothing now: go on when it has */
	EARLY_RESPONSE_CUT,     /* it can't be completed */
};

struct early_response_client {
	int fd;
	bool is_1_0; /* understands no chunks */
	bool is_head;
	const char *reason;                             /* phrase of the status */
	ssize_t (*read)(void *x, char *to, size_t max); /* as in http_service */
	void *x;

	/* From a job: what the writing has come to. The callee may free the response. */
	void (*changed)(void *owner, enum early_response_state state);
	void *owner;
};

/* Copies what it needs of `response` and begins to write it in a job. */
struct early_response *early_response_new(struct loop *loop,
					  const struct early_response_client *client,
					  const struct http_response *response) MUST_USE;
void early_response_free(struct early_response *e); /* takes NULL */

/*
 * There is something to read(), or the socket can be written: goes on in a job. Takes NULL, and
 * does nothing behind EARLY_RESPONSE_DONE and EARLY_RESPONSE_CUT.
 */
void early_response_wake(struct early_response *e);

/* Whether it was given and all of it is with the kernel. Takes NULL. */
bool early_response_done(const struct early_response *e);
