/*
 * runtime.h - settings made while running, by an operator: over those of file, environment and -o.
 *
 *      one for all accounts    lies on top of the option's value in struct config, where all read it
 *      one for one account     is looked up by account_terms_of() (accounts.h), and wins there over
 *                              everything else
 *
 * Where they are kept, and how other processes learn of them, is the backend's (queue/query.h). There
 * a setting is called "delayMs", or "ACCOUNT/delayMs"; its value is a text.
 */
#pragma once

#include "base/buf.h"
#include "config/accounts.h"
#include "config/config.h"

/* X(enum name, name of the field, its option in [queue] and in struct account_terms, its kind) */
#define RUNTIME_FIELDS(X)                           \
	X(ENABLED, "enabled", enabled, BOOLEAN)     \
	X(MODE, "mode", mode, WORD)                 \
	X(DELAY, "delayMs", delay_ms, NUMBER)       \
	X(TIMEOUT, "timeoutMs", timeout_ms, NUMBER) \
	X(TURNS, "turns", turns, NUMBER)

/* For errors: all of them. */
#define RUNTIME_FIELD_NAMES "enabled, mode, delayMs, timeoutMs, turns"

enum runtime_field {
#define X(name, ...) RUNTIME_##name,
	RUNTIME_FIELDS(X)
#undef X
		RUNTIME_COUNT
};

enum { RUNTIME_NAME_MAX = 160 }; /* "ACCOUNT/FIELD" with its NUL */

struct runtime_field_info {
	const char *name, *option;
	size_t in_terms; /* where it is in struct account_terms */
	enum { RUNTIME_BOOLEAN, RUNTIME_NUMBER, RUNTIME_WORD } kind; /* in JSON a string */
};
extern const struct runtime_field_info runtime_field_info[RUNTIME_COUNT];

/* The field of that name, or -1. */
int runtime_field_find(struct span name);

/* The name of a setting, for all accounts with a NULL `account`. */
void runtime_name(enum runtime_field field, const char *account, char ret[RUNTIME_NAME_MAX]);

/* 0, or -EINVAL and in `why` what is wrong with the value and what is allowed. */
int runtime_check(enum runtime_field field, struct span value, struct buf *why) MUST_USE;

/* Appends what values are allowed. */
void runtime_allowed(enum runtime_field field, struct buf *to);

/* A setting: its name, and its value or NULL for none. */
struct runtime_setting {
	const char *name, *value;
};

struct runtime;

/* Nothing is set yet. `live->runtime` points to it from now on; `live` outlives it. */
struct runtime *runtime_new(struct config *live) MUST_USE;
void runtime_free(struct runtime *r); /* takes NULL */

/*
 * From now on these count, and no others. A setting that isn't understood (of a later version, or
 * put there by hand) is left out; returns how many were.
 */
size_t runtime_replace(struct runtime *r, const struct runtime_setting *all, size_t count);

/* `live` was reloaded: its options have the configured values again. */
void runtime_reloaded(struct runtime *r);

/* What is set for all accounts (NULL) or for one, as text; NULL: nothing. */
const char *runtime_get(const struct runtime *r, const char *account, enum runtime_field field);

/* What counts for all accounts but for these settings: the configured value, as text. */
void runtime_configured(const struct runtime *r, enum runtime_field field, struct buf *to);

/* What counts now, for all accounts (NULL) or for one, as text. */
void runtime_effective(const struct runtime *r, const char *account, enum runtime_field field,
		       struct buf *to);

/* Calls `fn` for each account that has settings of its own, once each. */
void runtime_each_account(const struct runtime *r, void (*fn)(void *arg, const char *account),
			  void *arg);

/* Puts what is set for this account into its terms. Takes a NULL `r`. */
void runtime_apply(const struct runtime *r, const char *account, struct account_terms *terms);
