/*
 * load.h - one load of the configuration, while it goes on: what its sources have in common.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"
#include "config/options.h"

struct load {
	struct config *config; /* what has been read so far */
	struct buf *errors;    /* the caller's */
	bool failed;           /* something was added to `errors` */
	bool *given;           /* for each row: a source has set it, so it isn't derived */
	bool *wrong;           /* for each row: what a source has said of it is an error */
};

/* Adds a line to the errors: "PLACE: MESSAGE". Places come from outside and are escaped. */
void load_error(struct load *l, const char *place, const char *format, ...) PRINTF(3, 4);

/* Appends `s` with control characters escaped: it comes from outside and goes to a terminal. */
void load_escape(struct span s, struct buf *to);

/* Sets an option, or adds an error. The default as written ("(host name)") sets the default. */
void load_value(struct load *l, const char *place, const struct option *o, struct span text);

/*
 * Whether the options of these members of l->config are right by themselves, so that something may be
 * concluded from them together. The list ends with NULL.
 */
bool load_right(const struct load *l, const void *const *members);
#define LOAD_RIGHT(l, ...) load_right(l, (const void *const[]){ __VA_ARGS__, NULL })

/* Reads the file; 0 also if there are errors in it, -errno (and an error) if it can't be read. */
int load_file(struct load *l, const char *path) MUST_USE;

/* Reads the variables that are ours, first aliases, then TURNSTILE_*. `environment`: as environ. */
void load_environment(struct load *l, char *const *environment);

/* Whether it sets this option, by our own name for it; by an alias isn't asked. */
bool environment_has(char *const *environment, const struct option *o);

/* Appends a line that names the TURNSTILE_* variables of no section of ours, if there are any. */
void advise_environment(char *const *environment, struct buf *to);

/* Reads what was given by -o; the list ends with NULL. */
void load_overrides(struct load *l, const char *const *overrides);
