/*
 * beacon.h - what each process tells the fleet of itself, once a second, and what is read of others'.
 *
 * A beacon is a JSON object of at most LOCK_BEACON_MAX bytes. It is written whether or not this process
 * listens for operators, so that those who ask another process see it. Nothing secret is in it:
 * accounts' names, clients' addresses, outcomes.
 */
#pragma once

#include <cjson/cJSON.h>

#include "base/loop.h"
#include "config/config.h"
#include "proxy/proxy.h"
#include "queue/queue.h"

enum { BEACON_EVERY_MS = 1000, BEACON_REFUSALS = 12, BEACON_STALLED = 8 };

struct beacon_parts {
	struct loop *loop;
	const struct config *config;
	struct queue *queue;
	struct proxy *proxy;
};

struct beacon;

/* Begins to write; all parts outlive it. Never fails: with the backend down nothing is written. */
struct beacon *beacon_new(const struct beacon_parts *parts) MUST_USE;

/* Writes at once, as something worth it has happened; unless a beacon is on its way. */
void beacon_write(struct beacon *n);

/* The backend isn't asked any more. Takes NULL. */
void beacon_free(struct beacon *n);

/* What would be written now. */
cJSON *beacon_compose(const struct beacon *n) MUST_USE;

/* This process's name among beacons; another one after each start. */
const char *beacon_id(const struct beacon *n);

/*
 * Reads a beacon of a process, maybe of another version. NULL: it is none. Of what isn't as
 * beacon_compose() has it nothing is left, so all members of the result have the right type.
 */
cJSON *beacon_read(const char *text) MUST_USE;
