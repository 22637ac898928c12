/*
 * test_config_reload.c - every option at another value than its default: what is printed can be
 * loaded again, and reloading changes it or says why not.
 */
#include <errno.h>

#include "config_run.h"

/*
 * A value of each option that isn't its default. Without admin.token: what is printed of it is no
 * token, so that no file ever sets one that everybody knows; see test_opaque().
 */
static const char *const other_values[] = {
	"listen.address=[::]:1",
	"listen.tls_cert=/dev/null",
	"listen.tls_key=/dev/null",
	"listen.takeover=/run/t",
	"listen.line_path=/line",
	"listen.max_connections=7",
	"listen.max_connections_per_address=9",
	"listen.max_header_bytes=2KiB",
	"listen.max_headers=9",
	"listen.max_target_bytes=2KiB",
	"listen.header_timeout_ms=714",
	"listen.min_rate_bytes_s=713",
	"listen.body_timeout_ms=7130",
	"listen.body_rate_bytes_s=7131",
	"listen.idle_timeout_ms=701",
	"listen.stall_timeout_ms=702",
	"listen.drain_timeout_ms=703",
	"listen.retire_timeout_ms=715",
	"listen.max_body_bytes=5KiB",
	"listen.max_buffered_bytes=2GiB",
	"listen.max_buffered_share=71",
	"upstream.url=https://h:1/p",
	"upstream.unix_socket=/run/r",
	"upstream.connect_timeout_ms=704",
	"upstream.connect_retry_ms=718",
	"upstream.request_timeout_ms=705",
	"upstream.max_header_bytes=9KiB",
	"upstream.finish_abandoned=true",
	"upstream.keepalive_ms=716",
	"upstream.keepalive_timeout_ms=1717",
	"upstream.host=client",
	"upstream.tls_verify=false",
	"upstream.ca_file=/dev/null",
	"upstream.proxy=http://p:1",
	"queue.enabled=false",
	"queue.mode=observe",
	"queue.delay_ms=706",
	"queue.timeout_ms=7007",
	"queue.heartbeat_after_ms=718",
	"queue.heartbeat_ms=719",
	"queue.client_budget=false",
	"queue.lock_ttl_ms=7008",
	"queue.max_hold_ms=709",
	"queue.order=arrival",
	"queue.share_by=client, header:x-b",
	"queue.yield=compaction",
	"queue.yield_rounds=7",
	"queue.turns=9",
	"queue.interval_ms=716",
	"queue.max_waiting=8",
	"queue.max_waiting_per_share=6",
	"queue.keep_place_ms=717",
	"queue.paths=/a, /b",
	"queue.exempt=title, header:x-a=b, model:c*",
	"queue.release_on=headers",
	"queue.on_lock_lost=abort",
	"queue.on_limit=quota",
	"queue.retry=overloaded",
	"queue.on_backend_error=local",
	"queue.startup_cleanup=off",
	"queue.cleanup_interval_ms=7010",
	"account.source=header:x-a, static:b",
	"account.trusted_proxies=10.0.0.0/8, unix",
	"redis.url=redis://h:1",
	"redis.key_prefix=p",
	"redis.instance=some-other.instance",
	"redis.command_timeout_ms=711",
	"redis.outage_ms=7012",
	"redis.max_accounts=7013",
	"redis.cluster=true",
	"redis.ca_file=/dev/null",
	"redis.cert_file=/dev/null",
	"redis.key_file=/dev/null",
	"admin.address=127.0.0.1:1",
	"admin.metrics_accounts=712",
	"admin.webhook_format=slack",
	"admin.webhook_line=3",
	"log.level=error",
	"log.format=json",
	NULL,
};

/* One of them alone, but for TLS, which takes two. */
static struct run load_other(size_t i)
{
	bool is_tls = span_starts(span_of(other_values[i]), SPAN("listen.tls_"));
	const char *both[] = { other_values[i], is_tls ? "listen.tls_cert=/dev/null" : NULL,
			       is_tls ? "listen.tls_key=/dev/null" : NULL, NULL };

	return load(NULL, NULL, both);
}

/* All but those that are shown as "***". */
static size_t printed_options(void)
{
	size_t n = 0;

	for (size_t i = 0; i < options_count; i++)
		n += !(options[i].flags & OPTION_OPAQUE);
	return n;
}

/* What is printed can be loaded, and is the same: at the defaults, and with all else than them. */
static void test_round_trip(void)
{
	const char *const *const givens[] = { NULL, other_values };

	CHECK_INT(ARRAY_SIZE(other_values) - 1, printed_options());
	for (size_t i = 0; i < ARRAY_SIZE(givens); i++) {
		struct run first = load(NULL, NULL, givens[i]), second;
		CLEANUP(freep) char *text = NULL, *again = NULL;

		CHECK_STR(buf_str(&first.errors), "");
		text = printed(first.config);
		second = load(text, NULL, NULL);
		CHECK_STR(buf_str(&second.errors), "");
		again = printed(second.config);
		CHECK_STR(again, text);
		end(&first);
		end(&second);
	}
	for (size_t i = 0; other_values[i]; i++) {
		struct run run = load_other(i);
		CLEANUP(freep)
		char *name = xstrndup(other_values[i], strcspn(other_values[i], "="));
		CLEANUP(freep) char *got = NULL;

		CHECK_STR(buf_str(&run.errors), "");
		got = value_of(run.config, name);
		CHECK_STR(got, other_values[i] + strlen(name) + 1);
		CHECK(strcmp(got, option_find(OPTION_DOTTED, span_of(name))->preset) != 0);
		end(&run);
	}
}

static void test_reload(void)
{
	struct run live = load(NULL, NULL, OVER("redis.url=redis://:s3cret@h"));
	struct run fresh =
		load(NULL, NULL,
		     OVER("redis.url=redis://:s3cret@h", "queue.delay_ms=9",
			  "account.source=static:x", "queue.paths=/x", "log.level=debug"));
	CLEANUP(freep) char *before = NULL, *after = NULL;
	struct buf errors = { 0 };

	CHECK_INT(config_reload(live.config, steal(&fresh.config), &errors), 0);
	CHECK_STR(buf_str(&errors), "");
	check_value(live.config, "queue.delay_ms", "9");
	check_value(live.config, "account.source", "static:x");
	check_value(live.config, "queue.paths", "/x");
	CHECK_INT(live.config->log.level, LOG_DEBUG);
	end(&fresh);

	/* One option that can't change keeps all others from changing. */
	before = printed(live.config);
	fresh = load(
		NULL, NULL,
		OVER("redis.url=redis://:s3cret2@h", "listen.address=h:1", "queue.delay_ms=1"));
	CHECK_INT(config_reload(live.config, steal(&fresh.config), &errors), -EINVAL);
	CHECK_STR(buf_str(&errors),
		  "listen.address: can't change while running, from \"127.0.0.1:8080\" to "
		  "\"h:1\"; restart to change it\n"
		  "redis.url: can't change while running, from \"redis://:***@h\" to "
		  "\"redis://:***@h\"; restart to change it\n");
	after = printed(live.config);
	CHECK_STR(after, before);
	end(&fresh);
	end(&live);
	buf_clear(&errors);
}

/* Exactly these change at run time, as config.h and the sample file say. */
static void test_reloadable(void)
{
	static const char *const fixed[] = {
		"listen.address",
		"listen.max_connections",
		"upstream.url",
		"upstream.max_header_bytes",
		"listen.max_header_bytes",
		"listen.max_headers",
		"upstream.host",
		"upstream.tls_verify",
		"upstream.ca_file",
		"upstream.proxy",
		"queue.startup_cleanup",
		"redis.url",
		"redis.key_prefix",
		"redis.instance",
		"redis.command_timeout_ms",
		"redis.cluster",
		"redis.ca_file",
		"redis.cert_file",
		"redis.key_file",
		"admin.address",
		"admin.metrics_accounts",
		"listen.takeover",
		"upstream.unix_socket",
		"listen.tls_cert",
		"listen.tls_key", /* on or off; others: test_config_values.c */
	};

	for (size_t i = 0; other_values[i]; i++) {
		struct run live = load(NULL, NULL, NULL);
		struct run fresh = load_other(i);
		struct buf errors = { 0 };
		bool is_fixed = false;

		for (size_t j = 0; j < ARRAY_SIZE(fixed); j++)
			is_fixed |= span_starts(span_of(other_values[i]), span_of(fixed[j])) &&
				    other_values[i][strlen(fixed[j])] == '=';
		CHECK_INT(config_reload(live.config, steal(&fresh.config), &errors),
			  is_fixed ? -EINVAL : 0);
		CHECK_INT(errors.len != 0, is_fixed);
		end(&live);
		end(&fresh);
		buf_clear(&errors);
	}
}

int main(void)
{
	work_begin();
	test_round_trip();
	test_reload();
	test_reloadable();
	work_end();
	return check_done();
}
