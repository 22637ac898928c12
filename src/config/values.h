/*
 * values.h - the types that an option's value can have: reading, showing and freeing one.
 */
#pragma once

#include "base/buf.h"
#include "base/span.h"
#include "config/options.h"

/* A slot is where a value of the type lives in struct config; a zeroed one is an empty value. */
struct option_type {
	size_t size; /* of a slot */

	/*
	 * Reads `text` (trimmed) into the slot and frees what was there. -EINVAL leaves the slot
	 * alone and appends to `why` what is wrong with the text, without what is allowed.
	 */
	int (*parse)(const struct option *o, struct span text, void *slot, struct buf *why);

	/* Appends the value as parse() reads it; with secrets in clear. */
	void (*print)(const struct option *o, const void *slot, struct buf *to);

	/* Appends what is allowed, in a few words. */
	void (*allowed)(const struct option *o, struct buf *to);

	/* Frees the value, the slot is zeroed after it. NULL: nothing to free. */
	void (*clear)(void *slot);
};

extern const struct option_type value_bool;    /* bool: true, yes, on, 1 or their opposites */
extern const struct option_type value_number;  /* int64_t within min to max */
extern const struct option_type value_bytes;   /* the same, with KiB, MiB or GiB behind it */
extern const struct option_type value_word;    /* an enum, one of `words` */
extern const struct option_type value_words;   /* unsigned, a set: bit n is word n of `words` */
extern const struct option_type value_text;    /* char *, as `form` allows */
extern const struct option_type value_paths;   /* char **, ended by NULL */
extern const struct option_type value_sources; /* struct account_source *, ended by ACCOUNT_NONE */
extern const struct option_type value_marks;   /* struct mark_rule *, ended by MARK_NONE */
extern const struct option_type value_ranges;  /* struct address_range *, ended by ADDRESS_END */
extern const struct option_type value_tokens;  /* struct admin_token *, ended by a NULL name */

/* Appends what is wrong about a text that isn't secret; -EINVAL. For parse(). */
int value_wrong(struct span text, const char *what, struct buf *why);

/* Appends the value for people: as print(), with passwords as "***". */
void value_show(const struct option *o, const void *slot, struct buf *to);
