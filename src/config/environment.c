/*
 * environment.c - TURNSTILE_<SECTION>_<KEY>, and aliases such as REDIS_URL.
 *
 * A variable of a section of ours that is no option is an error, as a misspelt one would be
 * silently without effect. Any other TURNSTILE_ variable may be another program's: Cloudflare has a
 * product of that name (TURNSTILE_SITE_KEY), and containers are given names (TURNSTILE_NAME). These
 * are warned of. Where a Kubernetes service is called "turnstile" (or "turnstile-x"), every container
 * of its namespace finds TURNSTILE_SERVICE_HOST, TURNSTILE_PORT_8080_TCP_ADDR and the like in its
 * environment: those are passed over.
 */
#include <ctype.h>
#include <string.h>

#include "config/load.h"

static const struct span prefix = { "TURNSTILE_", 10 };

/* Splits "NAME=value"; a string without "=" is all name. */
static void split(const char *variable, struct span *ret_name, struct span *ret_value)
{
	size_t n = strcspn(variable, "=");

	*ret_name = (struct span){ variable, n };
	*ret_value = span_trim(span_of(variable + n + (variable[n] == '=')));
}

static bool lookup(char *const *environment, struct span wanted, struct span *ret)
{
	struct span name;

	for (; *environment; environment++) {
		split(*environment, &name, ret);
		if (span_eq(name, wanted))
			return true;
	}
	return false;
}

/* Names of kubelet's: …_SERVICE_HOST, …_SERVICE_PORT[_NAME], …_PORT, …_PORT_<number>_TCP[_…]. */
static bool is_service_link(struct span name)
{
	CLEANUP(freep) char *s = xstrndup(name.ptr, name.len);
	const char *p;

	if (strstr(s, "_SERVICE_HOST") || strstr(s, "_SERVICE_PORT") ||
	    span_ends(name, SPAN("_PORT")))
		return true;
	p = strstr(s, "_PORT_");
	return p && isdigit((unsigned char)p[6]);
}

/* TURNSTILE_<SECTION>_… */
static bool is_of_a_section(struct span name)
{
	struct span rest = { name.ptr + prefix.len, name.len - prefix.len };

	for (size_t i = 0; i < options_count; i++) {
		struct span section = span_of(options[i].section);

		if (rest.len > section.len && rest.ptr[section.len] == '_' &&
		    span_ieq((struct span){ rest.ptr, section.len }, section))
			return true;
	}
	return false;
}

static void unknown(struct load *l, struct span name)
{
	CLEANUP(freep) char *place = xstrndup(name.ptr, name.len);
	CLEANUP(buf_clear) struct buf hint = { 0 };

	option_suggest(OPTION_ENVIRONMENT, name, &hint);
	load_error(l, place, "there is no such option%s", buf_str(&hint));
}

bool environment_has(char *const *environment, const struct option *o)
{
	CLEANUP(buf_clear) struct buf name = { 0 };
	struct span value;

	option_name(o, OPTION_ENVIRONMENT, &name);
	return lookup(environment, buf_span(&name), &value);
}

/* An empty alias counts as not set: compose files write them so. Our own name wins over it. */
static void load_aliases(struct load *l, char *const *environment)
{
	struct span value;

	for (size_t i = 0; i < options_count; i++) {
		const struct option *o = &options[i];

		if (!o->alias || environment_has(environment, o))
			continue;
		if (lookup(environment, span_of(o->alias), &value) && value.len)
			load_value(l, o->alias, o, value);
	}
}

static void load_variable(struct load *l, struct span name, struct span value)
{
	const struct option *o = option_find(OPTION_ENVIRONMENT, name);
	CLEANUP(freep) char *place = xstrndup(name.ptr, name.len);

	if (o)
		load_value(l, place, o, value);
	else if (!is_service_link(name) && is_of_a_section(name))
		unknown(l, name);
}

void load_environment(struct load *l, char *const *environment)
{
	struct span name, value;

	load_aliases(l, environment);
	for (; *environment; environment++) {
		split(*environment, &name, &value);
		if (span_starts(name, prefix))
			load_variable(l, name, value);
	}
}

static bool is_foreign(struct span name)
{
	return span_starts(name, prefix) && !is_service_link(name) && !is_of_a_section(name);
}

/* A relay's queue that goes on at the headers waits no longer. */
enum { RELAYS_TIMEOUT_MS = 10000 };

/* The alias of an option, if that is what its value comes from. */
static bool lookup_alias(char *const *environment, const char *option, struct span *ret)
{
	const struct option *o = option_find(OPTION_DOTTED, span_of(option));

	return !environment_has(environment, o) && lookup(environment, span_of(o->alias), ret) &&
	       ret->len;
}

/* A relay's .env, which turnstile shares: its queue is another one. */
static void advise_aliases(char *const *environment, struct buf *to)
{
	struct span value;

	if (lookup_alias(environment, "queue.enabled", &value) && span_ieq(value, SPAN("false")))
		buf_puts(
			to,
			"USER_MESSAGE_QUEUE_ENABLED: nothing queues here either; if that is meant for "
			"the relay alone, set TURNSTILE_QUEUE_ENABLED=true\n");
	if (lookup_alias(environment, "queue.timeout_ms", &value) &&
	    strtoll(value.ptr, NULL, 10) < RELAYS_TIMEOUT_MS)
		buf_puts(
			to,
			"USER_MESSAGE_QUEUE_TIMEOUT_MS is so short as a relay has it that gives a turn "
			"back at the headers; here a turn lasts until the response's end: leave it "
			"away, or set TURNSTILE_QUEUE_TIMEOUT_MS\n");
}

void advise_environment(char *const *environment, struct buf *to)
{
	struct span name, value;
	size_t count = 0;

	advise_aliases(environment, to);
	for (; *environment; environment++) {
		CLEANUP(buf_clear) struct buf hint = { 0 };

		split(*environment, &name, &value);
		if (!is_foreign(name))
			continue;
		buf_puts(to, count++ ? ", " : "");
		load_escape(name, to);
		option_suggest(OPTION_ENVIRONMENT, name, &hint);
		if (hint.len)
			buf_printf(to, " (%s)", buf_str(&hint) + strlen("; "));
	}
	if (count)
		buf_printf(to, ": no option%s of turnstile, so without effect\n",
			   count > 1 ? "s" : "");
}
