/*
 * note.h - what each process tells the fleet of itself, once a second, and what is read of others'.
 *
 * A note is a JSON object of at most LOCK_NOTE_MAX bytes. It is written whether or not this process
 * listens for operators, so that those who ask another process see it. Nothing secret is in it:
 * accounts' names, clients' addresses, outcomes.
 */
#pragma once

#include <cjson/cJSON.h>

#include "base/loop.h"
#include "config/config.h"
#include "proxy/proxy.h"
#include "queue/queue.h"

enum { NOTE_EVERY_MS = 1000, NOTE_REFUSALS = 12, NOTE_STALLED = 8 };

struct note_parts {
	struct loop *loop;
	const struct config *config;
	struct queue *queue;
	struct proxy *proxy;
};

struct note;

/* Begins to write; all parts outlive it. Never fails: with the backend down nothing is written. */
struct note *note_new(const struct note_parts *parts) MUST_USE;

/* Writes at once, as something worth it has happened; unless a note is on its way. */
void note_write(struct note *n);

/* The backend isn't asked any more. Takes NULL. */
void note_free(struct note *n);

/* What would be written now. */
cJSON *note_compose(const struct note *n) MUST_USE;

/* This process's name among notes; another one after each start. */
const char *note_id(const struct note *n);

/*
 * Reads a note of a process, maybe of another version. NULL: it is none. Of what isn't as
 * note_compose() has it nothing is left, so all members of the result have the right type.
 */
cJSON *note_read(const char *text) MUST_USE;
