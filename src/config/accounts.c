/*
 * accounts.c - the sections [account "NAME"]: reading them, and what they make of [queue].
 *
 * What a section may override are rows of the option table: one row here names the option, whose
 * type, range and words then hold for the section as well.
 */
#include "config/accounts.h"

#include <errno.h>

#include "config/addresses.h"
#include "config/forms.h"
#include "config/load.h"
#include "config/names.h"
#include "config/runtime.h"
#include "config/values.h"

#define OVERRIDE(member)                                                                       \
	{                                                                                      \
#member, "queue." #member, offsetof(struct account_terms, member),             \
			offsetof(struct config, queue.member),                                 \
			sizeof(((struct account_terms *)0)->member) +                          \
				0 * sizeof(char[__builtin_types_compatible_p(                  \
							__typeof__(((struct config *)0)        \
									   ->queue.member),    \
							__typeof__(((struct account_terms *)0) \
									   ->member))          \
							? 1                                    \
							: -1])                                 \
	}
static const struct {
	const char *key, *option;
	size_t in_terms, in_config, size; /* where the value is, and how large */
} overrides[] = {
	OVERRIDE(enabled),     OVERRIDE(mode),
	OVERRIDE(delay_ms),    OVERRIDE(timeout_ms),
	OVERRIDE(turns),       OVERRIDE(interval_ms),
	OVERRIDE(max_waiting), OVERRIDE(max_waiting_per_share),
	OVERRIDE(release_on),  OVERRIDE(on_limit),
	OVERRIDE(retry),
};

struct enforced {
	const struct config *config;
	bool any;
};

struct account_section {
	char *name;
	char *place; /* FILE:LINE: [account "NAME"] */
	char **keys; /* see names.h */
	struct account_terms terms;
	bool given[ARRAY_SIZE(overrides)];
};

static void *slot(struct account_terms *terms, size_t row)
{
	return (char *)terms + overrides[row].in_terms;
}

static const struct option *option_of(size_t row)
{
	const struct option *o = option_find(OPTION_DOTTED, span_of(overrides[row].option));

	must(o);
	return o;
}

static struct account_section *find(const struct config *c, struct span name)
{
	struct account_section **s = c->account.sections;

	for (; s && *s; s++) {
		if (span_eq(span_of((*s)->name), name))
			return *s;
	}
	return NULL;
}

void account_terms_of(const struct config *c, const char *account, struct account_terms *ret)
{
	struct account_section *s = find(c, span_of(account));

	for (size_t i = 0; i < ARRAY_SIZE(overrides); i++) {
		const void *from = (const char *)c + overrides[i].in_config;

		memcpy(slot(ret, i), s && s->given[i] ? slot(&s->terms, i) : from,
		       overrides[i].size);
	}
	runtime_apply(c->runtime, account, ret);
	if (!ret->enabled || config_queue_mode(c) == QUEUE_MODE_OFF)
		ret->mode = QUEUE_MODE_OFF;
	ret->enabled = ret->mode != QUEUE_MODE_OFF;
}

static void see_if_enforced(void *arg, const char *account)
{
	struct enforced *e = arg;
	struct account_terms terms;

	account_terms_of(e->config, account, &terms);
	e->any = e->any || terms.mode == QUEUE_MODE_ENFORCE;
}

bool config_enforces(const struct config *c)
{
	struct enforced e = { c, config_queue_mode(c) == QUEUE_MODE_ENFORCE };

	for (struct account_section **s = c->account.sections; s && *s && !e.any; s++)
		see_if_enforced(&e, (*s)->name);
	if (c->runtime && !e.any)
		runtime_each_account(c->runtime, see_if_enforced, &e);
	return e.any;
}

bool account_has_section(const struct config *c, struct span name)
{
	return find(c, name);
}

const char *account_of_key_name(const struct config *c, const char *key_name)
{
	for (struct account_section **s = c->account.sections; s && *s; s++) {
		if (names_have((*s)->keys, key_name))
			return (*s)->name;
	}
	return NULL;
}

size_t account_key_count(const struct config *c, const char *account)
{
	const struct account_section *s = find(c, span_of(account));

	return s ? names_count(s->keys) : 0;
}

bool account_is_configured(const struct config *c, const char *account)
{
	for (const struct account_source *s = c->account.source; s->kind != ACCOUNT_NONE; s++) {
		if (s->kind == ACCOUNT_STATIC && !strcmp(s->arg, account))
			return true;
	}
	for (int f = 0; c->runtime && f < RUNTIME_COUNT; f++) {
		if (runtime_get(c->runtime, account, f))
			return true;
	}
	return account_has_section(c, span_of(account));
}

bool config_trusts_all(const struct config *c)
{
	return !c->account.trusted_proxies || c->account.trusted_proxies->kind == ADDRESS_END;
}

bool config_trusts(const struct config *c, const char *client_address)
{
	return config_trusts_all(c) || address_is_in(c->account.trusted_proxies, client_address);
}

/* --- loading ---------------------------------------------------------------------------------- */

/* As request/account.h makes them; another name could never be that of an account. */
static bool is_account_name(struct span name)
{
	bool only_dots = true;

	for (size_t i = 0; i < name.len; i++)
		only_dots = only_dots && name.ptr[i] == '.';
	return form_is_name(name, "._-@:") && name.len <= ACCOUNT_STATIC_MAX && !only_dots &&
	       !span_starts(name, SPAN("sk-"));
}

bool account_name_is_reserved(struct span name)
{
	return span_starts(name, SPAN(":")) || span_starts(name, SPAN("observe:"));
}

struct account_section *accounts_begin(struct load *l, const char *place, struct span name)
{
	struct account_section *s = find(l->config, name), **list = l->config->account.sections;
	size_t count = 0;

	if (!is_account_name(name)) {
		/* not repeated: it may be a key */
		load_error(
			l, place,
			"[account \"…\"] names no account; allowed: 1 to 128 of letters, digits, "
			"\"._-@:\", and no API key (see turnstile hash-key)");
		name = SPAN("…");
	} else if (account_name_is_reserved(name)) {
		load_error(
			l, place,
			"[account \"%.*s\"] would be nobody's: names that begin with \":\" or "
			"\"observe:\" are turnstile's own, and clients' like that are hashed; give "
			"the account another name",
			SPAN_ARG(name));
	} else if (s) {
		load_error(l, place, "[account \"%s\"] is there already: %s", s->name, s->place);
		return s;
	}
	s = xcalloc(1, sizeof *s);
	s->name = xstrndup(name.ptr, name.len);
	s->place = xasprintf("%s: [account \"%s\"]", place, s->name);
	while (list && list[count])
		count++;
	list = xrealloc(list, (count + 2) * sizeof(*list));
	list[count] = s;
	list[count + 1] = NULL;
	l->config->account.sections = list;
	return s;
}

static void set_override(struct load *l, struct account_section *s, const char *place, size_t row,
			 struct span value)
{
	const struct option *o = option_of(row);
	CLEANUP(buf_clear) struct buf why = { 0 };

	if (s->given[row]) {
		load_error(l, place, "is set twice");
		return;
	}
	s->given[row] = true;
	if (o->type->parse(o, value, slot(&s->terms, row), &why) == 0)
		return;
	buf_puts(&why, "; allowed: ");
	o->type->allowed(o, &why);
	load_error(l, place, "%s", buf_str(&why));
}

void accounts_set(struct load *l, struct account_section *s, const char *at, const char *key,
		  struct span value)
{
	CLEANUP(freep) char *place = xasprintf("%s: [account \"%s\"] %s", at, s->name, key);
	CLEANUP(buf_clear) struct buf known = { 0 };

	if (!strcmp(key, "keys")) {
		names_add_keys(l, place, value, &s->keys);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(overrides); i++) {
		if (!strcmp(key, overrides[i].key)) {
			set_override(l, s, place, i, value);
			return;
		}
		buf_printf(&known, ", %s", overrides[i].key);
	}
	load_error(l, place, "there is no such option; allowed: keys%s", buf_str(&known));
}

static bool has_source(const struct config *c, enum account_source_kind kind)
{
	const struct account_source *s = c->account.source;

	while (s->kind != ACCOUNT_NONE && s->kind != kind)
		s++;
	return s->kind == kind;
}

/* A key of `s` that another section has or is called, or that `s` has twice. */
static void check_keys(struct load *l, struct account_section *s)
{
	const struct config *c = l->config;

	for (char **key = s->keys; key && *key; key++) {
		struct account_section **other = c->account.sections;

		while (*other != s && !names_have((*other)->keys, *key))
			other++;
		if (*other != s)
			load_error(l, s->place, "%s belongs to another account already: %s", *key,
				   (*other)->place);
		if (find(c, span_of(*key)))
			load_error(l, s->place, "%s has a section of its own: %s", *key,
				   find(c, span_of(*key))->place);
		if (names_have(key + 1, *key))
			load_error(l, s->place, "%s is there twice", *key);
	}
}

void accounts_check(struct load *l)
{
	for (struct account_section **s = l->config->account.sections; s && *s; s++) {
		check_keys(l, *s);
		if ((*s)->keys && LOAD_RIGHT(l, &l->config->account.source) &&
		    !has_source(l->config, ACCOUNT_API_KEY))
			load_error(l, (*s)->place,
				   "has keys, but account.source has no api-key: they would never "
				   "count");
		if (LOAD_RIGHT(l, &l->config->queue.heartbeat_after_ms) &&
		    (*s)->terms.timeout_ms > CONFIG_QUIET_MAX_MS &&
		    !l->config->queue.heartbeat_after_ms)
			load_error(l, (*s)->place,
				   "timeout_ms is longer than clients wait in silence; set "
				   "queue.heartbeat_after_ms, or %d at most",
				   CONFIG_QUIET_MAX_MS);
	}
}

/* --- showing, freeing ------------------------------------------------------------------------- */

static void print_section(struct account_section *s, FILE *to)
{
	fprintf(to, "\n[account \"%s\"]\n", s->name);
	names_print("keys", s->keys, to);
	for (size_t i = 0; i < ARRAY_SIZE(overrides); i++) {
		CLEANUP(buf_clear) struct buf text = { 0 };

		if (!s->given[i])
			continue;
		option_of(i)->type->print(option_of(i), slot(&s->terms, i), &text);
		fprintf(to, "%s = %s\n", overrides[i].key, buf_str(&text));
	}
}

void accounts_print(const struct config *c, FILE *to)
{
	for (struct account_section **s = c->account.sections; s && *s; s++)
		print_section(*s, to);
}

void accounts_help(FILE *to)
{
	fputs("\nSections [account \"NAME\"], in the file only; reloadable:\n"
	      "  keys: the API keys that are this account, as turnstile hash-key prints them\n"
	      "  instead of those of [queue]:\n   ",
	      to);
	for (size_t i = 0; i < ARRAY_SIZE(overrides); i++)
		fprintf(to, "%s %s", i == 0 ? "" : i % 5 ? "," : ",\n   ", overrides[i].key);
	fputs("\n", to);
}

void accounts_swap(struct config *a, struct config *b)
{
	struct account_section **sections = a->account.sections;

	a->account.sections = b->account.sections;
	b->account.sections = sections;
}

static void free_section(struct account_section *s)
{
	names_clear(&s->keys);
	free(s->name);
	free(s->place);
	free(s);
}

void accounts_free(struct config *c)
{
	for (struct account_section **s = c->account.sections; s && *s; s++)
		free_section(*s);
	free(c->account.sections);
	c->account.sections = NULL;
}
