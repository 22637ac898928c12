/*
 * config.h - every option's value, and where values come from.
 *
 * One table in options.c has a row an option: name, type, where its value goes, default as a
 * user would write it, range, alias, flags, a line of help. The row drives the file, the
 * environment, -o, --help, --print-config, reloading, the man page, and the lint that compares
 * config/turnstile.ini with it. An option that nothing reads doesn't exist.
 *
 * Later sources win: default, file, environment, -o.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"

enum webhook_format { WEBHOOK_JSON, WEBHOOK_SLACK };
enum release_on { RELEASE_ON_END, RELEASE_ON_HEADERS };
enum on_backend_error { ON_BACKEND_ERROR_REJECT, ON_BACKEND_ERROR_FORWARD, ON_BACKEND_ERROR_LOCAL };
enum on_lock_lost { ON_LOCK_LOST_CONTINUE, ON_LOCK_LOST_ABORT };
enum startup_cleanup { STARTUP_CLEANUP_OWN, STARTUP_CLEANUP_ALL, STARTUP_CLEANUP_OFF };
enum on_limit { ON_LIMIT_THROTTLE = 1, ON_LIMIT_QUOTA = 2 }; /* a set */
enum retry { RETRY_THROTTLE = 1, RETRY_OVERLOADED = 2 };     /* a set */
enum queue_mode { QUEUE_MODE_ENFORCE, QUEUE_MODE_OBSERVE, QUEUE_MODE_OFF };
enum queue_order { QUEUE_ORDER_FAIR, QUEUE_ORDER_ARRIVAL };

enum { QUEUE_TURNS_MAX = 64 }; /* of one account at once */

/* An element of queue.exempt or queue.yield; a list ends with MARK_NONE. request/marks.h explains. */
enum mark_kind {
	MARK_NONE,
	MARK_PROBE,
	MARK_TITLE,
	MARK_SUBAGENT,
	MARK_CLASSIFIER,
	MARK_NOTIFICATION,
	MARK_LOOP,
	MARK_COMPACTION,
	MARK_AUXILIARY,
	MARK_WORKFLOW,
	MARK_HEADER, /* header:NAME=VALUE */
	MARK_MODEL,  /* model:PATTERN, in value */
};

struct mark_rule {
	enum mark_kind kind;
	char *name, *value; /* NULL where the kind has none */
};

/* An element of account.source or queue.share_by; a list ends with ACCOUNT_NONE. */
enum account_source_kind {
	ACCOUNT_NONE,
	ACCOUNT_HEADER,       /* header:NAME, arg is NAME */
	ACCOUNT_API_KEY,      /* api-key */
	ACCOUNT_ACCOUNT_UUID, /* metadata.account_uuid */
	ACCOUNT_SESSION_ID,   /* metadata.session_id */
	ACCOUNT_DEVICE_ID,    /* metadata.device_id */
	ACCOUNT_CLIENT,       /* client: its address, as client.h says */
	ACCOUNT_STATIC,       /* static:NAME, arg is NAME */
};

struct account_source {
	enum account_source_kind kind;
	char *arg; /* NULL where the kind has none */
};

enum { ADMIN_TOKEN_NAME_MAX = 32 };

/* One element of admin.tokens; the list ends with a NULL name. */
struct admin_token {
	char *name;   /* letters, digits, "._-" */
	char *secret; /* as admin.token */
	bool may_write;
};

/*
 * The longest wait without heartbeats. Claude Code and SDKs on Node.js wait 300 s and more for a first
 * byte; whoever is told something before that waits on.
 */
enum { CONFIG_QUIET_MAX_MS = 300 * 1000 };

/* Strings are never NULL; one that isn't set is "". */
struct config {
	struct {
		char *address;            /* "host:port", "[v6]:port" or "unix:PATH" */
		char *tls_cert, *tls_key; /* files; both or none are "" */
		char *takeover;           /* the path of a Unix socket, or empty */
		char *line_path;          /* where clients ask about their line, or empty */
		int64_t max_connections, max_connections_per_address;
		bool max_connections_is_derived; /* no source says it: fewer are fine */
		int64_t max_header_bytes, max_headers, max_target_bytes;
		int64_t header_timeout_ms, idle_timeout_ms, stall_timeout_ms, drain_timeout_ms;
		int64_t retire_timeout_ms;
		int64_t min_rate_bytes_s, body_rate_bytes_s, body_timeout_ms;
		int64_t max_body_bytes, max_buffered_bytes;
		int64_t max_buffered_share; /* percent of these that one address or key may have */
	} listen;
	struct {
		char *url; /* http:// or https://, host, port, a path prefix if any, no trailing "/" */
		char *unix_socket; /* a path, or empty */
		int64_t connect_timeout_ms, connect_retry_ms, request_timeout_ms;
		int64_t max_header_bytes;                   /* of a response */
		int64_t keepalive_ms, keepalive_timeout_ms; /* the first is 0: no probes */
		char *ca_file, *proxy;
		char *host; /* "upstream", "client", or the Host to send */
		bool tls_verify, finish_abandoned;
	} upstream;
	struct {
		bool enabled;
		enum queue_mode mode; /* read by config_queue_mode() */
		int64_t delay_ms, timeout_ms, lock_ttl_ms;
		int64_t heartbeat_after_ms, heartbeat_ms; /* after: 0: none */
		bool client_budget;
		int64_t max_hold_ms; /* where not set: upstream.request_timeout_ms */
		int64_t max_waiting, max_waiting_per_share; /* per account; 0: no limit */
		enum queue_order order;
		int64_t turns, interval_ms; /* of one account */
		int64_t yield_rounds, keep_place_ms;
		char **paths; /* endings of gated paths; ends with NULL */
		struct mark_rule *exempt, *yield;
		struct account_source *share_by;
		struct share_section **shares; /* see shares.h; ends with NULL, or NULL */
		enum release_on release_on;
		enum on_backend_error on_backend_error;
		enum on_lock_lost on_lock_lost;
		unsigned on_limit; /* set of enum on_limit */
		unsigned retry;    /* set of enum retry */
		enum startup_cleanup startup_cleanup;
		int64_t cleanup_interval_ms;
	} queue;
	struct {
		struct account_source *source;
		struct address_range *trusted_proxies; /* see config_trusts() */
		struct account_section **sections;     /* see accounts.h; ends with NULL, or NULL */
	} account;
	struct {
		char *url; /* empty: the memory backend */
		char *key_prefix;
		char *instance; /* letters, digits, "._-"; where not set: the host name */
		int64_t command_timeout_ms;
		int64_t outage_ms;
		int64_t max_accounts; /* that are remembered there */
		bool cluster;
		char *ca_file, *cert_file, *key_file; /* for rediss://; empty: see options.c */
	} redis;
	struct {
		char *address; /* as listen.address; empty: no admin listener */
		char *token;   /* a secret; with `tokens` empty as well only on loopback */
		struct admin_token *tokens;
		int64_t metrics_accounts;
		char *webhook; /* an address; empty: nobody is called (admin/webhook.h) */
		char *webhook_secret;
		enum webhook_format webhook_format;
		int64_t webhook_line; /* a line of so many calls; 0: none does */
	} admin;
	struct {
		enum log_level level;
		enum log_format format;
	} log;
	uint64_t file_digest;    /* of the file that was read, see config_digest(); 0: none */
	struct runtime *runtime; /* settings made while running; NULL: none (runtime.h) */
};

/* Where the values of one load come from. */
struct config_sources {
	const char *file;             /* NULL: none */
	const char *const *overrides; /* "section.key=value" from -o, ended by NULL; NULL: none */
	char *const *environment;     /* as environ; NULL: none */
};

/*
 * Loads and checks everything. 0 and a configuration that the caller frees with config_free(), or
 * -EINVAL (-ENOENT, … where the file can't be read) with all that is wrong in `errors`, a line
 * each that names the place ("turnstile.ini:12: queue.delay_ms: …", "TURNSTILE_QUEUE_DELAY_MS: …",
 * "-o queue.delay_ms: …"), what is wrong and what is allowed. Does not log.
 */
int config_load(const struct config_sources *sources, struct buf *errors, struct config **ret)
	MUST_USE;

/*
 * The same, but `*ret` is always a configuration: where it isn't 0, one that keeps defaults in place of
 * what is wrong. For looking at the rest of it, never for running with it.
 */
int config_read(const struct config_sources *sources, struct buf *errors, struct config **ret)
	MUST_USE;

/* Whether the environment or an -o sets that option ("admin.address"), so that no file matters. */
bool config_is_given(const struct config_sources *sources, const char *option);

/*
 * Makes `*live` carry the values of `*fresh` in place, so that whoever has a pointer to `live` sees
 * them. All or nothing: where an option differs that can't change at run time, nothing is changed,
 * `errors` names each such option, and it is -EINVAL. Consumes `fresh` either way.
 */
int config_reload(struct config *live, struct config *fresh, struct buf *errors) MUST_USE;

/*
 * Appends the options, a line each, whose value in the file isn't the one that counts in `live`: -o,
 * the environment, or what was set at run time wins. Reads the file; nothing if it has errors.
 */
void config_overruled(const struct config_sources *sources, const struct config *live,
		      struct buf *to);

/* Tells two files apart: FNV-1a of 64 bits (www.isthe.com/chongo/tech/comp/fnv), never 0. */
uint64_t config_digest(struct span text);

/* Takes NULL. */
void config_free(struct config *c);
void config_freep(struct config **c); /* for CLEANUP() */

/*
 * Every option as an INI file that could be loaded again, one "key = value" a line under its
 * [section]. Secrets (also the password within a URL) are shown as "***".
 */
void config_print(const struct config *c, FILE *to);

/* The options for --help: name, default, range, environment variables, the line of help. */
void config_help(FILE *to);

/* Appends a rule as it is written in queue.exempt or queue.yield. */
void config_mark_print(const struct mark_rule *rule, struct buf *to);
