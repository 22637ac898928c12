/*
 * main.c - the table of contents: arguments, configuration, parts, run. How it ends: lifecycle.c.
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

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "codes.h"
#include "config/accounts.h"
#include "config/advice.h"
#include "explain.h"
#include "health.h"
#include "lifecycle.h"
#include "net/takeover_client.h"
#include "request/account.h"
#include "startup.h"

enum {
	EXIT_USAGE = 2,
	EXIT_CUT = 1,
	RESOLVER_PATIENCE_MS = 500,
	DISK_INTERVAL_MS = 5000,
};

struct arguments {
	char **all;
	const char *file;
	const char **overrides; /* ends with NULL */
	size_t override_count;
	const char *health; /* a path of the admin listener, or NULL */
	bool check, print, help, version;
};

extern char **environ;

/* --- arguments -------------------------------------------------------------------------------- */

static const char usage[] =
	"turnstile - lets the user messages of a Claude account through one at a time\n"
	"\n"
	"usage: turnstile [--config FILE] [-o section.key=value]... [--check] [--print-config]\n"
	"       turnstile explain [FILE]    what would be done with this body, and why (explain --help)\n"
	"       turnstile hash-key          reads an API key on stdin, prints its account name\n"
	"       turnstile codes             the outcomes and reasons of logs, and what they mean\n"
	"       turnstile --health[=ready] [--config FILE] [-o section.key=value]...\n"
	"       turnstile --version | --help\n"
	"\n"
	"  -c, --config FILE          read options from an INI file\n"
	"  -o section.key=value       set an option; wins over environment and file\n"
	"      --check                check the configuration and warn of what is hardly meant,\n"
	"                             start nothing\n"
	"      --print-config         print every option with its value, start nothing\n"
	"      --health[=ready]       ask the running turnstile whether it is alive (or ready to\n"
	"                             serve): exit status 0, or 1; within 2 s\n"
	"  -V, --version\n"
	"  -h, --help\n"
	"\n"
	"Signals: SIGTERM and SIGINT drain and exit, a second one exits at once; SIGUSR1 serves all\n"
	"that came, then exits; SIGUSR2 starts a successor; SIGHUP reloads.\n"
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

/*
 * `turnstile hash-key`: the name under which a key's requests queue; the key goes nowhere else. Not
 * an argument: those are everybody's to read.
 */
static int hash_key(bool has_arguments)
{
	CLEANUP(freep) char *line = NULL;
	char name[ACCOUNT_KEY_NAME_MAX];
	size_t size = 0;
	struct span key;

	if (has_arguments || getline(&line, &size, stdin) < 0) {
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

/* --- running ---------------------------------------------------------------------------------- */

#ifdef __GLIBC__
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
#else
static void tune_allocator(void)
{
}
#endif

/* As many descriptors as we may have: how many that is. */
static int64_t raise_descriptors(void)
{
	struct rlimit limit = { 0 }, most;

	getrlimit(RLIMIT_NOFILE, &limit);
	most = (struct rlimit){ limit.rlim_max, limit.rlim_max };
	if (!setrlimit(RLIMIT_NOFILE, &most)) /* fails where fs.nr_open was lowered meanwhile */
		limit = most;
	return (int64_t)MIN(limit.rlim_cur, INT32_MAX);
}

/* No more connections than there are descriptors for. Who has asked for more is warned. */
static void plan_descriptors(struct process *p)
{
	int64_t limit = raise_descriptors();

	descriptors_plan(p->config, limit, &p->descriptors);
	if (p->descriptors.connections >= p->config->listen.max_connections)
		return;
	if (p->config->listen.max_connections_is_derived)
		log_info("as many connections at a time as the limit of open files has room for",
			 LOG_INT("connections", p->descriptors.connections),
			 LOG_INT("limit", limit));
	else
		log_warn(
			"the limit of open files is too low for listen.max_connections: more than "
			"these wait to be accepted; raise it (ulimit -n, LimitNOFILE=) or lower that",
			LOG_INT("connections", p->descriptors.connections), LOG_INT("limit", limit),
			LOG_INT("needed", p->descriptors.needed));
}

/* Operators have set something at run time, here or in another process. */
static void on_settings(void *arg, const struct runtime_setting *settings, size_t count)
{
	struct process *p = arg;
	size_t strange = runtime_replace(p->runtime, settings, count);

	queue_reconfigured(p->queue);
	if (strange)
		log_warn("settings made at run time that aren't understood are left out",
			 LOG_INT("count", (int64_t)strange));
	if (count > strange)
		log_info("settings made at run time are in effect",
			 LOG_INT("count", (int64_t)(count - strange)));
}

static void log_advice(const struct process *p)
{
	CLEANUP(buf_clear) struct buf advice = { 0 };
	struct span rest, line;

	config_advise(p->config, &p->sources, &advice);
	rest = buf_span(&advice);
	while (span_next(&rest, '\n', &line)) {
		CLEANUP(freep) char *text = xstrndup(line.ptr, line.len);

		if (line.len)
			log_warn(text);
	}
}

/* What a start would say, and no more. Files are looked into, and Redis, if it is there, is asked. */
static void check(const struct process *p)
{
	CLEANUP(buf_clear) struct buf advice = { 0 };
	struct span rest, line;

	config_advise(p->config, &p->sources, &advice);
	log_setup(LOG_ERROR, LOG_TEXT); /* that Redis isn't there is nothing to say here */
	queue_advise(p->config, &advice);
	rest = buf_span(&advice);
	while (span_next(&rest, '\n', &line)) {
		if (line.len)
			fprintf(stderr, "%swarning: %.*s\n", log_mark(LOG_WARN), SPAN_ARG(line));
	}
	puts(advice.len ? "configuration is fine, but for the warnings" : "configuration is fine");
}

static int start_parts(struct process *p, struct buf *errors)
{
	struct admin_parts parts = { .loop = &p->loop,
				     .disk = p->disk,
				     .max_connections = p->descriptors.admin,
				     .max_clients = p->descriptors.connections,
				     .config = p->config,
				     .takeover = p->takeover_client };
	int r = queue_new(&p->loop, p->config, errors, &p->queue);

	if (r < 0)
		return r;
	queue_watch_settings(p->queue, on_settings, p);
	r = proxy_new(&p->loop, p->config, p->descriptors.connections, p->queue, p->takeover_client,
		      errors, &p->proxy);
	if (r < 0)
		return r;
	parts.queue = p->queue;
	parts.proxy = p->proxy;
	parts.beacon = p->beacon =
		beacon_new(&(struct beacon_parts){ &p->loop, p->config, p->queue, p->proxy });
	parts.webhook = p->webhook = webhook_new(
		&(struct webhook_parts){ &p->loop, p->config, p->queue, p->proxy, p->beacon });
	return admin_new(&parts, errors, &p->admin);
}

/*
 * We serve already: a predecessor that is stuck, or a path that can't be had, is no reason to stop.
 */
static void finish_takeover(struct process *p)
{
	int r;

	notify_ready(p->notify, "serving", true); /* before its main process may end */
	r = takeover_client_finish(p->takeover_client);
	if (r < 0)
		log_warn("the former process doesn't say that it retires; see whether it still "
			 "serves",
			 LOG_STR("error", strerror(-r)));
	else
		log_info("took over from the former process");
}

static int start(struct process *p, struct buf *errors)
{
	int r = 0;

	if (p->config->listen.takeover[0])
		r = takeover_client_ask(p->config->listen.takeover, errors, &p->takeover_client);
	if (!r)
		r = start_parts(p, errors);
	if (r < 0)
		return r;
	if (p->takeover_client)
		finish_takeover(p);
	r = lifecycle_await_successor(p, errors);
	if (r < 0 && !p->takeover_client)
		return r;
	process_log_errors(errors);
	log_info("listening", LOG_STR("address", proxy_address(p->proxy)),
		 LOG_STR("admin", admin_address(p->admin)),
		 LOG_STR("upstream", p->config->upstream.url),
		 LOG_STR("backend", queue_backend_name(p->queue)),
		 LOG_BOOL("queue", p->config->queue.enabled),
		 LOG_STR("version", TURNSTILE_VERSION));
	p->runfile = runfile_new(admin_address(p->admin), p->sources.file);
	if (!p->takeover_client)
		notify_ready(p->notify, "serving", false);
	return 0;
}

/* False: a resolver is still at work, see loop_finish(). */
static bool stop(struct process *p)
{
	bool finished;

	runfile_free(p->runfile);
	disk_free(p->disk);
	admin_free(p->admin);
	webhook_free(p->webhook);
	beacon_free(p->beacon);
	proxy_free(p->proxy);
	queue_free(p->queue);
	takeover_client_free(p->takeover_client);
	lifecycle_end(p);
	notify_free(p->notify);
	finished = loop_finish(&p->loop, RESOLVER_PATIENCE_MS);
	runtime_free(p->runtime);
	return finished;
}

static int run(struct process *p)
{
	CLEANUP(buf_clear) struct buf errors = { 0 };
	int r;

	log_setup(p->config->log.level, p->config->log.format);
	plan_descriptors(p);
	tune_allocator();
	log_advice(p);
	loop_open(&p->loop);
	p->runtime = runtime_new(p->config);
	p->notify = notify_new(&p->loop);
	p->disk = disk_new(&p->loop, &p->sources, p->config, DISK_INTERVAL_MS);
	lifecycle_begin(p);
	r = start(p, &errors);
	if (r < 0) {
		process_log_errors(&errors);
	} else {
		uv_run(&p->loop.uv, UV_RUN_DEFAULT);
		log_info("stopped");
	}
	r = r < 0 || p->cut ? EXIT_CUT : 0;
	if (!stop(p))
		_exit(r);
	return r;
}

/* For people, so without time and level; the journal is told the level all the same. */
static void tell(const struct buf *errors)
{
	struct span rest = buf_span(errors), line;

	while (span_next(&rest, '\n', &line)) {
		if (line.len)
			fprintf(stderr, "%s%.*s\n", log_mark(LOG_ERROR), SPAN_ARG(line));
	}
}

/* Everything that can be wrong without starting anything; what is, is told on stderr. */
static int load(struct process *p)
{
	CLEANUP(buf_clear) struct buf errors = { 0 };
	struct tls_identity *identity = NULL;
	int r = config_read(&p->sources, &errors, &p->config);
	int identity_r = proxy_identity(p->config, &errors, &identity);
	int queue_r = queue_check(p->config, &errors);

	tls_identity_free(identity);
	r = r < 0 ? r : identity_r < 0 ? identity_r : queue_r;
	if (r < 0)
		tell(&errors);
	return r;
}

static int load_and_run(const struct arguments *a)
{
	struct process p = { .sources = { a->file, a->overrides, environ }, .arguments = a->all };
	int r;

	if (a->health)
		return health_ask(&p.sources, a->health);
	r = load(&p);
	if (r < 0)
		r = EXIT_USAGE;
	else if (a->print)
		config_print(p.config, stdout);
	else if (a->check)
		check(&p);
	else
		r = run(&p);
	config_free(p.config);
	return r;
}

int main(int argc, char **argv)
{
	struct arguments a = { .all = argv };
	int r;

	startup_begin();
	if (argc > 1 && !strcmp(argv[1], "hash-key"))
		return hash_key(argc > 2);
	if (argc > 1 && !strcmp(argv[1], "explain"))
		return explain_main(argc - 1, argv + 1);
	if (argc == 2 && !strcmp(argv[1], "codes")) {
		codes_print(stdout);
		return 0;
	}
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
