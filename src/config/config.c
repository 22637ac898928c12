/*
 * config.c - loading and reloading: one pass over the sources, each overriding those before.
 *
 *      defaults ──> file ──> environment ──> -o ──> derived values ──> checks between options
 *
 * Nothing stops at an error: each is noted with its place, so that one run shows them all.
 */
#include "config/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "config/accounts.h"
#include "config/forms.h"
#include "config/load.h"
#include "config/shares.h"
#include "config/values.h"

void load_escape(struct span s, struct buf *to)
{
	CLEANUP(buf_clear) struct buf quoted = { 0 };

	buf_json(&quoted, s);
	for (const char *p = quoted.data + 1; p < quoted.data + quoted.len - 1; p++) {
		if (p[0] == '\\' && p[1] == '"')
			p++; /* nothing ends at a quote here */
		buf_append(to, p, 1);
		if (p[0] == '\\')
			buf_append(to, ++p, 1);
	}
}

void load_error(struct load *l, const char *place, const char *format, ...)
{
	va_list args;
	char *message;

	va_start(args, format);
	must(vasprintf(&message, format, args) >= 0);
	va_end(args);
	load_escape(span_of(place), l->errors);
	buf_printf(l->errors, ": %s\n", message);
	free(message);
	l->failed = true;
}

void load_value(struct load *l, const char *place, const struct option *o, struct span text)
{
	CLEANUP(buf_clear) struct buf why = { 0 };
	bool derived = o->derive && span_eq(text, span_of(o->preset));

	l->given[option_index(o)] = !derived;
	if (derived || o->type->parse(o, text, option_slot(o, l->config), &why) == 0)
		return;
	l->wrong[option_index(o)] = true;
	buf_puts(&why, "; allowed: ");
	o->type->allowed(o, &why);
	load_error(l, place, "%s", buf_str(&why));
}

static bool is_right(const struct load *l, const void *member)
{
	size_t i = 0;

	while (option_slot(&options[i], l->config) != member)
		must(++i < options_count);
	return !l->wrong[i];
}

bool load_right(const struct load *l, const void *const *members)
{
	for (; *members; members++) {
		if (!is_right(l, *members))
			return false;
	}
	return true;
}

static void load_override(struct load *l, const char *text)
{
	size_t n = strcspn(text, "=");
	struct span name = span_trim((struct span){ text, n });
	CLEANUP(freep) char *place = xasprintf("-o %.*s", SPAN_ARG(name));
	const struct option *o = option_find(OPTION_DOTTED, name);
	CLEANUP(buf_clear) struct buf hint = { 0 };

	if (!o) {
		option_suggest(OPTION_DOTTED, name, &hint);
		load_error(l, place, "there is no such option%s", buf_str(&hint));
	} else if (!text[n]) {
		load_error(l, place, "has no value; write -o %s.%s=VALUE", o->section, o->key);
	} else {
		load_value(l, place, o, span_trim(span_of(text + n + 1)));
	}
}

void load_overrides(struct load *l, const char *const *overrides)
{
	for (; *overrides; overrides++)
		load_override(l, *overrides);
}

bool config_is_given(const struct config_sources *sources, const char *option)
{
	const char *const *o = sources->overrides;
	size_t len = strlen(option);

	while (o && *o && (strncmp(*o, option, len) || (*o)[len] != '='))
		o++;
	return (o && *o) ||
	       (sources->environment &&
		environment_has(sources->environment, option_find(OPTION_DOTTED, span_of(option))));
}

static void load_presets(struct load *l)
{
	for (size_t i = 0; i < options_count; i++) {
		if (!options[i].derive)
			load_value(l, "default", &options[i], span_of(options[i].preset));
	}
	must(!l->failed);
}

static void derive(struct load *l)
{
	for (size_t i = 0; i < options_count; i++) {
		if (options[i].derive && !l->given[i])
			options[i].derive(l->config);
	}
}

/* What no single option can check. Nothing is concluded from a value that is wrong by itself. */
static void check_listen(struct load *l)
{
	const struct config *c = l->config;

	if (LOAD_RIGHT(l, &c->listen.tls_cert, &c->listen.tls_key) &&
	    !c->listen.tls_cert[0] != !c->listen.tls_key[0])
		load_error(l, c->listen.tls_cert[0] ? "listen.tls_key" : "listen.tls_cert",
			   "is empty; TLS needs a certificate and its key");
	if (LOAD_RIGHT(l, &c->listen.max_buffered_bytes, &c->listen.max_body_bytes) &&
	    c->listen.max_buffered_bytes < c->listen.max_body_bytes)
		load_error(l, "listen.max_buffered_bytes",
			   "%" PRId64 " bytes are less than listen.max_body_bytes, %" PRId64,
			   c->listen.max_buffered_bytes, c->listen.max_body_bytes);
}

static void check_admin(struct load *l)
{
	const struct config *c = l->config;

	bool right = LOAD_RIGHT(l, &c->admin.token, &c->admin.tokens);

	if (right && LOAD_RIGHT(l, &c->admin.address) && c->admin.address[0] &&
	    !c->admin.token[0] && !c->admin.tokens->name &&
	    !form_is_loopback(span_of(c->admin.address)))
		load_error(l, "admin.token",
			   "is empty, but others can reach admin.address; set a token, or an "
			   "address on loopback such as 127.0.0.1:8081");
	for (const struct admin_token *t = c->admin.tokens; right && t->name; t++) {
		if (!strcmp(t->secret, c->admin.token))
			load_error(l, "admin.tokens",
				   "%s has admin.token's secret; give it one of its own", t->name);
	}
	if (LOAD_RIGHT(l, &c->admin.address, &c->listen.address) &&
	    !strcmp(c->listen.address, c->admin.address) &&
	    !span_ends(span_of(c->listen.address), SPAN(":0")))
		load_error(l, "admin.address", "is listen.address too; give it one of its own");
}

static void check_together(struct load *l)
{
	const struct config *c = l->config;

	accounts_check(l);
	shares_check(l);
	check_listen(l);
	check_admin(l);
	if (LOAD_RIGHT(l, &c->queue.timeout_ms, &c->queue.heartbeat_after_ms) &&
	    c->queue.timeout_ms > CONFIG_QUIET_MAX_MS && !c->queue.heartbeat_after_ms)
		load_error(l, "queue.timeout_ms",
			   "%" PRId64 " is longer than clients wait in silence; set "
			   "queue.heartbeat_after_ms, or %d at most",
			   c->queue.timeout_ms, CONFIG_QUIET_MAX_MS);
	if (LOAD_RIGHT(l, &c->redis.cluster, &c->redis.url) && c->redis.cluster &&
	    !form_suits_cluster(span_of(c->redis.url)))
		load_error(l, "redis.cluster",
			   "is on, but redis.url names a database or sentinels, and a cluster has "
			   "neither");
}

int config_read(const struct config_sources *sources, struct buf *errors, struct config **ret)
{
	struct config *c = *ret = xcalloc(1, sizeof *c);
	CLEANUP(freep) bool *given = xcalloc(options_count, sizeof *given);
	CLEANUP(freep) bool *wrong = xcalloc(options_count, sizeof *wrong);
	struct load l = { .config = c, .errors = errors, .given = given, .wrong = wrong };
	int r = 0;

	load_presets(&l);
	if (sources->file)
		r = load_file(&l, sources->file);
	if (sources->environment)
		load_environment(&l, sources->environment);
	if (sources->overrides)
		load_overrides(&l, sources->overrides);
	derive(&l);
	check_together(&l);
	return r < 0 ? r : l.failed ? -EINVAL : 0;
}

int config_load(const struct config_sources *sources, struct buf *errors, struct config **ret)
{
	CLEANUP(config_freep) struct config *c = NULL;
	int r = config_read(sources, errors, &c);

	if (!r)
		*ret = steal(&c);
	return r;
}

static bool differs(const struct option *o, const struct config *a, const struct config *b)
{
	CLEANUP(buf_clear) struct buf in_a = { 0 }, in_b = { 0 };

	o->type->print(o, option_slot(o, a), &in_a);
	o->type->print(o, option_slot(o, b), &in_b);
	return !span_eq(buf_span(&in_a), buf_span(&in_b));
}

static void refuse_change(const struct option *o, const struct config *live,
			  const struct config *fresh, struct buf *errors)
{
	buf_printf(errors, "%s.%s: can't change while running, from \"", o->section, o->key);
	value_show(o, option_slot(o, live), errors);
	buf_puts(errors, "\" to \"");
	value_show(o, option_slot(o, fresh), errors);
	buf_puts(errors, "\"; restart to change it\n");
}

static void swap(const struct option *o, struct config *a, struct config *b)
{
	unsigned char spare[sizeof(int64_t)];
	void *in_a = option_slot(o, a), *in_b = option_slot(o, b);

	must(o->type->size <= sizeof spare);
	memcpy(spare, in_a, o->type->size);
	memcpy(in_a, in_b, o->type->size);
	memcpy(in_b, spare, o->type->size);
}

/* Another certificate is fine; another protocol on the same port isn't. */
static bool refuse_tls_change(const struct config *live, const struct config *fresh,
			      struct buf *errors)
{
	if (!live->listen.tls_cert[0] == !fresh->listen.tls_cert[0])
		return false;
	buf_puts(errors, "listen.tls_cert: TLS can't be switched on or off while running; restart "
			 "to change it\n");
	return true;
}

int config_reload(struct config *live, struct config *fresh, struct buf *errors)
{
	bool refused = refuse_tls_change(live, fresh, errors);

	for (size_t i = 0; i < options_count; i++) {
		if ((options[i].flags & OPTION_RELOADABLE) || !differs(&options[i], live, fresh))
			continue;
		refuse_change(&options[i], live, fresh, errors);
		refused = true;
	}
	for (size_t i = 0; i < options_count && !refused; i++) {
		if (differs(&options[i], live, fresh))
			swap(&options[i], live, fresh);
	}
	if (!refused) {
		accounts_swap(live, fresh);
		shares_swap(live, fresh);
		live->file_digest = fresh->file_digest;
	}
	config_free(fresh);
	return refused ? -EINVAL : 0;
}

void config_overruled(const struct config_sources *sources, const struct config *live,
		      struct buf *to)
{
	CLEANUP(config_freep) struct config *file = xcalloc(1, sizeof *file);
	CLEANUP(freep) bool *given = xcalloc(options_count, sizeof *given);
	CLEANUP(freep) bool *wrong = xcalloc(options_count, sizeof *wrong);
	CLEANUP(buf_clear) struct buf errors = { 0 };
	struct load l = { .config = file, .errors = &errors, .given = given, .wrong = wrong };

	load_presets(&l);
	memset(given, 0, options_count * sizeof *given); /* so that it tells of the file alone */
	if (!sources->file || load_file(&l, sources->file) < 0 || l.failed)
		return;
	for (size_t i = 0; i < options_count; i++) {
		if (given[i] && differs(&options[i], file, live))
			buf_printf(to, "%s.%s\n", options[i].section, options[i].key);
	}
}

uint64_t config_digest(struct span text)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < text.len; i++)
		h = (h ^ (unsigned char)text.ptr[i]) * UINT64_C(0x100000001b3);
	return h ? h : 1;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	accounts_free(c);
	shares_free(c);
	for (size_t i = 0; i < options_count; i++) {
		if (options[i].type->clear)
			options[i].type->clear(option_slot(&options[i], c));
	}
	free(c);
}

void config_freep(struct config **c)
{
	config_free(*c);
	*c = NULL;
}
