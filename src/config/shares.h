/*
 * shares.h - whose requests are they within an account? The sections [share "NAME"], which name people.
 *
 *      [share "alice"]
 *      keys = key-0123456789abcdef      these API keys are hers (as `turnstile hash-key` names them),
 *      devices = 5d41402abc4b2a76…      and these devices: metadata's device_id, or the name "u-…" that
 *                                       the log has for it
 *      weight = 2                       twice as many turns as others, where both wait (order.h)
 *      yield = title, subagent          instead of queue.yield,
 *      exempt =                         and instead of queue.exempt
 *
 * A section needs neither keys nor devices: a header of queue.share_by may have its name as value.
 * Sections are in the file only, and change with a reload. A key or a device is of one share only.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "base/span.h"
#include "config/config.h"

enum {
	SHARE_NAME_MAX = 65,    /* with its NUL */
	SHARE_HASH_DIGITS = 12, /* of the names of those that no section names: "u-…" */
};

/* How requests of a share stand in the line. The lists are valid until a reload. */
struct share_terms {
	double weight;
	const struct mark_rule *exempt, *yield;
};

/* The section that lists this key ("key-…"), or this device (as it is, or "u-…"); NULL if none does. */
const char *share_of_key(const struct config *c, const char *key_name);
const char *share_of_device(const struct config *c, const char *device);

/* The section of that name; NULL if there is none. Names are valid until a reload. */
const char *share_of_name(const struct config *c, struct span name);

/* What counts for a share, with a section or without. */
void share_terms_of(const struct config *c, const char *share, struct share_terms *ret);

/* --- within this room: as accounts.h ---------------------------------------------------------- */

struct load;
struct share_section;

struct share_section *shares_begin(struct load *l, const char *place, struct span name);
void shares_set(struct load *l, struct share_section *s, const char *at, const char *key,
		struct span value);

/* A key or device in two sections, and those that never count as queue.share_by doesn't look there. */
void shares_check(struct load *l);

void shares_print(const struct config *c, FILE *to);
void shares_help(FILE *to);
void shares_swap(struct config *a, struct config *b);
void shares_free(struct config *c);
