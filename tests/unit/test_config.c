/*
 * test_config.c - loading, its errors, showing. test_config_values.c has the types,
 * test_config_reload.c what is reloaded.
 *
 * `test_config --help` prints the option table and tests nothing: tests/lint/options reads it.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "config_run.h"

/* Later sources win; the alias loses against our own name, and an empty one isn't set. */
static void test_precedence(void)
{
	static const char ini[] = "[queue]\ndelay_ms = 1\n";
	const struct {
		const char *ini;
		char *const *environment;
		const char *const *overrides;
		const char *want;
	} cases[] = {
		{ NULL, NULL, NULL, "200" },
		{ ini, NULL, NULL, "1" },
		{ ini, ENV("USER_MESSAGE_QUEUE_DELAY_MS=2"), NULL, "2" },
		{ ini, ENV("USER_MESSAGE_QUEUE_DELAY_MS="), NULL, "1" },
		{ ini, ENV("USER_MESSAGE_QUEUE_DELAY_MS=2", "TURNSTILE_QUEUE_DELAY_MS=3"), NULL,
		  "3" },
		{ ini, ENV("TURNSTILE_QUEUE_DELAY_MS=3", "USER_MESSAGE_QUEUE_DELAY_MS=bad"), NULL,
		  "3" },
		{ ini, ENV("TURNSTILE_QUEUE_DELAY_MS=3"), OVER("queue.delay_ms=4"), "4" },
		{ ini, NULL, OVER("queue.delay_ms=4", "queue.delay_ms=5"), "5" },
		{ NULL, ENV("PATH=/bin", "HOME", "queue.delay_ms=9"), NULL, "200" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run run = load(cases[i].ini, cases[i].environment, cases[i].overrides);

		CHECK_STR(buf_str(&run.errors), "");
		CHECK_INT(run.result, 0);
		if (run.config)
			check_value(run.config, "queue.delay_ms", cases[i].want);
		end(&run);
	}
}

/* What is no option at all, in each source. */
static void test_unknown(void)
{
	const struct {
		const char *ini;
		char *const *environment;
		const char *const *overrides;
		const char *want;
	} cases[] = {
		{ "[queue]\n\ndealy_ms = 1\n", NULL, NULL,
		  "t.ini:3: queue.dealy_ms: there is no such option; did you mean queue.delay_ms?\n" },
		{ "[queue]\nfrobnicate = 1\n", NULL, NULL,
		  "t.ini:2: queue.frobnicate: there is no such option\n" },
		{ "[listen]\nmax_waiting = 1\n", NULL, NULL,
		  "t.ini:2: listen.max_waiting: there is no such option; "
		  "did you mean queue.max_waiting?\n" },
		{ "[quue]\ndelay_ms = 1\nx = 2\n", NULL, NULL,
		  "t.ini:1: [quue]: there is no such section; did you mean [queue]?\n"
		  "t.ini:3: queue.x: there is no such option\n" },
		{ "[quue]\ndelay_ms = soon\n", NULL, NULL,
		  "t.ini:1: [quue]: there is no such section; did you mean [queue]?\n"
		  "t.ini:2: queue.delay_ms: \"soon\" is not a whole number; allowed: 0 to 10000\n" },
		{ "[frobnication]\nx = 1\ndelay_ms = 1\n", NULL, NULL,
		  "t.ini:1: [frobnication]: there is no such section\n"
		  "t.ini:3: frobnication.delay_ms: there is no such option; "
		  "did you mean queue.delay_ms?\n" },
		{ "[\x1b]\n", NULL, NULL, "t.ini:1: [\\u001b]: there is no such section\n" },
		{ "delay_ms = 1\n", NULL, NULL,
		  "t.ini:1: delay_ms: stands before the first [section]\n" },
		{ NULL, ENV("TURNSTILE_QUEUE_DELAYMS=1"), NULL,
		  "TURNSTILE_QUEUE_DELAYMS: there is no such option; "
		  "did you mean TURNSTILE_QUEUE_DELAY_MS?\n" },
		{ NULL, ENV("TURNSTILE_QUEUE_X=secret"), NULL,
		  "TURNSTILE_QUEUE_X: there is no such option\n" },
		{ NULL, ENV("TURNSTILE_SITE_KEY=a", "TURNSTILE_SECRET_KEY=b", "TURNSTILE_NAME=c"),
		  NULL, "" },
		{ NULL,
		  ENV("TURNSTILE_SERVICE_HOST=10.0.0.1", "TURNSTILE_SERVICE_PORT_HTTP=80",
		      "TURNSTILE_PORT=tcp://10.0.0.1:80", "TURNSTILE_PORT_80_TCP_ADDR=10.0.0.1",
		      "TURNSTILE_ADMIN_PORT=tcp://10.0.0.2:81"),
		  NULL, "" },
		{ NULL, NULL, OVER("queue.dleay_ms=1"),
		  "-o queue.dleay_ms: there is no such option; did you mean queue.delay_ms?\n" },
		{ NULL, NULL, OVER("delay_ms=1"),
		  "-o delay_ms: there is no such option; did you mean queue.delay_ms?\n" },
		{ NULL, NULL, OVER("queue.delay_ms"),
		  "-o queue.delay_ms: has no value; write -o queue.delay_ms=VALUE\n" },
		{ NULL, NULL, OVER("=1"), "-o : there is no such option\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run run = load(cases[i].ini, cases[i].environment, cases[i].overrides);

		CHECK_STR(buf_str(&run.errors), cases[i].want);
		CHECK_INT(run.result, *cases[i].want ? -EINVAL : 0);
		end(&run);
	}
}

/* One run tells everything that is wrong, file first, each with its place. */
static void test_all_errors(void)
{
	struct run run = load("[queue]\n"
			      "delay_ms = soon\n"
			      "what is this\n"
			      "[listen\n"
			      "lost = 1\n"
			      "[log] level = debug\n"
			      "format = xml\n"
			      "[ queue ] ; comment\n"
			      "  timeout_ms = 5 ; too little\n"
			      "\n"
			      "delay_ms = 7\n"
			      "nothing ;= 1\n"
			      "also nothing",
			      ENV("TURNSTILE_LOG_LEVEL=loud", "REQUEST_TIMEOUT=ten"),
			      OVER("redis.cluster=perhaps", "a.b=c"));

	CHECK_INT(run.result, -EINVAL);
	CHECK_STR(buf_str(&run.errors),
		  "t.ini:2: queue.delay_ms: \"soon\" is not a whole number; allowed: 0 to 10000\n"
		  "t.ini:3: the line is neither \"key = value\" nor [section] nor a comment\n"
		  "t.ini:4: the section's name has no \"]\"\n"
		  "t.ini:5: listen.lost: there is no such option\n"
		  "t.ini:6: there is more than a comment behind the section's name\n"
		  "t.ini:7: log.format: \"xml\" is none of them; allowed: text, json\n"
		  "t.ini:9: queue.timeout_ms: \"5\" is out of range; allowed: 1000 to 86400000\n"
		  "t.ini:11: queue.delay_ms: is set twice, first in line 2\n"
		  "t.ini:12: the line is neither \"key = value\" nor [section] nor a comment\n"
		  "t.ini:13: the line is neither \"key = value\" nor [section] nor a comment\n"
		  "REQUEST_TIMEOUT: \"ten\" is not a whole number; allowed: 100 to 86400000\n"
		  "TURNSTILE_LOG_LEVEL: \"loud\" is none of them; "
		  "allowed: error, warn, info, debug\n"
		  "-o redis.cluster: \"perhaps\" is neither; allowed: true or false\n"
		  "-o a.b: there is no such option\n");
	end(&run);
}

static void test_together(void)
{
	struct run run = load(NULL, NULL,
			      OVER("listen.max_body_bytes=2MiB", "listen.max_buffered_bytes=1MiB"));

	CHECK_INT(run.result, -EINVAL);
	CHECK_STR(buf_str(&run.errors), "listen.max_buffered_bytes: 1048576 bytes are less than "
					"listen.max_body_bytes, 2097152\n");
	end(&run);
}

/* What options have to do with each other is told with what is wrong about others. */
static void test_together_with_others(void)
{
	struct run run = load("[queue]\ndelay_ms = soon\n", NULL,
			      OVER("admin.address=0.0.0.0:1", "listen.tls_cert=/dev/null",
				   "listen.address=0.0.0.0:1"));

	CHECK_STR(buf_str(&run.errors),
		  "t.ini:2: queue.delay_ms: \"soon\" is not a whole number; allowed: 0 to 10000\n"
		  "listen.tls_key: is empty; TLS needs a certificate and its key\n"
		  "admin.token: is empty, but others can reach admin.address; set a token, or an "
		  "address on loopback such as 127.0.0.1:8081\n"
		  "admin.address: is listen.address too; give it one of its own\n");
	end(&run);

	/* But nothing is concluded from a value that is wrong by itself. */
	run = load(NULL, NULL,
		   OVER("listen.max_body_bytes=1GiB", "listen.max_buffered_bytes=much",
			"admin.address=0.0.0.0:1", "admin.token=short", "listen.tls_cert=/dev/null",
			"listen.tls_key=/none"));
	CHECK_STR(
		buf_str(&run.errors),
		"-o listen.max_buffered_bytes: \"much\" is not a whole number of bytes, KiB, MiB "
		"or GiB; allowed: 1KiB to 1024GiB\n"
		"-o admin.token: is too short or too long; allowed: empty, or 16 to 256 of letters, digits, \"-._~+/=\"\n"
		"-o listen.tls_key: can't be read: No such file or directory; allowed: "
		"empty, or a file that can be read\n");
	end(&run);

	run = load("[account]\nsource = nonsense\n[account \"a\"]\nkeys = key-0123456789abcdef\n"
		   "[account \"b\"]\nkeys = key-0123456789abcdef\n",
		   NULL, NULL);
	CHECK(strstr(buf_str(&run.errors), "t.ini:2: account.source: \"nonsense\" is none of"));
	CHECK(strstr(buf_str(&run.errors), "key-0123456789abcdef belongs to another account"));
	CHECK(!strstr(buf_str(&run.errors), "has no api-key"));
	end(&run);
}

static void test_cluster_urls(void)
{
	static const struct {
		const char *url;
		bool fine;
	} rows[] = {
		{ "redis.url=redis://h", true },
		{ "redis.url=redis://h:1/", true },
		{ "redis.url=rediss://u:p%2f1@[::1]:1/0", true },
		{ "redis.url=redis://u:p@h/1", false },
		{ "redis.url=unix:/a/1", true },
		{ "redis.url=unix:/a?user=db&db=0", true },
		{ "redis.url=unix:/a?user=u&db=2", false },
		{ "redis.url=redis+sentinel://h/main", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct run run = load(NULL, NULL, OVER("redis.cluster=true", rows[i].url));

		CHECK_INT(run.result, rows[i].fine ? 0 : -EINVAL);
		CHECK_STR(buf_str(&run.errors),
			  rows[i].fine ? ""
				       : "redis.cluster: is on, but redis.url names a "
					 "database or sentinels, and a cluster has neither\n");
		end(&run);
	}
}

/* What a text file may look like: a mark at its start, CR LF, blanks, long lines, no last LF. */
static void test_file_shapes(void)
{
	CLEANUP(buf_clear) struct buf ini = { 0 };
	struct run run =
		load("\xef\xbb\xbf[queue]\r\n\tdelay_ms: 5 ; inline\r\n  timeout_ms=2000\r\n"
		     "[log]\n# c\n; c\n[queue]\nmax_waiting = 3",
		     NULL, NULL);

	CHECK_STR(buf_str(&run.errors), "");
	check_value(run.config, "queue.delay_ms", "5");
	check_value(run.config, "queue.timeout_ms", "2000");
	check_value(run.config, "queue.max_waiting", "3");
	end(&run);

	/* 198 bytes fit into inih's line, 199 don't; a comment may be longer. */
	buf_printf(&ini, "# %0250d\n[queue]\npaths = /%0189d\n", 0, 0);
	run = load(buf_str(&ini), NULL, NULL);
	CHECK_STR(buf_str(&run.errors), "");
	CHECK_INT(strlen(run.config->queue.paths[0]), 190);
	end(&run);
	ini.len = 0;
	buf_printf(&ini, "[queue]\npaths = /%0190d\ndelay_ms = x\n", 0);
	run = load(buf_str(&ini), NULL, NULL);
	CHECK_STR(buf_str(&run.errors),
		  "t.ini:2: the line is longer than 198 bytes; set a longer value by -o or in the "
		  "environment\n"
		  "t.ini:3: queue.delay_ms: \"x\" is not a whole number; allowed: 0 to 10000\n");
	end(&run);
}

static void test_bad_files(void)
{
	struct config_sources sources = { .file = "none.ini" };
	struct run run = { 0 };

	run.result = config_load(&sources, &run.errors, &run.config);
	CHECK_INT(run.result, -ENOENT);
	CHECK_STR(buf_str(&run.errors), "none.ini: No such file or directory\n");
	end(&run);

	sources.file = ".";
	run.result = config_load(&sources, &run.errors, &run.config);
	CHECK_INT(run.result, -EISDIR);
	CHECK_STR(buf_str(&run.errors), ".: Is a directory\n");
	end(&run);

	sources.file = "/dev/null";
	run.result = config_load(&sources, &run.errors, &run.config);
	CHECK_INT(run.result, 0);
	end(&run);

	write_ini(SPAN("[queue]\ndelay_ms = 1\0002\n"));
	sources.file = "t.ini";
	run.result = config_load(&sources, &run.errors, &run.config);
	CHECK_INT(run.result, -EINVAL);
	CHECK_STR(buf_str(&run.errors), "t.ini:2: the line has a NUL byte\n");
	end(&run);
}

static void test_opaque(void)
{
	struct run run = load(NULL, NULL, OVER("admin.token=0123456789abcdef"));
	CLEANUP(freep) char *text = printed(run.config);
	struct run again = load(text, NULL, NULL);

	CHECK_STR(run.config->admin.token, "0123456789abcdef");
	CHECK(strstr(text, "token = ***\n") != NULL);
	CHECK(strstr(text, "0123456789abcdef") == NULL);
	CHECK_INT(again.result, -EINVAL);
	end(&run);
	end(&again);
}

/* Where others can reach it, a token is needed. */
static void test_admin_address(void)
{
	static const struct {
		const char *address;
		bool is_loopback;
	} cases[] = {
		{ "admin.address=", true },
		{ "admin.address=127.0.0.1:0", true },
		{ "admin.address=127.8.9.10:0", true },
		{ "admin.address=[::1]:0", true },
		{ "admin.address=localhost:0", true },
		{ "admin.address=unix:/run/t", true },
		{ "admin.address=0.0.0.0:0", false },
		{ "admin.address=[::]:0", false },
		{ "admin.address=10.0.0.1:0", false },
		{ "admin.address=127.0.0.1.example:0", false },
		{ "admin.address=128.0.0.1:0", false },
		{ "admin.address=[fe80::1]:0", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *both[] = { cases[i].address, "admin.token=0123456789abcdef", NULL };
		struct run alone = load(NULL, NULL, OVER(cases[i].address));
		struct run with = load(NULL, NULL, both);

		CHECK_INT(alone.result, cases[i].is_loopback ? 0 : -EINVAL);
		CHECK_INT(strstr(buf_str(&alone.errors), "admin.token: is empty") != NULL,
			  !cases[i].is_loopback);
		CHECK_INT(with.result, 0);
		end(&alone);
		end(&with);
	}
}

static void check_masked(const char *option, const char *line)
{
	struct run run = load(NULL, NULL, OVER(option));
	CLEANUP(freep) char *text = NULL;

	CHECK_STR(buf_str(&run.errors), "");
	text = printed(run.config);
	CHECK(strstr(text, line));
	CHECK(!strstr(text, "s3cret"));
	end(&run);
}

static void test_masked(void)
{
	struct run run;

	check_masked("redis.url=redis://:s3cret@h:1/2", "\nurl = redis://:***@h:1/2\n");
	check_masked("redis.url=redis://u:s3cret@s3cret@h", "\nurl = redis://u:***@h\n");
	check_masked("redis.url=redis+sentinel://:s3cret@h,i:1/m",
		     "\nurl = redis+sentinel://:***@h,i:1/m\n");
	check_masked("upstream.proxy=http://s3cret@h:1", "\nproxy = http://***@h:1\n");
	check_masked("redis.url=redis://h/1", "\nurl = redis://h/1\n");
	check_masked("redis.url=unix:/s?db=1&password=s3cret&user=u",
		     "\nurl = unix:/s?db=1&password=***&user=u\n");
	check_masked("upstream.proxy=http://u:s3cret@h:1", "\nproxy = http://u:***@h:1\n");

	run = load("[redis]\nurl = tcp://:s3cret@h\n", ENV("TURNSTILE_UPSTREAM_PROXY=s3cret"),
		   OVER("upstream.url=http://:s3cret@h", "redis.url=unix:/s?s3cret"));
	CHECK_INT(run.result, -EINVAL);
	CHECK(!strstr(buf_str(&run.errors), "s3cret"));
	end(&run);
}

/* The text with the ";" taken off every option's line. */
static char *uncommented(const char *path)
{
	FILE *f = fopen(path, "re");
	CLEANUP(freep) char *line = NULL;
	struct buf text = { 0 };
	size_t cap = 0;

	must(f);
	while (getline(&line, &cap, f) >= 0)
		buf_puts(&text, line + (line[0] == ';'));
	fclose(f);
	buf_str(&text);
	return text.data;
}

static void test_sample(const char *path)
{
	struct config_sources sources = { .file = path };
	CLEANUP(freep) char *text = uncommented(path), *want = NULL, *got = NULL;
	struct run defaults = load(NULL, NULL, NULL), run = { 0 };
	const struct option *o = options;

	want = printed(defaults.config);
	end(&defaults);
	run.result = config_load(&sources, &run.errors, &run.config);
	CHECK_STR(buf_str(&run.errors), "");
	got = printed(run.config);
	CHECK_STR(got, want);
	end(&run);

	run = load(text, NULL, NULL);
	CHECK_STR(buf_str(&run.errors), "");
	free(got);
	got = printed(run.config);
	CHECK_STR(got, want);
	end(&run);
	for (; o < options + options_count; o++) {
		CLEANUP(freep)
		char *line = xasprintf("\n%s =%s%s\n", o->key, *o->preset ? " " : "", o->preset);

		CHECK(strstr(text, line));
	}
}

/* The instance is the host's name, made fit. */
static void test_instance(void)
{
	struct run run = load(NULL, NULL, NULL);
	char host[65];

	must(gethostname(host, sizeof host) == 0);
	for (char *p = host; *p; p++) {
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-",
			    *p))
			*p = '-';
	}
	CHECK_STR(run.config->redis.instance, host[0] ? host : "turnstile");
	end(&run);
	run = load("[redis]\ninstance = a\n", NULL, OVER("redis.instance=(host name)"));
	CHECK_STR(run.config->redis.instance, host[0] ? host : "turnstile");
	end(&run);
}

/* --help fits a terminal and names every option. */
static void test_help(void)
{
	CLEANUP(freep) char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	must(f);
	config_help(f);
	must(fclose(f) == 0);
	for (const char *p = text; *p; p += strcspn(p, "\n") + 1)
		CHECK(strcspn(p, "\n") <= 100);
	for (size_t i = 0; i < options_count; i++) {
		CLEANUP(freep)
		char *line = xasprintf("\n  %s.%s =", options[i].section, options[i].key);

		CHECK(strstr(text, line));
	}
}

int main(int argc, char **argv)
{
	const char *root = getenv("SOURCE_ROOT");
	CLEANUP(freep) char *sample = xasprintf("%s/config/turnstile.ini", root ? root : "..");
	CLEANUP(freep) char *sample_path = realpath(sample, NULL);

	if (argc > 1 && !strcmp(argv[1], "--help")) {
		config_help(stdout);
		return 0;
	}
	must(sample_path);
	work_begin();
	test_precedence();
	test_unknown();
	test_all_errors();
	test_together();
	test_together_with_others();
	test_cluster_urls();
	test_file_shapes();
	test_bad_files();
	test_opaque();
	test_admin_address();
	test_masked();
	test_sample(sample_path);
	test_instance();
	test_help();
	work_end();
	return check_done();
}
