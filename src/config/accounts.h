/*
 * accounts.h - what counts for one account: [queue], and where it says more, [account "NAME"].
 *
 *      [account "team-a"]
 *      keys = key-0123456789abcdef, key-…      these API keys (as `turnstile hash-key` names them)
 *      timeout_ms = 120000                      and for all of them, instead of queue.timeout_ms
 *
 * A section needs no keys: it may name an account that another source yields. Sections are in the
 * file only, and change with a reload.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "config/config.h"

/* How an account is queued. Each is also the name of an option of [queue], with its range. */
struct account_terms {
	bool enabled;         /* false: its requests pass */
	enum queue_mode mode; /* QUEUE_MODE_OFF where it isn't enabled, and only there */
	int64_t delay_ms, timeout_ms, max_waiting, max_waiting_per_share;
	int64_t turns, interval_ms;
	enum release_on release_on;
	unsigned on_limit; /* set of enum on_limit */
	unsigned retry;    /* set of enum retry */
};

/* The terms of that account, by the configuration as it is now. Computed here and nowhere else. */
void account_terms_of(const struct config *c, const char *account, struct account_terms *ret);

/* The account that a key ("key-…", as account.h names it) was given to; NULL if to none. Valid
 * until a reload. */
const char *account_of_key_name(const struct config *c, const char *key_name);

/* How many keys the account's section lists; 0 if it has none. */
size_t account_key_count(const struct config *c, const char *account);

/* Whether there is a section [account "NAME"]. */
bool account_has_section(const struct config *c, struct span name);

/* Whether the configuration itself names it: a section, static:NAME, or settings made at run time. */
bool account_is_configured(const struct config *c, const char *account);

/*
 * Whether it is the name of an account of our own: the one that Redis is tried at, or one that observe mode plays
 * in. A client that says so is hashed, so no request is of such an account.
 */
bool account_name_is_reserved(struct span name);

/* What counts for accounts that say nothing else; queue.enabled = false says "off" for all. */
static inline enum queue_mode config_queue_mode(const struct config *c)
{
	return c->queue.enabled ? c->queue.mode : QUEUE_MODE_OFF;
}

/* That as it is written in the configuration: "enforce", "observe", "off". */
const char *config_queue_mode_name(const struct config *c);

/* An account's mode, as account_terms_of() has it, in the same words. */
const char *queue_mode_name(enum queue_mode mode);

/* Whether anybody may have to wait: all, or accounts that are enforced while all else is observed. */
bool config_enforces(const struct config *c);

/* Whether what this client says in a header counts, see account.trusted_proxies. */
bool config_trusts(const struct config *c, const char *client_address);

/* Whether that is so for everybody, as account.trusted_proxies isn't set. */
bool config_trusts_all(const struct config *c);

/* --- within this room: loading, showing, freeing ---------------------------------------------- */

struct load;
struct account_section;

/*
 * Begins the section of that name. Owned by the configuration. `place` is that of the section:
 * "FILE:LINE". If the name is bad or taken, that is an error, and the section's keys are checked all
 * the same.
 */
struct account_section *accounts_begin(struct load *l, const char *place, struct span name);

/* "key = value" within that section, or an error. `at` is "FILE:LINE". */
void accounts_set(struct load *l, struct account_section *s, const char *at, const char *key,
		  struct span value);

/* What only all sections together can tell: a key in two of them, and keys that never count. */
void accounts_check(struct load *l);

void accounts_print(const struct config *c, FILE *to);
void accounts_help(FILE *to);
void accounts_swap(struct config *a, struct config *b);
void accounts_free(struct config *c);
