/*
 * test_config_accounts.c - [account "NAME"], queue.exempt and account.trusted_proxies: what they
 * take, what they say about the rest, and what comes of them.
 */
#include <errno.h>

#include "config/accounts.h"
#include "config/addresses.h"
#include "config_run.h"

#define KEY_1 "key-0123456789abcdef"
#define KEY_2 "key-fedcba9876543210"
#define KEY_3 "key-00112233445566aa"

static const char sections[] = "[queue]\n"
			       "delay_ms = 100\n"
			       "[account \"team-a\"] ; the first\n"
			       "keys = " KEY_1 ", " KEY_2 "\n"
			       "keys = " KEY_3 "\n"
			       "delay_ms = 500\n"
			       "timeout_ms = 120000\n"
			       "turns = 3\n"
			       "interval_ms = 40\n"
			       "max_waiting = 20\n"
			       "max_waiting_per_share = 5\n"
			       "release_on = headers\n"
			       "on_limit = quota, throttle\n"
			       "retry = overloaded\n"
			       "[ account  \"b@example.com\" ]\n"
			       "enabled = off\n"
			       "[log]\n"
			       "level = warn\n";

static void check_terms(const struct config *c, const char *account,
			const struct account_terms *want)
{
	struct account_terms got;

	account_terms_of(c, account, &got);
	CHECK_INT(got.enabled, want->enabled);
	CHECK_INT(got.delay_ms, want->delay_ms);
	CHECK_INT(got.timeout_ms, want->timeout_ms);
	CHECK_INT(got.turns, want->turns);
	CHECK_INT(got.interval_ms, want->interval_ms);
	CHECK_INT(got.max_waiting, want->max_waiting);
	CHECK_INT(got.max_waiting_per_share, want->max_waiting_per_share);
	CHECK_INT(got.release_on, want->release_on);
	CHECK_INT(got.on_limit, want->on_limit);
	CHECK_INT(got.retry, want->retry);
}

static const struct account_terms usual = { .enabled = true,
					    .delay_ms = 100,
					    .timeout_ms = 280000,
					    .turns = 1,
					    .max_waiting = 1000,
					    .on_limit = ON_LIMIT_THROTTLE };
static const struct account_terms of_a = { .enabled = true,
					   .delay_ms = 500,
					   .timeout_ms = 120000,
					   .turns = 3,
					   .interval_ms = 40,
					   .max_waiting = 20,
					   .max_waiting_per_share = 5,
					   .release_on = RELEASE_ON_HEADERS,
					   .on_limit = ON_LIMIT_THROTTLE | ON_LIMIT_QUOTA,
					   .retry = RETRY_OVERLOADED };
static const struct account_terms of_b = { .enabled = false,
					   .delay_ms = 100,
					   .timeout_ms = 280000,
					   .turns = 1,
					   .max_waiting = 1000,
					   .on_limit = ON_LIMIT_THROTTLE };

static void check_sections(const struct config *c)
{
	check_terms(c, "team-a", &of_a);
	check_terms(c, "b@example.com", &of_b);
	check_terms(c, "team", &usual);
	check_terms(c, "default", &usual);
	CHECK_STR(account_of_key_name(c, KEY_1), "team-a");
	CHECK_STR(account_of_key_name(c, KEY_2), "team-a");
	CHECK_STR(account_of_key_name(c, KEY_3), "team-a");
	CHECK(!account_of_key_name(c, "key-0123456789abcde0"));
	check_value(c, "log.level", "warn"); /* the section behind them is read */
}

/* Loads what config_print() says of `c`. */
static struct run load_printed(const struct config *c)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	struct run run;

	config_print(c, f);
	fclose(f);
	run = load(text, NULL, NULL);
	free(text);
	return run;
}

static void test_sections(void)
{
	struct run run = load(sections, NULL, NULL), again;

	CHECK_STR(buf_str(&run.errors), "");
	CHECK_INT(run.result, 0);
	check_sections(run.config);
	again = load_printed(run.config);
	CHECK_STR(buf_str(&again.errors), "");
	check_sections(again.config);
	end(&again);
	end(&run);
	/* the queue's own switch is above those of accounts */
	run = load("[queue]\nenabled = no\n[account \"a\"]\nenabled = yes\n", NULL, NULL);
	check_terms(run.config, "a",
		    &(struct account_terms){ .enabled = false,
					     .delay_ms = 200,
					     .timeout_ms = 280000,
					     .turns = 1,
					     .max_waiting = 1000,
					     .release_on = RELEASE_ON_END,
					     .on_limit = ON_LIMIT_THROTTLE });
	end(&run);
}

static void test_reload(void)
{
	struct run live = load(NULL, NULL, NULL), fresh = load(sections, NULL, NULL);
	struct buf errors = { 0 };

	CHECK_INT(config_reload(live.config, steal(&fresh.config), &errors), 0);
	check_sections(live.config);
	end(&fresh);
	/* one that is refused changes no section either */
	fresh = load("[upstream]\nurl = http://other\n", NULL, NULL);
	CHECK_INT(config_reload(live.config, steal(&fresh.config), &errors), -EINVAL);
	check_sections(live.config);
	end(&fresh);
	fresh = load(NULL, NULL, NULL);
	CHECK_INT(config_reload(live.config, steal(&fresh.config), &errors), 0);
	CHECK(!account_of_key_name(live.config, KEY_1));
	end(&fresh);
	end(&live);
	buf_clear(&errors);
}

#define PLACE "t.ini:2: [account \"a\"] "
#define BAD_NAME                                                                     \
	"[account \"…\"] names no account; allowed: 1 to 128 of letters, digits, " \
	"\"._-@:\", and no API key (see turnstile hash-key)\n"
#define OWN_NAME                                                                               \
	"would be nobody's: names that begin with \":\" or \"observe:\" are turnstile's own, " \
	"and clients' like that are hashed; give the account another name\n"
#define BAD_KEY                                                                        \
	"holds what is no key's hash; allowed: key-<16 hex digits>, … as turnstile " \
	"hash-key prints them\n"

static const struct {
	const char *ini, *errors;
} wrong[] = {
	{ "[account \"a\"]\nkeys = key-123\n", PLACE "keys: " BAD_KEY },
	{ "[account \"a\"]\nkeys = key-0123456789ABCDEF\n", PLACE "keys: " BAD_KEY },
	{ "[account \"a\"]\nkeys = sk-ant-api03-secret\n", PLACE "keys: " BAD_KEY },
	{ "[account \"a\"]\nkeys =\n", PLACE "keys: " BAD_KEY },
	{ "[account \"a\"]\ndelay_ms = 10001\n",
	  PLACE "delay_ms: \"10001\" is out of range; allowed: 0 to 10000\n" },
	{ "[account \"a\"]\ndelay_ms = 1\ndelay_ms = 1\n",
	  "t.ini:3: [account \"a\"] delay_ms: is set twice\n" },
	{ "[account \"a\"]\nrelease_on = now\n",
	  PLACE "release_on: \"now\" is none of them; allowed: end, headers\n" },
	{ "[account \"a\"]\nkey = " KEY_1 "\n",
	  PLACE "key: there is no such option; allowed: keys, enabled, mode, delay_ms, timeout_ms, "
		"turns, interval_ms, max_waiting, max_waiting_per_share, release_on, on_limit, "
		"retry\n" },
	{ "[account \"\"]\n", "t.ini:1: " BAD_NAME },
	{ "[account \"..\"]\n", "t.ini:1: " BAD_NAME },
	{ "[account \":x\"]\ndelay_ms = 1\n", "t.ini:1: [account \":x\"] " OWN_NAME },
	{ "[account \"observe:x\"]\n", "t.ini:1: [account \"observe:x\"] " OWN_NAME },
	{ "[account \"a b\"]\ndelay_ms = x\n",
	  "t.ini:1: " BAD_NAME "t.ini:2: [account \"…\"] delay_ms: \"x\" is not a whole number; "
	  "allowed: 0 to 10000\n" },
	{ "[account \"sk-ant-api03-secret\"]\n", "t.ini:1: " BAD_NAME },
	{ "[account \"a\"]\n[account \"a\"]\ndelay_ms = x\n",
	  "t.ini:2: [account \"a\"] is there already: t.ini:1: [account \"a\"]\n"
	  "t.ini:3: [account \"a\"] delay_ms: \"x\" is not a whole number; allowed: 0 to "
	  "10000\n" },
	{ "[account a]\n",
	  "t.ini:1: [account a]: there is no such section; did you mean [account \"a\"]?\n" },
	{ "[accounts \"a\"]\nx = 1\n",
	  "t.ini:1: [accounts \"a\"]: there is no such section; did you mean [account \"a\"]?\n"
	  "t.ini:2: [account \"a\"] x: there is no such option; allowed: keys, enabled, mode, delay_ms, "
	  "timeout_ms, turns, interval_ms, max_waiting, max_waiting_per_share, release_on, on_limit, "
	  "retry\n" },
	{ "[account \"a\"]\nkeys = " KEY_1 "\n[account \"b\"]\nkeys = " KEY_2 ", " KEY_1 "\n",
	  "t.ini:3: [account \"b\"]: " KEY_1
	  " belongs to another account already: t.ini:1: [account \"a\"]\n" },
	{ "[account \"a\"]\nkeys = " KEY_1 ", " KEY_1 "\n",
	  "t.ini:1: [account \"a\"]: " KEY_1 " is there twice\n" },
	{ "[account \"" KEY_1 "\"]\n[account \"a\"]\nkeys = " KEY_1 "\n",
	  "t.ini:2: [account \"a\"]: " KEY_1 " has a section of its own: t.ini:1: [account \"" KEY_1
	  "\"]\n" },
	{ "[account]\nsource = header:x-a\n[account \"a\"]\nkeys = " KEY_1 "\n",
	  "t.ini:3: [account \"a\"]: has keys, but account.source has no api-key: they would "
	  "never count\n" },
};

static void test_wrong(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct run run = load(wrong[i].ini, NULL, NULL);

		CHECK_INT(run.result, -EINVAL);
		CHECK_STR(buf_str(&run.errors), wrong[i].errors);
		CHECK(!strstr(buf_str(&run.errors), "secret")); /* invariant 8 */
		end(&run);
	}
}

static const struct {
	const char *given, *want; /* NULL: is refused */
} lists[] = {
	{ "queue.exempt=", "" },
	{ "queue.exempt=title", "title" },
	{ "queue.exempt=probe,title , subagent,classifier,notification",
	  "probe, title, subagent, classifier, notification" },
	{ "queue.exempt=loop,compaction,auxiliary,workflow",
	  "loop, compaction, auxiliary, workflow" },
	{ "queue.exempt=header:x-goog-api-key=secret", NULL },
	{ "queue.exempt=header:X-Team-Token=secret", NULL },
	{ "queue.exempt=header:X-Kind=a b=c,model:claude-haiku-*,model:[ab]?",
	  "header:X-Kind=a b=c, model:claude-haiku-*, model:[ab]?" },
	{ "queue.exempt=titles", NULL },
	{ "queue.exempt=Title", NULL },
	{ "queue.exempt=title,,probe", NULL },
	{ "queue.exempt=header:X-Kind", NULL },
	{ "queue.exempt=header:X-Kind=", NULL },
	{ "queue.exempt=header:X Kind=a", NULL },
	{ "queue.exempt=header:=a", NULL },
	{ "queue.exempt=header:Authorization=Bearer secret", NULL },
	{ "queue.exempt=header:x-api-key=secret", NULL },
	{ "queue.exempt=model:", NULL },
	{ "queue.exempt=model:a;b", NULL },
	{ "account.trusted_proxies=", "" },
	{ "account.trusted_proxies=10.0.0.0/8,192.168.1.7,::1,unix, fd00::/8",
	  "10.0.0.0/8, 192.168.1.7, ::1, unix, fd00::/8" },
	{ "account.trusted_proxies=::ffff:10.0.0.0/104", "10.0.0.0/8" },
	{ "account.trusted_proxies=0.0.0.0/0,::/0", "0.0.0.0/0, ::/0" },
	{ "account.trusted_proxies=10.0.0.1/8", NULL },
	{ "account.trusted_proxies=10.0.0.0/33", NULL },
	{ "account.trusted_proxies=10.0.0.0/", NULL },
	{ "account.trusted_proxies=10.0.0.0/-1", NULL },
	{ "account.trusted_proxies=10.0.0/8", NULL },
	{ "account.trusted_proxies=fd00::/129", NULL },
	{ "account.trusted_proxies=localhost", NULL },
	{ "account.trusted_proxies=10.0.0.1,,::1", NULL },
	{ "account.trusted_proxies=00000000000000000000000000000000000000000000000000000001",
	  NULL },
};

static void test_lists(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct run run = load(NULL, NULL, OVER(lists[i].given));
		CLEANUP(freep)
		char *name = xstrndup(lists[i].given, strcspn(lists[i].given, "="));

		CHECK_INT(run.result, lists[i].want ? 0 : -EINVAL);
		if (run.result && lists[i].want)
			fprintf(stderr, "%s", buf_str(&run.errors));
		if (run.config && lists[i].want)
			check_value(run.config, name, lists[i].want);
		CHECK(!strstr(buf_str(&run.errors), "secret"));
		end(&run);
	}
}

static void test_trust(void)
{
	static const struct {
		const char *proxies, *client;
		bool trusted;
	} rows[] = {
		{ "", "10.1.2.3", true },
		{ "", "", true },
		{ "10.0.0.0/8", "10.255.255.255", true },
		{ "10.0.0.0/8", "11.0.0.0", false },
		{ "10.0.0.0/8", "::ffff:10.1.2.3", true },
		{ "10.0.0.0/8", "::1", false },
		{ "10.0.0.0/8", "", false },
		{ "10.0.0.0/8", "nonsense", false },
		{ "10.8.0.0/13", "10.15.0.1", true },
		{ "10.8.0.0/13", "10.16.0.1", false },
		{ "127.0.0.1", "127.0.0.1", true },
		{ "127.0.0.1", "127.0.0.2", false },
		{ "0.0.0.0/0", "8.8.8.8", true },
		{ "0.0.0.0/0", "::1", false },
		{ "::/0", "8.8.8.8", true },
		{ "::/0", "", false },
		{ "fd00::/8", "fdff::1", true },
		{ "fd00::/8", "fe00::1", false },
		{ "unix", "", true },
		{ "unix", "127.0.0.1", false },
		{ "1.2.3.4, unix, ::1", "::1", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP(freep)
		char *given = xasprintf("account.trusted_proxies=%s", rows[i].proxies);
		struct run run = load(NULL, NULL, OVER(given));

		CHECK_INT(config_trusts(run.config, rows[i].client), rows[i].trusted);
		end(&run);
	}
}

static void test_mode(void)
{
	struct run run = load(NULL, NULL, NULL);

	CHECK_INT(config_queue_mode(run.config), QUEUE_MODE_ENFORCE);
	run.config->queue.mode = QUEUE_MODE_OBSERVE;
	CHECK_INT(config_queue_mode(run.config), QUEUE_MODE_OBSERVE);
	run.config->queue.enabled = false;
	CHECK_INT(config_queue_mode(run.config), QUEUE_MODE_OFF);
	end(&run);
}

int main(void)
{
	work_begin();
	test_sections();
	test_reload();
	test_wrong();
	test_lists();
	test_trust();
	test_mode();
	work_end();
	return check_done();
}
