/*
 * options.h - the option table: a row an option. Inside of this room only; see config.h.
 *
 * Rows of a section stand together; files, --help and --print-config keep the table's order.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "config/config.h"

struct option_type; /* values.h */
struct text_form;   /* forms.h */

enum option_flags {
	OPTION_SECRET = 1,     /* may hold a password: shown masked, never repeated in an error */
	OPTION_RELOADABLE = 2, /* config_reload() may change it */
	OPTION_OPAQUE = 4, /* with OPTION_SECRET: all of it is secret, not a password within it */
};

struct option {
	const char *section, *key;
	const struct option_type *type;
	size_t offset;      /* of its value in struct config */
	const char *preset; /* the default as a user would write it, "(…)" if it is derived */
	int64_t min, max;   /* numbers only, both allowed */
	struct {            /* words only: what may be written, by the enum's value */
		const char *const *list;
		size_t count;
	} words;
	const struct text_form *form; /* texts only: what is allowed */
	const char *alias;            /* a second environment variable, or NULL */
	unsigned flags;
	void (*derive)(struct config *c); /* sets the value from others where none is given */
	const char *help;                 /* one line, for --help */
};

extern const struct option options[];
extern const size_t options_count;

/* How an option is called: queue.delay_ms or TURNSTILE_QUEUE_DELAY_MS. */
enum option_naming { OPTION_DOTTED, OPTION_ENVIRONMENT };

/* Appends the name of `o`. */
void option_name(const struct option *o, enum option_naming naming, struct buf *to);

/* The option of that name, or NULL. */
const struct option *option_find(enum option_naming naming, struct span name);

/* The table's own copy of a section's name, or NULL if there is no such section. */
const char *option_section(struct span name);

/* The section that is called nearly so (see below), or NULL. The table's own copy. */
const char *option_section_near(struct span name);

/*
 * Appends "; did you mean …?" if an option is called nearly so: a few letters more, less, different or
 * swapped, or the same key in another section.
 */
void option_suggest(enum option_naming naming, struct span name, struct buf *to);

/* Where the value of `o` is in `c`. */
static inline void *option_slot(const struct option *o, const struct config *c)
{
	return (char *)c + o->offset;
}

/* Its place in the table, for arrays beside it. */
static inline size_t option_index(const struct option *o)
{
	return (size_t)(o - options);
}
