/*
 * test_runtime.c - settings made while running: on top of what is configured, and gone without
 * trace.
 */
#include <errno.h>

#include "config/runtime.h"
#include "config_run.h"

static char *effective(const struct runtime *r, const char *account)
{
	struct buf text = { 0 };

	for (int f = 0; f < RUNTIME_COUNT; f++) {
		buf_puts(&text, f ? " " : "");
		runtime_effective(r, account, f, &text);
	}
	return (char *)buf_str(&text);
}

static void check_effective(const struct runtime *r, const char *account, const char *want)
{
	CLEANUP(freep) char *got = effective(r, account);

	CHECK_STR(got, want);
}

static void test_layers(void)
{
	struct run run = load("[queue]\ndelay_ms = 300\n[account \"team\"]\ntimeout_ms = 9000\n",
			      NULL, NULL);
	struct runtime *r = runtime_new(run.config);
	const struct runtime_setting some[] = {
		{ "delayMs", "5" },          { "timeoutMs", "8000" }, { "a@b:c/delayMs", "7" },
		{ "team/enabled", "false" }, { "team/turns", "64" },
	};

	check_effective(r, NULL, "true enforce 300 280000 1");
	CHECK_INT(runtime_replace(r, some, ARRAY_SIZE(some)), 0);
	check_effective(r, NULL, "true enforce 5 8000 1");
	check_effective(r, "other", "true enforce 5 8000 1");
	check_effective(r, "a@b:c", "true enforce 7 8000 1");
	check_effective(r, "team",
			"false off 5 9000 64"); /* its section is more special than "all" */
	CHECK_INT(run.config->queue.delay_ms, 5);
	CHECK_STR(runtime_get(r, "a@b:c", RUNTIME_DELAY), "7");
	CHECK(!runtime_get(r, "a@b:c", RUNTIME_TIMEOUT));

	CHECK_INT(runtime_replace(r, some + 1, 1), 0);
	check_effective(r, "a@b:c", "true enforce 300 8000 1");
	CHECK_INT(runtime_replace(r, NULL, 0), 0);
	check_effective(r, "team", "true enforce 300 9000 1");
	check_effective(r, NULL, "true enforce 300 280000 1");
	runtime_free(r);
	end(&run);
}

/* Disabled for all is disabled for each. */
static void test_enabled(void)
{
	struct run run = load(NULL, NULL, NULL);
	struct runtime *r = runtime_new(run.config);
	const struct runtime_setting some[] = { { "enabled", "false" }, { "a/enabled", "true" } };

	CHECK_INT(runtime_replace(r, some, 2), 0);
	check_effective(r, NULL, "false off 200 280000 1");
	check_effective(r, "a", "false off 200 280000 1");
	runtime_free(r);
	end(&run);
}

/* Some accounts are enforced while all else is observed, or the other way round. */
static void test_mode(void)
{
	struct run run =
		load("[queue]\nmode = observe\n[account \"team\"]\nmode = off\n", NULL, NULL);
	struct runtime *r = runtime_new(run.config);
	const struct runtime_setting one[] = { { "a/mode", "enforce" } },
				     all[] = { { "mode", "enforce" }, { "a/mode", "observe" } },
				     none[] = { { "mode", "off" }, { "a/mode", "enforce" } };

	CHECK(!config_enforces(run.config));
	check_effective(r, NULL, "true observe 200 280000 1");
	check_effective(r, "team", "false off 200 280000 1");
	CHECK_INT(runtime_replace(r, one, 1), 0);
	CHECK(config_enforces(run.config));
	check_effective(r, "a", "true enforce 200 280000 1");
	check_effective(r, "b", "true observe 200 280000 1");
	CHECK_INT(runtime_replace(r, all, 2), 0);
	check_effective(r, "a", "true observe 200 280000 1");
	check_effective(r, "b", "true enforce 200 280000 1");
	CHECK_INT(runtime_replace(r, none, 2), 0);
	check_effective(r, "a", "false off 200 280000 1");
	CHECK(!config_enforces(run.config));
	runtime_free(r);
	end(&run);
}

static void test_reload(void)
{
	struct run run = load(NULL, NULL, NULL),
		   fresh = load("[queue]\ndelay_ms = 400\n", NULL, NULL);
	struct runtime *r = runtime_new(run.config);
	const struct runtime_setting some[] = { { "timeoutMs", "5000" } };
	struct buf errors = { 0 };

	CHECK_INT(runtime_replace(r, some, 1), 0);
	CHECK_INT(config_reload(run.config, fresh.config, &errors), 0);
	fresh.config = NULL;
	runtime_reloaded(r);
	check_effective(r, NULL, "true enforce 400 5000 1");
	CHECK_INT(runtime_replace(r, NULL, 0), 0);
	check_effective(r, NULL, "true enforce 400 280000 1");
	runtime_free(r);
	end(&run);
	end(&fresh);
}

/* Settings of later versions, or put there by hand. */
static void test_strange(void)
{
	struct run run = load(NULL, NULL, NULL);
	struct runtime *r = runtime_new(run.config);
	const struct runtime_setting some[] = {
		{ "delayMs", "10001" }, { "delayMs", "" },    { "enabled", "maybe" },
		{ "nonsense", "1" },    { "/delayMs", "1" },  { "a b/delayMs", "1" },
		{ "a/b/delayMs", "1" }, { "timeoutMs", "x" }, { "", "" },
		{ "a/enabled", "off" },
	};

	CHECK_INT(runtime_replace(r, some, ARRAY_SIZE(some)), ARRAY_SIZE(some) - 1);
	check_effective(r, NULL, "true enforce 200 280000 1");
	check_effective(r, "a", "false off 200 280000 1");
	CHECK_STR(runtime_get(r, "a", RUNTIME_ENABLED), "false");
	runtime_free(r);
	end(&run);
}

static void test_check(void)
{
	static const struct {
		enum runtime_field field;
		const char *value, *why;
	} cases[] = {
		{ RUNTIME_DELAY, "0", "" },
		{ RUNTIME_DELAY, "10000", "" },
		{ RUNTIME_DELAY, "-1", "\"-1\" is out of range; allowed: 0 to 10000" },
		{ RUNTIME_DELAY, "10001", "\"10001\" is out of range; allowed: 0 to 10000" },
		{ RUNTIME_TIMEOUT, "1000", "" },
		{ RUNTIME_TIMEOUT, "300000", "" },
		{ RUNTIME_TIMEOUT, "999", "\"999\" is out of range; allowed: 1000 to 86400000" },
		{ RUNTIME_TIMEOUT, "86400001",
		  "\"86400001\" is out of range; allowed: 1000 to 86400000" },
		{ RUNTIME_ENABLED, "true", "" },
		{ RUNTIME_ENABLED, "2", "\"2\" is neither; allowed: true or false" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP(buf_clear) struct buf why = { 0 };
		int r = runtime_check(cases[i].field, span_of(cases[i].value), &why);

		CHECK_INT(r, cases[i].why[0] ? -EINVAL : 0);
		CHECK_STR(buf_str(&why), cases[i].why);
	}
}

int main(void)
{
	test_layers();
	test_enabled();
	test_mode();
	test_reload();
	test_strange();
	test_check();
	return check_done();
}
