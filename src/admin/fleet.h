/*
 * fleet.h - the notes of all processes (note.h), put together.
 */
#pragma once

#include "admin/note.h"
#include "queue/ask.h"

/*
 * The notes of a survey as an array, of which ours is the latest whatever the backend says; with
 * "state" (up, draining, silent, stopped), "ageMs" and "self".
 */
cJSON *fleet_read(const struct note *self, const struct lock_answer *answer) MUST_USE;

/* Whether a process says that this account's turn is its own, and doesn't move. */
bool fleet_is_stalled(const cJSON *notes, const char *account);

/*
 * Adds "observed" (sums since each process's start), "rejections" (the latest 50, the newest first)
 * and "instances" (by name). Consumes the notes.
 */
void fleet_put(cJSON *notes, cJSON *document);
