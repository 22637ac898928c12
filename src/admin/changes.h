/*
 * changes.h - what operators changed lately, by this process: who, what, before and after.
 *
 * Kept in memory, the last CHANGES_MAX of them; the log has each as a line of its own.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdint.h>

enum { CHANGES_MAX = 200 };

/* Texts may be NULL: not known, or none. */
struct change {
	int64_t at_wall_ms;
	const char *who;    /* the name of the token; empty where none is needed */
	const char *client; /* an address */
	const char *what;   /* in words, as the log has it */
	const char *account;
	const char *ticket;
	const char *setting;        /* a runtime setting's field */
	const char *before, *after; /* of the setting; NULL for `after`: as configured again */
};

/* A zeroed one is empty. */
struct changes {
	struct change *ring; /* CHANGES_MAX of them, their texts owned; NULL: none yet */
	int64_t count;       /* since start: the next goes to ring[count % CHANGES_MAX] */
};

/* Copies `change`; the oldest one goes if there are CHANGES_MAX. */
void changes_add(struct changes *c, const struct change *change);

/* A list for cJSON_Delete(), the latest first. */
cJSON *changes_json(const struct changes *c);

/* Frees all; it is empty again. */
void changes_clear(struct changes *c);
