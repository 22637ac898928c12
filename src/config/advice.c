#include "config/advice.h"

#include <ctype.h>
#include <fnmatch.h>
#include <string.h>

#include "config/accounts.h"
#include "config/forms.h"
#include "config/load.h"

enum {
	FIRST_BYTE_MS = 300000, /* Claude Code and SDKs on Node.js wait no longer for it */
	CLASSIFIER_MS = 60000,  /* nor Claude Code's auto mode, before each tool call */
	MARGIN_MS = 5000,       /* for the upstream's own answer */
};

/* Host and port of "host:port", "[v6]:port" or an http URL; the port as a number in a text. */
struct place {
	struct span host, port;
};

static struct place place_of(struct span authority, struct span preset_port)
{
	struct place p = { authority, preset_port };

	for (size_t i = authority.len; i && authority.ptr[i - 1] != ']'; i--) {
		if (authority.ptr[i - 1] != ':')
			continue;
		p.host = (struct span){ authority.ptr, i - 1 };
		p.port = (struct span){ authority.ptr + i, authority.len - i };
		break;
	}
	return p;
}

static struct place place_of_url(const char *url)
{
	const char *authority = strstr(url, "://") + 3;

	return place_of((struct span){ authority, strcspn(authority, "/") },
			strncasecmp(url, "https:", 6) ? SPAN("80") : SPAN("443"));
}

static bool is_any_host(struct span host)
{
	return !host.len || span_eq(host, SPAN("0.0.0.0")) || span_eq(host, SPAN("[::]"));
}

static bool is_here(struct span host)
{
	CLEANUP(buf_clear) struct buf address = { 0 };

	buf_printf(&address, "%.*s:0", SPAN_ARG(host));
	return is_any_host(host) || form_is_loopback(buf_span(&address));
}

/* Whether who connects to `to` gets to who listens at `address`. */
static bool leads_to(struct place to, const char *address)
{
	struct place at;

	if (!strncmp(address, "unix:", 5) || !address[0])
		return false;
	at = place_of(span_of(address), SPAN(""));
	return span_eq(to.port, at.port) && !span_eq(at.port, SPAN("0")) &&
	       (span_ieq(to.host, at.host) || (is_here(to.host) && is_here(at.host)));
}

static void about_upstream(const struct config *c, struct buf *to)
{
	const char *path = c->upstream.unix_socket;
	struct place place = place_of_url(c->upstream.url);
	const struct {
		const char *name, *address;
	} own[] = { { "listen.address", c->listen.address },
		    { "admin.address", c->admin.address } };

	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		bool is_path = path[0] && !strncmp(own[i].address, "unix:", 5) &&
			       !strcmp(own[i].address + 5, path);

		if (is_path ||
		    (!path[0] && !c->upstream.proxy[0] && leads_to(place, own[i].address)))
			buf_printf(to, "upstream.%s leads to our own %s: set it to the relay\n",
				   path[0] ? "unix_socket" : "url", own[i].name);
	}
	if (span_ends(span_of(c->upstream.url), SPAN("/v1")) ||
	    span_ends(span_of(c->upstream.url), SPAN("/v1/messages")))
		buf_puts(
			to,
			"upstream.url ends with a part of the API's own path, which is appended to "
			"it: leave /v1 and what is behind it away\n");
	if (!strncasecmp(c->upstream.url, "https:", 6) && !c->upstream.tls_verify)
		buf_puts(to, "upstream.tls_verify = false: whoever is on the way can read keys and "
			     "prompts; set upstream.ca_file instead\n");
}

static bool has_source(const struct config *c, enum account_source_kind kind)
{
	const struct account_source *s = c->account.source;

	while (s->kind != ACCOUNT_NONE && s->kind != kind)
		s++;
	return s->kind == kind;
}

static bool exempts(const struct config *c, enum mark_kind kind)
{
	const struct mark_rule *r = c->queue.exempt;

	while (r->kind != MARK_NONE && r->kind != kind)
		r++;
	return r->kind == kind;
}

static void about_accounts(const struct config *c, struct buf *to)
{
	bool is_open = config_trusts_all(c) && !form_is_loopback(span_of(c->listen.address));

	if (has_source(c, ACCOUNT_API_KEY) && !has_source(c, ACCOUNT_ACCOUNT_UUID) &&
	    span_ieq(place_of_url(c->upstream.url).host, SPAN("api.anthropic.com")))
		buf_puts(to, "account.source: subscribers' tokens are renewed, so one's account "
			     "changes its name with them; for the API itself, "
			     "metadata.account_uuid, api-key is lasting\n");
	if (has_source(c, ACCOUNT_HEADER) && is_open)
		buf_puts(to, "account.source takes a header from anybody who can reach "
			     "listen.address; set account.trusted_proxies\n");
	if (exempts(c, MARK_HEADER) && is_open)
		buf_puts(to, "queue.exempt takes a header from anybody who can reach "
			     "listen.address; set account.trusted_proxies\n");
}

static void about_waiting(const struct config *c, struct buf *to)
{
	int64_t first_ms = c->queue.heartbeat_after_ms;

	if (first_ms > FIRST_BYTE_MS - MARGIN_MS)
		buf_puts(to, "queue.heartbeat_after_ms: Claude Code hangs up after 300 s without a "
			     "byte; set it well below 300000\n");
	if (!first_ms && c->queue.timeout_ms > FIRST_BYTE_MS - MARGIN_MS)
		buf_puts(to, "queue.timeout_ms: Claude Code hangs up after 300 s without a byte; "
			     "set it well below 300000, so that who waits hears why\n");
	else if (c->queue.timeout_ms > CLASSIFIER_MS && !exempts(c, MARK_CLASSIFIER))
		buf_puts(to, "queue.timeout_ms: Claude Code's auto mode denies a tool call whose "
			     "classifier had no answer for 60 s; set 60000 or less, or let the "
			     "classifier pass by queue.exempt\n");
}

/* Names that many machines have; and what a container is called by if nobody names it. */
static bool is_generic(const char *instance)
{
	static const char *const names[] = { "localhost",
					     "localhost.localdomain",
					     "turnstile",
					     "debian",
					     "ubuntu",
					     "raspberrypi",
					     "[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]"
					     "[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!fnmatch(names[i], instance, 0))
			return true;
	}
	return false;
}

static void about_redis(const struct config *c, struct buf *to)
{
	if (c->redis.url[0] && is_generic(c->redis.instance))
		buf_printf(to,
			   "redis.instance is \"%s\", which isn't a lasting name of one process of "
			   "the fleet: give each its own\n",
			   c->redis.instance);
}

void config_advise(const struct config *c, const struct config_sources *sources, struct buf *to)
{
	if (sources->environment)
		advise_environment(sources->environment, to);
	about_upstream(c, to);
	about_accounts(c, to);
	if (config_enforces(c))
		about_waiting(c, to);
	about_redis(c, to);
}
