/*
 * admin.h - the operators' listener: health, status, metrics, changes at run time. The door to the
 * room.
 *
 * A second HTTP server on the same loop. What it serves are the rows of routes.c. It goes on
 * serving while the proxy drains, so that one can watch.
 */
#pragma once

#include "admin/beacon.h"
#include "admin/webhook.h"
#include "base/buf.h"
#include "base/loop.h"
#include "config/config.h"
#include "config/disk.h"
#include "proxy/proxy.h"
#include "queue/queue.h"

struct admin;

/* All outlive the admin; `config` is read at any time (reload). */
struct admin_parts {
	struct loop *loop;
	const struct config *config;
	struct queue *queue;
	struct proxy *proxy;
	struct beacon *beacon;
	struct webhook *webhook;
	int64_t max_connections; /* of operators */
	int64_t max_clients;     /* connections of the proxy */
	const struct disk *disk;
	struct takeover_client *takeover; /* outlives the admin; NULL: none */
};

/*
 * Listens on admin.address. 0, or -errno and a line in `errors` that says what to do. Where the
 * address is empty it is 0 as well, and `*ret` is NULL.
 */
int admin_new(const struct admin_parts *parts, struct buf *errors, struct admin **ret) MUST_USE;

/* Where it listens, with the real port. Takes NULL: "". */
const char *admin_address(const struct admin *a);

/* The socket that it listens on; -1 if there is none. Takes NULL. */
int admin_descriptor(const struct admin *a);

/* Others listen on the socket from now on: serves those only who are here already. Takes NULL. */
void admin_taken_over(struct admin *a);

/*
 * Cuts every connection. `done` is called once, from the loop, never from within the call; after it
 * the backend isn't asked any more. Takes NULL: then it is called as well, at once.
 */
void admin_stop(struct admin *a, void (*done)(void *arg), void *arg);

/* Frees one that has stopped, or that nobody has connected to. Takes NULL. */
void admin_free(struct admin *a);
