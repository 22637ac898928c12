/*
 * options.c - the option table, and finding a row by its name.
 *
 * To add an option: a member of struct config (config.h), a row here, a commented line in
 * config/turnstile.ini (tests/lint/options compares the two); turnstile.ini(5) follows from the row.
 */
#include "config/options.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

#include "base/typo.h"
#include "config/accounts.h"
#include "config/forms.h"
#include "config/values.h"

#define KIB     1024LL
#define MIB     (1024 * KIB)
#define GIB     (1024 * MIB)
#define HOUR_MS (3600 * 1000LL)
#define DAY_MS  (24 * HOUR_MS)

static const char *const mode_words[] = {
	[QUEUE_MODE_ENFORCE] = "enforce",
	[QUEUE_MODE_OBSERVE] = "observe",
	[QUEUE_MODE_OFF] = "off",
};

const char *queue_mode_name(enum queue_mode mode)
{
	return mode_words[mode];
}

const char *config_queue_mode_name(const struct config *c)
{
	return queue_mode_name(config_queue_mode(c));
}

static const char *const order_words[] = {
	[QUEUE_ORDER_FAIR] = "fair",
	[QUEUE_ORDER_ARRIVAL] = "arrival",
};
static const char *const release_on_words[] = {
	[RELEASE_ON_END] = "end",
	[RELEASE_ON_HEADERS] = "headers",
};
static const char *const on_backend_error_words[] = {
	[ON_BACKEND_ERROR_REJECT] = "reject",
	[ON_BACKEND_ERROR_FORWARD] = "forward",
	[ON_BACKEND_ERROR_LOCAL] = "local",
};
static const char *const on_lock_lost_words[] = {
	[ON_LOCK_LOST_CONTINUE] = "continue",
	[ON_LOCK_LOST_ABORT] = "abort",
};
static const char *const on_limit_words[] = { "throttle", "quota" };   /* bits of enum on_limit */
static const char *const retry_words[] = { "throttle", "overloaded" }; /* bits of enum retry */
static const char *const startup_cleanup_words[] = {
	[STARTUP_CLEANUP_OWN] = "own",
	[STARTUP_CLEANUP_ALL] = "all",
	[STARTUP_CLEANUP_OFF] = "off",
};
static const char *const webhook_format_words[] = {
	[WEBHOOK_JSON] = "json",
	[WEBHOOK_SLACK] = "slack",
};
static const char *const log_level_words[] = {
	[LOG_ERROR] = "error",
	[LOG_WARN] = "warn",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};
static const char *const log_format_words[] = {
	[LOG_TEXT] = "text",
	[LOG_JSON] = "json",
};

/* A service's usual limit of open files may have room for fewer, and nobody has asked for so many. */
static void derive_max_connections(struct config *c)
{
	c->listen.max_connections = 10000;
	c->listen.max_connections_is_derived = true;
}

static void derive_max_hold(struct config *c)
{
	c->queue.max_hold_ms = c->upstream.request_timeout_ms;
}

/* A host name may hold what a ticket may not; it may also be empty. */
static void derive_instance(struct config *c)
{
	char name[INSTANCE_MAX + 1] = "";

	if (gethostname(name, sizeof name) < 0 || !name[0])
		strcpy(name, "turnstile");
	for (char *p = name; *p; p++) {
		if (!isalnum((unsigned char)*p) && !strchr("._-", *p))
			*p = '-';
	}
	free(c->redis.instance);
	c->redis.instance = xstrdup(name);
}

/* The offset of a member; doesn't compile unless the member has that C type. */
#define AT(ctype, member)                                                                       \
	(offsetof(struct config, member) +                                                      \
	 0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((struct config *)0)->member), \
						      ctype)                                    \
				 ? 1                                                            \
				 : -1]))

#define NUMBER(member, min_, max_) \
	.type = &value_number, .offset = AT(int64_t, member), .min = min_, .max = max_
#define BYTES(member, min_, max_) \
	.type = &value_bytes, .offset = AT(int64_t, member), .min = min_, .max = max_
#define BOOLEAN(member) .type = &value_bool, .offset = AT(bool, member)
#define WORD(ctype, member, list) \
	.type = &value_word, .offset = AT(ctype, member), .words = { list, ARRAY_SIZE(list) }
#define WORDS(member, list) \
	.type = &value_words, .offset = AT(unsigned, member), .words = { list, ARRAY_SIZE(list) }
#define STRING(member, form_) .type = &value_text, .offset = AT(char *, member), .form = form_
#define PATHS(member)         .type = &value_paths, .offset = AT(char **, member)
#define SOURCES(member)       .type = &value_sources, .offset = AT(struct account_source *, member)
#define MARKS(member)         .type = &value_marks, .offset = AT(struct mark_rule *, member)
#define RANGES(member)        .type = &value_ranges, .offset = AT(struct address_range *, member)
#define TOKENS(member)        .type = &value_tokens, .offset = AT(struct admin_token *, member)

#define SECRET     .flags = OPTION_SECRET
#define RELOADABLE .flags = OPTION_RELOADABLE

/* clang-format off */
const struct option options[] = {
	{ "listen", "address", STRING(listen.address, &form_address), .preset = "127.0.0.1:8080",
	  .help = "Where clients connect; port 0 is any free one." },
	{ "listen", "tls_cert", STRING(listen.tls_cert, &form_file), .preset = "", RELOADABLE,
	  .help = "PEM file of our certificate and its chain: clients use https. Empty: http." },
	{ "listen", "tls_key", STRING(listen.tls_key, &form_file), .preset = "", RELOADABLE,
	  .help = "PEM file of that certificate's key, without a passphrase." },
	{ "listen", "takeover", STRING(listen.takeover, &form_socket), .preset = "",
	  .help = "Where a newly started turnstile takes over the sockets; empty: nowhere." },
	{ "listen", "line_path", STRING(listen.line_path, &form_line_path),
	  .preset = "/.well-known/turnstile/line", RELOADABLE,
	  .help = "Where clients ask for their place in line; empty: nowhere." },
	{ "listen", "max_connections", NUMBER(listen.max_connections, 1, 1000000),
	  .preset = "(10000, or as many as fit)", .derive = derive_max_connections,
	  .help = "Connections of clients at the same time, or as many as the limit of open "
		  "files has room for; more wait to be accepted." },
	{ "listen", "max_connections_per_address",
	  NUMBER(listen.max_connections_per_address, 0, 1000000), .preset = "0", RELOADABLE,
	  .help = "Of these, from one address; more are answered 503. 0: no limit." },
	{ "listen", "max_header_bytes", BYTES(listen.max_header_bytes, KIB, 1024 * KIB),
	  .preset = "16KiB",
	  .help = "A request's head, its first line included; a longer one is answered 431." },
	{ "listen", "max_headers", NUMBER(listen.max_headers, 1, 10000), .preset = "100",
	  .help = "Header fields of a request; one with more is answered 431." },
	{ "listen", "max_target_bytes", BYTES(listen.max_target_bytes, 16, 1024 * KIB),
	  .preset = "12KiB", RELOADABLE,
	  .help = "A request's target (path and query); a longer one is answered 414." },
	{ "listen", "header_timeout_ms", NUMBER(listen.header_timeout_ms, 100, HOUR_MS),
	  .preset = "20000", RELOADABLE,
	  .help = "A new connection without a whole head is closed after this." },
	{ "listen", "min_rate_bytes_s", NUMBER(listen.min_rate_bytes_s, 0, 1000000000),
	  .preset = "50", RELOADABLE,
	  .help = "A client that sends a body more slowly than this is cut off. 0: no limit." },
	{ "listen", "body_timeout_ms", NUMBER(listen.body_timeout_ms, 1000, HOUR_MS),
	  .preset = "30000", RELOADABLE,
	  .help = "A body that is kept must be whole within this, and more for what has come of it." },
	{ "listen", "body_rate_bytes_s", NUMBER(listen.body_rate_bytes_s, 0, 1000000000),
	  .preset = "32768", RELOADABLE,
	  .help = "A second more for each such many bytes of it. 0: no limit as a whole." },
	{ "listen", "idle_timeout_ms", NUMBER(listen.idle_timeout_ms, 100, HOUR_MS),
	  .preset = "75000", RELOADABLE,
	  .help = "A connection without a request is closed after this." },
	{ "listen", "stall_timeout_ms", NUMBER(listen.stall_timeout_ms, 100, HOUR_MS),
	  .preset = "120000", RELOADABLE,
	  .help = "A client that stops sending or reading in the middle is cut off after this." },
	{ "listen", "drain_timeout_ms", NUMBER(listen.drain_timeout_ms, 0, HOUR_MS),
	  .preset = "30000", RELOADABLE,
	  .help = "How long running responses may go on after SIGTERM." },
	{ "listen", "retire_timeout_ms", NUMBER(listen.retire_timeout_ms, 0, DAY_MS),
	  .preset = "600000", RELOADABLE,
	  .help = "How long waiters and responses may go on after a takeover or SIGUSR1." },
	{ "listen", "max_body_bytes", BYTES(listen.max_body_bytes, KIB, GIB),
	  .preset = "32MiB", RELOADABLE,
	  .help = "The largest body that is held in memory while its request waits." },
	{ "listen", "max_buffered_bytes", BYTES(listen.max_buffered_bytes, KIB, 1024 * GIB),
	  .preset = "1GiB", RELOADABLE,
	  .help = "All held bodies together; not less than listen.max_body_bytes." },
	{ "listen", "max_buffered_share", NUMBER(listen.max_buffered_share, 1, 100),
	  .preset = "50", RELOADABLE,
	  .help = "Percent of these that one address, or one API key, may have." },

	{ "upstream", "url", STRING(upstream.url, &form_http_url),
	  .preset = "http://127.0.0.1:3000",
	  .help = "The relay or API that requests are forwarded to." },
	{ "upstream", "unix_socket", STRING(upstream.unix_socket, &form_socket), .preset = "",
	  .help = "Where to connect to instead of upstream.url's host; empty: to that." },
	{ "upstream", "connect_timeout_ms", NUMBER(upstream.connect_timeout_ms, 10, HOUR_MS),
	  .preset = "5000", RELOADABLE,
	  .help = "How long connecting to the upstream may take, TLS included." },
	{ "upstream", "connect_retry_ms", NUMBER(upstream.connect_retry_ms, 0, HOUR_MS),
	  .preset = "15000", RELOADABLE,
	  .help = "How long a request waits for an upstream that can't be reached. 0: not at all." },
	{ "upstream", "request_timeout_ms", NUMBER(upstream.request_timeout_ms, 100, DAY_MS),
	  .preset = "600000", .alias = "REQUEST_TIMEOUT", RELOADABLE,
	  .help = "The upstream's longest silence: before its headers, and within its response." },
	{ "upstream", "max_header_bytes", BYTES(upstream.max_header_bytes, 4 * KIB, 256 * KIB),
	  .preset = "32KiB",
	  .help = "A response's head, interim ones and trailers included; with more it is broken." },
	{ "upstream", "finish_abandoned", BOOLEAN(upstream.finish_abandoned), .preset = "false",
	  RELOADABLE,
	  .help = "A request with a turn goes on when its client leaves, and keeps the turn." },
	{ "upstream", "keepalive_ms", NUMBER(upstream.keepalive_ms, 0, HOUR_MS),
	  .preset = "60000", RELOADABLE,
	  .help = "An upstream that is silent for so long is probed (TCP keep-alive). 0: never." },
	{ "upstream", "keepalive_timeout_ms",
	  NUMBER(upstream.keepalive_timeout_ms, 1000, HOUR_MS), .preset = "20000", RELOADABLE,
	  .help = "One that doesn't answer probes for so long has vanished: the request ends." },
	{ "upstream", "host", STRING(upstream.host, &form_host), .preset = "upstream",
	  .help = "The Host sent: the upstream's (upstream), the client's (client), or a name." },
	{ "upstream", "tls_verify", BOOLEAN(upstream.tls_verify), .preset = "true",
	  .help = "Whether an https upstream's certificate is checked." },
	{ "upstream", "ca_file", STRING(upstream.ca_file, &form_file), .preset = "",
	  .help = "PEM file of authorities to trust; empty: the system's." },
	{ "upstream", "proxy", STRING(upstream.proxy, &form_proxy_url), .preset = "", SECRET,
	  .help = "Proxy on the way to the upstream; empty: none." },

	{ "queue", "enabled", BOOLEAN(queue.enabled), .preset = "true",
	  .alias = "USER_MESSAGE_QUEUE_ENABLED", RELOADABLE,
	  .help = "Whether user messages queue at all; false passes everything." },
	{ "queue", "mode", WORD(enum queue_mode, queue.mode, mode_words), .preset = "enforce",
	  RELOADABLE,
	  .help = "Whether they wait (enforce), or it is only logged who would (observe)." },
	{ "queue", "delay_ms", NUMBER(queue.delay_ms, 0, 10000), .preset = "200",
	  .alias = "USER_MESSAGE_QUEUE_DELAY_MS", RELOADABLE,
	  .help = "From the end of one turn to the start of the account's next." },
	{ "queue", "timeout_ms", NUMBER(queue.timeout_ms, 1000, DAY_MS), .preset = "280000",
	  .alias = "USER_MESSAGE_QUEUE_TIMEOUT_MS", RELOADABLE,
	  .help = "How long a request waits for its turn; above 300000 with heartbeats only." },
	{ "queue", "heartbeat_after_ms", NUMBER(queue.heartbeat_after_ms, 0, CONFIG_QUIET_MAX_MS),
	  .preset = "0", RELOADABLE,
	  .help = "After so long a wait, a request for a stream is told so by events; 0: never." },
	{ "queue", "heartbeat_ms", NUMBER(queue.heartbeat_ms, 100, 60000), .preset = "10000",
	  RELOADABLE,
	  .help = "From one of these events to the next." },
	{ "queue", "client_budget", BOOLEAN(queue.client_budget), .preset = "true", RELOADABLE,
	  .help = "Wait no longer than the client does, as it says in X-Stainless-Timeout." },
	{ "queue", "lock_ttl_ms", NUMBER(queue.lock_ttl_ms, 1000, HOUR_MS), .preset = "120000",
	  .alias = "USER_MESSAGE_QUEUE_LOCK_TTL_MS", RELOADABLE,
	  .help = "The lease of a turn: what a crash costs. Renewed while the turn is held." },
	{ "queue", "max_hold_ms", NUMBER(queue.max_hold_ms, 100, DAY_MS),
	  .preset = "(upstream.request_timeout_ms)", RELOADABLE, .derive = derive_max_hold,
	  .help = "A turn is no longer renewed after this." },
	{ "queue", "order", WORD(enum queue_order, queue.order, order_words), .preset = "fair",
	  RELOADABLE,
	  .help = "Who is next: each share of an account in turn (fair), or whoever came first." },
	{ "queue", "share_by", SOURCES(queue.share_by),
	  .preset = "api-key, metadata.device_id, metadata.session_id, client", RELOADABLE,
	  .help = "Whose a request is within its account: the first that tells more than the account." },
	{ "queue", "yield", MARKS(queue.yield),
	  .preset = "title, subagent, workflow, notification, loop", RELOADABLE,
	  .help = "Kinds of requests that let others go first." },
	{ "queue", "yield_rounds", NUMBER(queue.yield_rounds, 0, 10000),
	  .preset = "20", RELOADABLE,
	  .help = "By how many rounds a request that yields lets the other shares go first." },
	{ "queue", "turns", NUMBER(queue.turns, 1, QUEUE_TURNS_MAX), .preset = "1", RELOADABLE,
	  .help = "Turns of one account at the same time." },
	{ "queue", "interval_ms", NUMBER(queue.interval_ms, 0, HOUR_MS), .preset = "0", RELOADABLE,
	  .help = "From the start of one turn to the start of the account's next, at least." },
	{ "queue", "max_waiting", NUMBER(queue.max_waiting, 1, 1000000), .preset = "1000",
	  RELOADABLE,
	  .help = "Requests of one account that may wait; the next is answered 503." },
	{ "queue", "max_waiting_per_share", NUMBER(queue.max_waiting_per_share, 0, 1000000),
	  .preset = "0", RELOADABLE,
	  .help = "Of these, from one share; the next is answered 503. 0: no limit." },
	{ "queue", "keep_place_ms", NUMBER(queue.keep_place_ms, 0, HOUR_MS), .preset = "60000",
	  RELOADABLE,
	  .help = "How long a place is kept for whoever was refused and sends it again; 0: not." },
	{ "queue", "paths", PATHS(queue.paths), .preset = "/v1/messages", RELOADABLE,
	  .help = "POSTs to a path that ends so are looked at; everything else passes." },
	{ "queue", "exempt", MARKS(queue.exempt), .preset = "probe, classifier", RELOADABLE,
	  .help = "Kinds of requests that look like user messages and pass all the same." },
	{ "queue", "release_on", WORD(enum release_on, queue.release_on, release_on_words),
	  .preset = "end", RELOADABLE,
	  .help = "When a turn ends: at the end of the response, or at its headers." },
	{ "queue", "on_backend_error",
	  WORD(enum on_backend_error, queue.on_backend_error, on_backend_error_words),
	  .preset = "reject", RELOADABLE,
	  .help = "Redis is gone: answer 503, forward unqueued, or queue in this process." },
	{ "queue", "on_lock_lost", WORD(enum on_lock_lost, queue.on_lock_lost, on_lock_lost_words),
	  .preset = "continue", RELOADABLE,
	  .help = "A turn's lease ended while its response streams: let it go on, or cut it." },
	{ "queue", "on_limit", WORDS(queue.on_limit, on_limit_words), .preset = "throttle",
	  RELOADABLE,
	  .help = "Limits of the upstream for which an account's line is held; empty: none." },
	{ "queue", "retry", WORDS(queue.retry, retry_words), .preset = "", RELOADABLE,
	  .help = "Refusals of the upstream after which a request is sent again, with its turn." },
	{ "queue", "startup_cleanup",
	  WORD(enum startup_cleanup, queue.startup_cleanup, startup_cleanup_words),
	  .preset = "own",
	  .help = "Left-overs given back at start: this instance's, everybody's, or none." },
	{ "queue", "cleanup_interval_ms", NUMBER(queue.cleanup_interval_ms, 1000, HOUR_MS),
	  .preset = "60000", RELOADABLE,
	  .help = "How often locks without a lease and dead entries are cleaned up." },

	{ "account", "source", SOURCES(account.source), .preset = "api-key", RELOADABLE,
	  .help = "What names the account of a request; the first that yields one wins." },
	{ "account", "trusted_proxies", RANGES(account.trusted_proxies), .preset = "", RELOADABLE,
	  .help = "From whom headers count: account.source, queue.exempt, the client's address." },

	{ "redis", "url", STRING(redis.url, &form_redis_url), .preset = "", .alias = "REDIS_URL",
	  SECRET,
	  .help = "The Redis that a fleet shares; empty: queues in this process's memory." },
	{ "redis", "key_prefix", STRING(redis.key_prefix, &form_key_prefix),
	  .preset = "user_msg_queue",
	  .help = "What all keys in Redis begin with; the same for the whole fleet." },
	{ "redis", "instance", STRING(redis.instance, &form_instance), .preset = "(host name)",
	  .derive = derive_instance,
	  .help = "This process's name in the fleet; keep it over restarts." },
	{ "redis", "command_timeout_ms", NUMBER(redis.command_timeout_ms, 10, 60000),
	  .preset = "2000",
	  .help = "Redis counts as gone if it doesn't answer within this." },
	{ "redis", "outage_ms", NUMBER(redis.outage_ms, 0, 600 * 1000), .preset = "45000",
	  RELOADABLE,
	  .help = "While Redis is gone, those in line wait on for so long; newcomers don't." },
	{ "redis", "max_accounts", NUMBER(redis.max_accounts, 100, 1000000),
	  .preset = "10000", RELOADABLE,
	  .help = "Accounts that Redis remembers; of more, those idle for longest are forgotten." },
	{ "redis", "cluster", BOOLEAN(redis.cluster), .preset = "false",
	  .help = "redis.url is a node of a Redis Cluster: all its masters are used, one slot an account." },

	{ "redis", "ca_file", STRING(redis.ca_file, &form_file), .preset = "",
	  .help = "With rediss://: PEM file of authorities to trust; empty: the system's." },
	{ "redis", "cert_file", STRING(redis.cert_file, &form_file), .preset = "",
	  .help = "With rediss://: PEM file of the certificate to show; empty: none." },
	{ "redis", "key_file", STRING(redis.key_file, &form_file), .preset = "",
	  .help = "With rediss://: PEM file of that certificate's key." },

	{ "admin", "address", STRING(admin.address, &form_admin), .preset = "127.0.0.1:8081",
	  .help = "Where operators connect: status, metrics, changes at run time; empty: nowhere." },
	{ "admin", "token", STRING(admin.token, &form_secret), .preset = "",
	  .flags = OPTION_SECRET | OPTION_OPAQUE | OPTION_RELOADABLE,
	  .help = "What operators send as bearer token; off loopback this or admin.tokens is needed." },
	{ "admin", "tokens", TOKENS(admin.tokens), .preset = "",
	  .flags = OPTION_SECRET | OPTION_OPAQUE | OPTION_RELOADABLE,
	  .help = "More of them, with a name for the log; read: looks only, write: changes as well." },
	{ "admin", "metrics_accounts", NUMBER(admin.metrics_accounts, 0, 10000), .preset = "0",
	  .help = "How many accounts get metrics of their own, first come first served." },
	{ "admin", "webhook", STRING(admin.webhook, &form_webhook), .preset = "",
	  .flags = OPTION_SECRET | OPTION_OPAQUE | OPTION_RELOADABLE,
	  .help = "Where events are sent: an account held, stuck, a turn lost, Redis or relay gone." },
	{ "admin", "webhook_secret", STRING(admin.webhook_secret, &form_secret), .preset = "",
	  .flags = OPTION_SECRET | OPTION_OPAQUE | OPTION_RELOADABLE,
	  .help = "Signs them: X-Turnstile-Signature is the body's HMAC-SHA256 with it." },
	{ "admin", "webhook_format",
	  WORD(enum webhook_format, admin.webhook_format, webhook_format_words), .preset = "json",
	  RELOADABLE,
	  .help = "json for programs; slack: {\"text\":…}, as Slack, Mattermost and others take it." },
	{ "admin", "webhook_line", NUMBER(admin.webhook_line, 0, 100000), .preset = "0", RELOADABLE,
	  .help = "An account for which so many wait is an event; 0: none is." },

	{ "log", "level", WORD(enum log_level, log.level, log_level_words), .preset = "info",
	  RELOADABLE,
	  .help = "What is logged: this level and those before it." },
	{ "log", "format", WORD(enum log_format, log.format, log_format_words), .preset = "text",
	  RELOADABLE,
	  .help = "One line an event, for people or for programs." },
};
/* clang-format on */

const size_t options_count = ARRAY_SIZE(options);

void option_name(const struct option *o, enum option_naming naming, struct buf *to)
{
	size_t start = to->len;

	if (naming == OPTION_DOTTED) {
		buf_printf(to, "%s.%s", o->section, o->key);
		return;
	}
	buf_printf(to, "TURNSTILE_%s_%s", o->section, o->key);
	for (size_t i = start; i < to->len; i++)
		to->data[i] = (char)toupper((unsigned char)to->data[i]);
}

const struct option *option_find(enum option_naming naming, struct span name)
{
	const struct option *found = NULL;
	struct buf own = { 0 };

	for (size_t i = 0; i < options_count && !found; i++) {
		own.len = 0;
		option_name(&options[i], naming, &own);
		if (span_eq(buf_span(&own), name))
			found = &options[i];
	}
	buf_clear(&own);
	return found;
}

const char *option_section(struct span name)
{
	for (size_t i = 0; i < options_count; i++) {
		if (span_eq(span_of(options[i].section), name))
			return options[i].section;
	}
	return NULL;
}

static bool same_key(const struct option *o, struct span name)
{
	const char *dot = name.len ? memchr(name.ptr, '.', name.len) : NULL;
	size_t skip = dot ? (size_t)(dot + 1 - name.ptr) : 0;

	return span_eq((struct span){ name.ptr + skip, name.len - skip }, span_of(o->key));
}

void option_suggest(enum option_naming naming, struct span name, struct buf *to)
{
	const struct option *nearest = NULL;
	int least = typo_limit(name) + 1;
	struct buf own = { 0 };

	for (size_t i = 0; i < options_count; i++) {
		int d;

		own.len = 0;
		option_name(&options[i], naming, &own);
		d = same_key(&options[i], name) ? 1 : typo_distance(buf_span(&own), name);
		if (d < least) {
			least = d;
			nearest = &options[i];
		}
	}
	if (nearest) {
		buf_puts(to, "; did you mean ");
		option_name(nearest, naming, to);
		buf_puts(to, "?");
	}
	buf_clear(&own);
}

const char *option_section_near(struct span name)
{
	const char *nearest = NULL;
	int least = typo_limit(name) + 1;

	for (size_t i = 0; i < options_count; i++) {
		int d = typo_distance(span_of(options[i].section), name);

		if (d < least) {
			least = d;
			nearest = options[i].section;
		}
	}
	return nearest;
}
