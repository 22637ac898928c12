/*
 * fleet.h - the beacons of all processes (beacon.h), put together.
 */
#pragma once

#include "admin/beacon.h"
#include "queue/query.h"

/*
 * The beacons of a survey as an array, of which ours is the latest whatever the backend says; with
 * "state" (up, draining, silent, stopped), "ageMs" and "self".
 */
cJSON *fleet_read(const struct beacon *self, const struct lock_answer *answer) MUST_USE;

/* Whether a process says that this account's turn is its own, and doesn't move. */
bool fleet_is_stalled(const cJSON *beacons, const char *account);

/*
 * Adds "observed" (sums since each process's start), "rejections" (the latest 50, the newest first)
 * and "instances" (by name). Consumes the beacons.
 */
void fleet_put(cJSON *beacons, cJSON *document);
