/*
 * shares.c - the sections [share "NAME"].
 */
#include "config/shares.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "config/forms.h"
#include "config/load.h"
#include "config/names.h"
#include "config/values.h"

static const double WEIGHT_MIN = 0.01, WEIGHT_MAX = 100;
enum { DEVICE_MAX = 128, WEIGHT_DIGITS_MAX = 16 };

struct share_section {
	char *name;
	char *place;            /* FILE:LINE: [share "NAME"] */
	char **keys, **devices; /* see names.h */
	char *weight_text;      /* as it was written; NULL: not given */
	double weight;
	struct mark_rule *exempt, *yield; /* NULL: not given */
};

static struct share_section *find(const struct config *c, struct span name)
{
	for (struct share_section **s = c->queue.shares; s && *s; s++) {
		if (span_eq(span_of((*s)->name), name))
			return *s;
	}
	return NULL;
}

const char *share_of_key(const struct config *c, const char *key_name)
{
	for (struct share_section **s = c->queue.shares; s && *s; s++) {
		if (names_have((*s)->keys, key_name))
			return (*s)->name;
	}
	return NULL;
}

const char *share_of_device(const struct config *c, const char *device)
{
	for (struct share_section **s = c->queue.shares; s && *s; s++) {
		if (names_have((*s)->devices, device))
			return (*s)->name;
	}
	return NULL;
}

const char *share_of_name(const struct config *c, struct span name)
{
	const struct share_section *s = find(c, name);

	return s ? s->name : NULL;
}

void share_terms_of(const struct config *c, const char *share, struct share_terms *ret)
{
	const struct share_section *s = find(c, span_of(share));

	ret->weight = s && s->weight_text ? s->weight : 1;
	ret->exempt = s && s->exempt ? s->exempt : c->queue.exempt;
	ret->yield = s && s->yield ? s->yield : c->queue.yield;
}

/* --- loading ---------------------------------------------------------------------------------- */

/* "u-" and SHARE_HASH_DIGITS digits. */
static bool is_hashed(struct span s)
{
	if (s.len != 2 + SHARE_HASH_DIGITS || !span_starts(s, SPAN("u-")))
		return false;
	for (size_t i = 2; i < s.len; i++) {
		if (!isxdigit((unsigned char)s.ptr[i]))
			return false;
	}
	return true;
}

/* Not one that stands for somebody else: "-" is everybody of whom nothing is known. */
static bool is_share_name(struct span name)
{
	return form_is_name(name, "._-@:") && name.len < SHARE_NAME_MAX &&
	       !span_eq(name, SPAN("-")) && !is_hashed(name) && !names_is_key(name) &&
	       !span_starts(name, SPAN("sk-"));
}

struct share_section *shares_begin(struct load *l, const char *place, struct span name)
{
	struct share_section *s = find(l->config, name), **list = l->config->queue.shares;
	size_t count = 0;

	if (!is_share_name(name)) {
		/* not repeated: it may be a key */
		load_error(l, place,
			   "[share \"…\"] is no name; allowed: 1 to %d of letters, digits, "
			   "\"._-@:\", and no API key, nor a hash of one",
			   SHARE_NAME_MAX - 1);
		name = SPAN("…");
	} else if (s) {
		load_error(l, place, "[share \"%s\"] is there already: %s", s->name, s->place);
		return s;
	}
	s = xcalloc(1, sizeof *s);
	s->name = xstrndup(name.ptr, name.len);
	s->place = xasprintf("%s: [share \"%s\"]", place, s->name);
	while (list && list[count])
		count++;
	list = xrealloc(list, (count + 2) * sizeof(*list));
	list[count] = s;
	list[count + 1] = NULL;
	l->config->queue.shares = list;
	return s;
}

static void set_devices(struct load *l, struct share_section *s, const char *place,
			struct span text)
{
	struct span device;

	while (span_next(&text, ',', &device)) {
		if (!form_is_name(device, "._-") || device.len > DEVICE_MAX) {
			load_error(l, place,
				   "holds what is no device; allowed: device_id of the client's "
				   "metadata, or its name u-<12 hex digits> in the log, …");
			return;
		}
		names_add(&s->devices, device);
	}
}

/* A decimal number without sign and exponent. */
static bool parse_weight(struct span text, double *ret)
{
	char number[WEIGHT_DIGITS_MAX + 1];
	size_t points = 0;

	if (!text.len || text.len > WEIGHT_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		points += text.ptr[i] == '.';
		if (!isdigit((unsigned char)text.ptr[i]) && text.ptr[i] != '.')
			return false;
	}
	memcpy(number, text.ptr, text.len);
	number[text.len] = '\0';
	*ret = strtod(number, NULL);
	return points <= 1 && *ret >= WEIGHT_MIN && *ret <= WEIGHT_MAX;
}

static void set_weight(struct load *l, struct share_section *s, const char *place, struct span text)
{
	if (s->weight_text) {
		load_error(l, place, "is set twice");
		return;
	}
	s->weight_text = xstrndup(text.ptr, text.len);
	if (!parse_weight(text, &s->weight))
		load_error(l, place, "is no weight; allowed: a number from %g to %g", WEIGHT_MIN,
			   WEIGHT_MAX);
}

/* As the option of [queue] that it stands in for. */
static void set_marks(struct load *l, struct mark_rule **slot, const char *place,
		      const char *option, struct span text)
{
	const struct option *o = option_find(OPTION_DOTTED, span_of(option));
	CLEANUP(buf_clear) struct buf why = { 0 };

	must(o);
	if (*slot) {
		load_error(l, place, "is set twice");
		return;
	}
	if (o->type->parse(o, text, slot, &why) == 0)
		return;
	buf_puts(&why, "; allowed: ");
	o->type->allowed(o, &why);
	load_error(l, place, "%s", buf_str(&why));
}

void shares_set(struct load *l, struct share_section *s, const char *at, const char *key,
		struct span value)
{
	CLEANUP(freep) char *place = xasprintf("%s: [share \"%s\"] %s", at, s->name, key);

	if (!strcmp(key, "keys"))
		names_add_keys(l, place, value, &s->keys);
	else if (!strcmp(key, "devices"))
		set_devices(l, s, place, value);
	else if (!strcmp(key, "weight"))
		set_weight(l, s, place, value);
	else if (!strcmp(key, "yield"))
		set_marks(l, &s->yield, place, "queue.yield", value);
	else if (!strcmp(key, "exempt"))
		set_marks(l, &s->exempt, place, "queue.exempt", value);
	else
		load_error(l, place,
			   "there is no such option; allowed: keys, devices, weight, yield, "
			   "exempt");
}

static bool looks_at(const struct config *c, enum account_source_kind kind)
{
	const struct account_source *s = c->queue.share_by;

	while (s->kind != ACCOUNT_NONE && s->kind != kind)
		s++;
	return s->kind == kind;
}

/* What `s` lists that a section before it has, or it has itself already. */
static void check_list(struct load *l, struct share_section *s, char **list,
		       const char *(*share_of)(const struct config *c, const char *name))
{
	for (char **name = list; name && *name; name++) {
		const char *first = share_of(l->config, *name);

		if (strcmp(first, s->name) != 0)
			load_error(l, s->place, "%s belongs to another share already: %s", *name,
				   find(l->config, span_of(first))->place);
		if (names_have(name + 1, *name))
			load_error(l, s->place, "%s is there twice", *name);
	}
}

void shares_check(struct load *l)
{
	const struct config *c = l->config;

	for (struct share_section **s = c->queue.shares; s && *s; s++) {
		check_list(l, *s, (*s)->keys, share_of_key);
		check_list(l, *s, (*s)->devices, share_of_device);
		if (!LOAD_RIGHT(l, &c->queue.share_by))
			continue;
		if ((*s)->keys && !looks_at(c, ACCOUNT_API_KEY))
			load_error(l, (*s)->place,
				   "has keys, but queue.share_by has no api-key: they would never "
				   "count");
		if ((*s)->devices && !looks_at(c, ACCOUNT_DEVICE_ID))
			load_error(l, (*s)->place,
				   "has devices, but queue.share_by has no metadata.device_id: "
				   "they would never count");
	}
}

/* --- showing, freeing ------------------------------------------------------------------------- */

static void print_marks(const char *key, const struct mark_rule *rules, FILE *to)
{
	if (!rules)
		return;
	fprintf(to, "%s =", key);
	for (const struct mark_rule *r = rules; r->kind != MARK_NONE; r++) {
		CLEANUP(buf_clear) struct buf text = { 0 };

		config_mark_print(r, &text);
		fprintf(to, "%s %s", r == rules ? "" : ",", buf_str(&text));
	}
	fputs("\n", to);
}

void shares_print(const struct config *c, FILE *to)
{
	for (struct share_section **s = c->queue.shares; s && *s; s++) {
		fprintf(to, "\n[share \"%s\"]\n", (*s)->name);
		names_print("keys", (*s)->keys, to);
		names_print("devices", (*s)->devices, to);
		if ((*s)->weight_text)
			fprintf(to, "weight = %s\n", (*s)->weight_text);
		print_marks("yield", (*s)->yield, to);
		print_marks("exempt", (*s)->exempt, to);
	}
}

void shares_help(FILE *to)
{
	fputs("\nSections [share \"NAME\"], in the file only; reloadable:\n"
	      "  keys: the API keys of this person or program, as turnstile hash-key prints them\n"
	      "  devices: device_id of the client's metadata, or its name u-... in the log\n"
	      "  weight: how many turns, others have 1; from 0.01 to 100\n"
	      "  yield, exempt: instead of those of [queue]\n",
	      to);
}

void shares_swap(struct config *a, struct config *b)
{
	struct share_section **shares = a->queue.shares;

	a->queue.shares = b->queue.shares;
	b->queue.shares = shares;
}

static void free_section(struct share_section *s)
{
	names_clear(&s->keys);
	names_clear(&s->devices);
	value_marks.clear(&s->exempt);
	value_marks.clear(&s->yield);
	free(s->weight_text);
	free(s->name);
	free(s->place);
	free(s);
}

void shares_free(struct config *c)
{
	for (struct share_section **s = c->queue.shares; s && *s; s++)
		free_section(*s);
	free(c->queue.shares);
	c->queue.shares = NULL;
}
