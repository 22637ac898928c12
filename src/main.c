/*
 * main.c - the table of contents: arguments, configuration, parts, signals, run, shutdown.
 *
 *      SIGTERM, SIGINT   drain: no new connections, who waits is told, what streams may finish
 *                        within listen.drain_timeout_ms; then turns are given back, exit 0
 *      a second one      cut everything now, give turns back, exit 1
 *      SIGHUP            read the configuration again: all or nothing
 */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "config/accounts.h"
#include "config/config.h"
#include "config/forms.h"
#include "config/runtime.h"
#include "explain.h"
#include "health.h"
#include "proxy/proxy.h"
#include "queue/queue.h"
#include "request/account.h"

enum {
	EXIT_USAGE = 2,
	EXIT_CUT = 1,
	DESCRIPTORS_PER_CONNECTION = 2,
	DESCRIPTORS_OF_OUR_OWN = 64,
};

struct arguments {
	const char *file;
	const char **overrides; /* ends with NULL */
	size_t override_count;
	const char *health; /* a path of the admin listener, or NULL */
	bool check, print, help, version;
};

struct server {
	struct loop loop;
	struct config *config;
	struct config_sources sources;
	struct queue *queue;
	struct proxy *proxy;
	struct admin *admin;
	struct runtime *runtime;
	uv_signal_t terminate, interrupt, hang_up;
	struct timer *drain_limit;
	bool draining, cut;
};

extern char **environ;

/* --- arguments -------------------------------------------------------------------------------- */

static const char usage[] =
	"turnstile - lets the user messages of a Claude account through one at a time\n"
	"\n"
	"usage: turnstile [--config FILE] [-o section.key=value]... [--check] [--print-config]\n"
	"       turnstile explain [FILE]    what would be done with this body, and why; see --help\n"
	"       turnstile hash-key          reads an API key on stdin, prints its account name\n"
	"       turnstile --health[=ready] [--config FILE] [-o section.key=value]...\n"
	"       turnstile --version | --help\n"
	"\n"
	"  -c, --config FILE          read options from an INI file\n"
	"  -o section.key=value       set an option; wins over environment and file\n"
	"      --check                check the configuration, start nothing\n"
	"      --print-config         print every option with its value, start nothing\n"
	"      --health[=ready]       ask the running turnstile whether it is alive (or ready to\n"
	"                             serve): exit status 0, or 1; within 2 s\n"
	"  -V, --version\n"
	"  -h, --help\n"
	"\n"
	"Signals: SIGTERM and SIGINT drain and exit, a second one exits at once; SIGHUP reloads.\n"
	"\n";

/* getopt has named the unknown ones itself. */
static int bad_argument(int c)
{
	if (c == 'H')
		fputs("turnstile: --health is alone or --health=ready\n", stderr);
	return -EINVAL;
}

static int parse_arguments(int argc, char **argv, struct arguments *a)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, 'C' },
		{ "print-config", no_argument, NULL, 'P' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ "health", optional_argument, NULL, 'H' },
		{ 0 },
	};
	int c;

	a->overrides = xcalloc((size_t)argc + 1, sizeof *a->overrides);
	while ((c = getopt_long(argc, argv, "c:o:Vh", longs, NULL)) != -1) {
		if (c == 'c')
			a->file = optarg;
		else if (c == 'o')
			a->overrides[a->override_count++] = optarg;
		else if (c == 'C')
			a->check = true;
		else if (c == 'P')
			a->print = true;
		else if (c == 'V')
			a->version = true;
		else if (c == 'h')
			a->help = true;
		else if (c == 'H' && !optarg)
			a->health = "/healthz";
		else if (c == 'H' && !strcmp(optarg, "ready"))
			a->health = "/readyz";
		else
			return bad_argument(c);
	}
	if (optind < argc) {
		fprintf(stderr, "turnstile: unexpected argument '%s'; see turnstile --help\n",
			argv[optind]);
		return -EINVAL;
	}
	return 0;
}

/* `turnstile hash-key`: the name under which a key's requests queue; the key goes nowhere else. */
static int hash_key(void)
{
	char line[4096], name[ACCOUNT_KEY_NAME_MAX];
	struct span key;

	if (!fgets(line, sizeof line, stdin)) {
		fputs("turnstile hash-key: give the key on standard input\n", stderr);
		return EXIT_USAGE;
	}
	key = span_trim(span_of(line));
	if (!key.len) {
		fputs("turnstile hash-key: the key is empty\n", stderr);
		return EXIT_USAGE;
	}
	account_of_key(key, name);
	puts(name);
	return 0;
}

/* --- signals ---------------------------------------------------------------------------------- */

static void on_queue_stopped(void *arg)
{
	struct server *s = arg;

	uv_stop(&s->loop.uv);
}

static void on_admin_stopped(void *arg)
{
	struct server *s = arg;

	queue_stop(s->queue, s->config->redis.command_timeout_ms, on_queue_stopped, s);
}

static void on_proxy_idle(void *arg)
{
	struct server *s = arg;

	timer_stop(s->drain_limit);
	admin_stop(s->admin, on_admin_stopped, s);
}

static void cut(struct server *s, const char *why)
{
	if (s->cut)
		return;
	s->cut = proxy_exchanges(s->proxy) > 0;
	log_warn(why, LOG_INT("exchanges", proxy_exchanges(s->proxy)));
	proxy_cut(s->proxy);
}

static void on_drain_limit(void *arg)
{
	cut(arg, "listen.drain_timeout_ms is over: cutting what still runs");
}

static void on_terminate(uv_signal_t *handle, int signum)
{
	struct server *s = handle->data;

	if (s->draining) {
		cut(s, "second signal: cutting what still runs");
		return;
	}
	s->draining = true;
	log_info("draining", LOG_STR("signal", signum == SIGTERM ? "SIGTERM" : "SIGINT"),
		 LOG_INT("exchanges", proxy_exchanges(s->proxy)),
		 LOG_INT("limit_ms", s->config->listen.drain_timeout_ms));
	timer_start(s->drain_limit, s->config->listen.drain_timeout_ms);
	proxy_drain(s->proxy, on_proxy_idle, s);
}

/* One log line a line of `errors`. */
static void log_errors(struct buf *errors)
{
	struct span rest = buf_span(errors), line;

	while (span_next(&rest, '\n', &line)) {
		CLEANUP(freep) char *text = xstrndup(line.ptr, line.len);

		if (line.len)
			log_error(text);
	}
}

static void on_hang_up(uv_signal_t *handle, int signum)
{
	struct server *s = handle->data;
	CLEANUP(buf_clear) struct buf errors = { 0 };
	struct config *fresh = NULL;
	int r;

	(void)signum;
	r = config_load(&s->sources, &errors, &fresh);
	if (!r)
		r = config_reload(s->config, fresh, &errors);
	if (r < 0) {
		log_errors(&errors);
		log_error("not reloaded: the configuration in use is unchanged");
		return;
	}
	runtime_reloaded(s->runtime);
	log_setup(s->config->log.level, s->config->log.format);
	log_info("reloaded", LOG_STR("config", s->sources.file));
}

static void watch_signal(struct server *s, uv_signal_t *handle, uv_signal_cb fn, int signum)
{
	uv_signal_init(&s->loop.uv, handle);
	handle->data = s;
	must(uv_signal_start(handle, fn, signum) == 0);
	uv_unref((uv_handle_t *)handle);
}

static void watch_signals(struct server *s)
{
	signal(SIGPIPE, SIG_IGN);
	watch_signal(s, &s->terminate, on_terminate, SIGTERM);
	watch_signal(s, &s->interrupt, on_terminate, SIGINT);
	watch_signal(s, &s->hang_up, on_hang_up, SIGHUP);
}

/*
 * Bodies of some hundred KiB come and go with each request. By default glibc gives such memory back
 * to the kernel and faults it in again for the next one, which costs more than copying it.
 */
static void tune_allocator(void)
{
	mallopt(M_MMAP_THRESHOLD, 4 * 1024 * 1024);
	mallopt(M_TRIM_THRESHOLD, 64 * 1024 * 1024);
	mallopt(M_TOP_PAD, 1024 * 1024);
}

/* --- running ---------------------------------------------------------------------------------- */

/* As many descriptors as we may have: each connection takes one here and one to the upstream. */
static void raise_descriptor_limit(const struct config *c)
{
	struct rlimit limit;
	int64_t need =
		DESCRIPTORS_PER_CONNECTION * c->listen.max_connections + DESCRIPTORS_OF_OUR_OWN;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max < (rlim_t)need)
		log_warn("the limit of open files is too low for listen.max_connections: raise it "
			 "(ulimit -n, LimitNOFILE=) or lower that",
			 LOG_INT("limit", (int64_t)limit.rlim_max), LOG_INT("needed", need));
}

/* Operators have set something at run time, here or in another process. */
static void on_settings(void *arg, const struct runtime_setting *settings, size_t count)
{
	struct server *s = arg;
	size_t strange = runtime_replace(s->runtime, settings, count);

	if (strange)
		log_warn("settings made at run time that aren't understood are left out",
			 LOG_INT("count", (int64_t)strange));
	if (count > strange)
		log_info("settings made at run time are in effect",
			 LOG_INT("count", (int64_t)(count - strange)));
}

/* Who can choose his account can also choose whom to stand in the way of. */
static void warn_of_headers(const struct config *c)
{
	const struct account_source *source = c->account.source;

	while (source->kind != ACCOUNT_NONE && source->kind != ACCOUNT_HEADER)
		source++;
	if (source->kind == ACCOUNT_HEADER && config_trusts_all(c) &&
	    !form_is_loopback(span_of(c->listen.address)))
		log_warn("account.source takes a header from anybody who can reach listen.address; "
			 "set account.trusted_proxies",
			 LOG_STR("header", source->arg));
}

static int start(struct server *s, struct buf *errors)
{
	struct admin_parts parts = { .loop = &s->loop, .config = s->config };
	int r = queue_new(&s->loop, s->config, errors, &s->queue);

	if (r < 0)
		return r;
	queue_watch_settings(s->queue, on_settings, s);
	r = proxy_new(&s->loop, s->config, s->queue, errors, &s->proxy);
	if (r < 0)
		return r;
	parts.queue = s->queue;
	parts.proxy = s->proxy;
	return admin_new(&parts, errors, &s->admin);
}

static void stop(struct server *s)
{
	admin_free(s->admin);
	proxy_free(s->proxy);
	queue_free(s->queue);
	timer_clear(&s->drain_limit);
	uv_close((uv_handle_t *)&s->terminate, NULL);
	uv_close((uv_handle_t *)&s->interrupt, NULL);
	uv_close((uv_handle_t *)&s->hang_up, NULL);
	loop_close(&s->loop);
	runtime_free(s->runtime);
}

static int run(struct server *s)
{
	CLEANUP(buf_clear) struct buf errors = { 0 };
	int r;

	log_setup(s->config->log.level, s->config->log.format);
	raise_descriptor_limit(s->config);
	tune_allocator();
	warn_of_headers(s->config);
	loop_open(&s->loop);
	s->runtime = runtime_new(s->config);
	s->drain_limit = timer_new(&s->loop, on_drain_limit, s);
	watch_signals(s);
	r = start(s, &errors);
	if (r < 0) {
		log_errors(&errors);
	} else {
		log_info("listening", LOG_STR("address", proxy_address(s->proxy)),
			 LOG_STR("admin", admin_address(s->admin)),
			 LOG_STR("upstream", s->config->upstream.url),
			 LOG_STR("backend", queue_backend_name(s->queue)),
			 LOG_BOOL("queue", s->config->queue.enabled),
			 LOG_STR("version", TURNSTILE_VERSION));
		uv_run(&s->loop.uv, UV_RUN_DEFAULT);
		log_info("stopped");
	}
	stop(s);
	return r < 0 || s->cut ? EXIT_CUT : 0;
}

static int load_and_run(const struct arguments *a)
{
	struct server s = { .sources = { a->file, a->overrides, environ } };
	CLEANUP(buf_clear) struct buf errors = { 0 };
	int r = config_load(&s.sources, &errors, &s.config);

	if (r < 0) {
		fputs(buf_str(&errors), stderr);
		return a->health ? EXIT_CUT : EXIT_USAGE; /* health knows two answers only */
	}
	if (a->health)
		r = health_ask(s.config, a->health);
	else if (a->print)
		config_print(s.config, stdout);
	else if (a->check)
		puts("configuration is fine");
	else
		r = run(&s);
	config_free(s.config);
	return r;
}

int main(int argc, char **argv)
{
	struct arguments a = { 0 };
	int r;

	if (argc == 2 && !strcmp(argv[1], "hash-key"))
		return hash_key();
	if (argc > 1 && !strcmp(argv[1], "explain"))
		return explain_main(argc - 1, argv + 1);
	if (parse_arguments(argc, argv, &a) < 0) {
		r = EXIT_USAGE;
	} else if (a.help) {
		fputs(usage, stdout);
		config_help(stdout);
		r = 0;
	} else if (a.version) {
		puts("turnstile " TURNSTILE_VERSION);
		r = 0;
	} else {
		r = load_and_run(&a);
	}
	free(a.overrides);
	return r;
}
