#include "config/runtime.h"

#include <errno.h>
#include <string.h>

#include "base/list.h"
#include "config/forms.h"
#include "config/options.h"
#include "config/values.h"

/* One scope: all accounts (account "") or one. */
struct scope {
	struct list link;
	char account[ACCOUNT_STATIC_MAX + 1];
	char *text[RUNTIME_COUNT]; /* NULL: not set */
};

struct runtime {
	struct config *live;
	struct scope all;
	struct list accounts; /* of struct scope; few, as people make them */
	char *configured[RUNTIME_COUNT];
};

const struct runtime_field_info runtime_field_info[RUNTIME_COUNT] = {
#define X(name_, field, member, kind)                                                          \
	[RUNTIME_##name_] = { field, "queue." #member, offsetof(struct account_terms, member), \
			      RUNTIME_##kind },
	RUNTIME_FIELDS(X)
#undef X
};

int runtime_field_find(struct span name)
{
	for (int f = 0; f < RUNTIME_COUNT; f++) {
		if (span_eq(name, span_of(runtime_field_info[f].name)))
			return f;
	}
	return -1;
}

void runtime_name(enum runtime_field field, const char *account, char ret[RUNTIME_NAME_MAX])
{
	int n = snprintf(ret, RUNTIME_NAME_MAX, "%s%s%s", account ? account : "",
			 account ? "/" : "", runtime_field_info[field].name);

	must(n > 0 && n < RUNTIME_NAME_MAX);
}

static const struct option *option_of(enum runtime_field field)
{
	return option_find(OPTION_DOTTED, span_of(runtime_field_info[field].option));
}

/* Booleans, numbers, one of some words: no slot needs to be freed. */
union slot {
	bool boolean;
	unsigned word;
	int64_t number;
};

void runtime_allowed(enum runtime_field field, struct buf *to)
{
	option_of(field)->type->allowed(option_of(field), to);
}

int runtime_check(enum runtime_field field, struct span value, struct buf *why)
{
	const struct option *o = option_of(field);
	union slot slot = { 0 };

	if (o->type->parse(o, value, &slot, why) == 0)
		return 0;
	buf_puts(why, "; allowed: ");
	runtime_allowed(field, why);
	return -EINVAL;
}

/* --- scopes ----------------------------------------------------------------------------------- */

static void scope_clear(struct scope *s)
{
	for (int f = 0; f < RUNTIME_COUNT; f++)
		free(steal(&s->text[f]));
}

static struct scope *scope_find(const struct runtime *r, struct span account)
{
	struct scope *s;

	list_for_each (s, &r->accounts, link) {
		if (span_eq(account, span_of(s->account)))
			return s;
	}
	return NULL;
}

static struct scope *scope_new(struct runtime *r, struct span account)
{
	struct scope *s = xcalloc(1, sizeof *s);

	memcpy(s->account, account.ptr, account.len);
	list_append(&r->accounts, &s->link);
	return s;
}

/* "delayMs" or "ACCOUNT/delayMs"; NULL if it is neither. */
static struct scope *scope_of(struct runtime *r, struct span name, struct span *ret_field)
{
	const char *slash = memrchr(name.ptr, '/', name.len);
	struct span account;
	struct scope *s;

	*ret_field = name;
	if (!slash)
		return &r->all;
	account = (struct span){ name.ptr, (size_t)(slash - name.ptr) };
	*ret_field = (struct span){ slash + 1, name.len - account.len - 1 };
	if (!form_is_name(account, "._-@:") || account.len > ACCOUNT_STATIC_MAX)
		return NULL;
	s = scope_find(r, account);
	return s ? s : scope_new(r, account);
}

static bool set(struct runtime *r, const struct runtime_setting *setting)
{
	CLEANUP(buf_clear) struct buf why = { 0 }, normal = { 0 };
	union slot slot = { 0 };
	struct span field_name;
	struct scope *s = scope_of(r, span_of(setting->name), &field_name);
	int field = runtime_field_find(field_name);

	if (!s || field < 0 || runtime_check(field, span_of(setting->value), &why) < 0)
		return false;
	must(option_of(field)->type->parse(option_of(field), span_of(setting->value), &slot,
					   &why) == 0);
	option_of(field)->type->print(option_of(field), &slot, &normal);
	free(s->text[field]);
	s->text[field] = xstrdup(buf_str(&normal));
	return true;
}

/* --- the live configuration ------------------------------------------------------------------- */

static void *slot_of(struct account_terms *terms, enum runtime_field field)
{
	return (char *)terms + runtime_field_info[field].in_terms;
}

static void put(enum runtime_field field, const char *text, void *slot)
{
	const struct option *o = option_of(field);
	CLEANUP(buf_clear) struct buf why = { 0 };

	must(o->type->parse(o, span_of(text), slot, &why) == 0);
}

static char *shown(const struct runtime *r, enum runtime_field field)
{
	const struct option *o = option_of(field);
	CLEANUP(buf_clear) struct buf text = { 0 };

	o->type->print(o, option_slot(o, r->live), &text);
	return xstrdup(buf_str(&text));
}

static void lay(struct runtime *r)
{
	for (int f = 0; f < RUNTIME_COUNT; f++)
		put(f, r->all.text[f] ? r->all.text[f] : r->configured[f],
		    option_slot(option_of(f), r->live));
}

void runtime_reloaded(struct runtime *r)
{
	for (int f = 0; f < RUNTIME_COUNT; f++) {
		free(r->configured[f]);
		r->configured[f] = shown(r, f);
	}
	lay(r);
}

static void clear(struct runtime *r)
{
	struct scope *s;

	scope_clear(&r->all);
	while ((s = list_first(&r->accounts, struct scope, link))) {
		list_remove(&s->link);
		scope_clear(s);
		free(s);
	}
}

size_t runtime_replace(struct runtime *r, const struct runtime_setting *all, size_t count)
{
	size_t strange = 0;

	clear(r);
	for (size_t i = 0; i < count; i++)
		strange += !set(r, &all[i]);
	lay(r);
	return strange;
}

const char *runtime_get(const struct runtime *r, const char *account, enum runtime_field field)
{
	const struct scope *s = account ? scope_find(r, span_of(account)) : &r->all;

	return s ? s->text[field] : NULL;
}

void runtime_configured(const struct runtime *r, enum runtime_field field, struct buf *to)
{
	buf_puts(to, r->configured[field]);
}

void runtime_effective(const struct runtime *r, const char *account, enum runtime_field field,
		       struct buf *to)
{
	struct account_terms terms;

	account_terms_of(r->live, account ? account : "", &terms);
	option_of(field)->type->print(option_of(field), slot_of(&terms, field), to);
}

void runtime_each_account(const struct runtime *r, void (*fn)(void *arg, const char *account),
			  void *arg)
{
	const struct scope *s;

	list_for_each (s, &r->accounts, link)
		fn(arg, s->account);
}

void runtime_apply(const struct runtime *r, const char *account, struct account_terms *terms)
{
	const struct scope *s = r && account ? scope_find(r, span_of(account)) : NULL;

	for (int f = 0; s && f < RUNTIME_COUNT; f++) {
		if (s->text[f])
			put(f, s->text[f], slot_of(terms, f));
	}
}

struct runtime *runtime_new(struct config *live)
{
	struct runtime *r = xcalloc(1, sizeof *r);

	r->live = live;
	list_init(&r->accounts);
	live->runtime = r;
	runtime_reloaded(r);
	return r;
}

void runtime_free(struct runtime *r)
{
	if (!r)
		return;
	clear(r);
	for (int f = 0; f < RUNTIME_COUNT; f++)
		free(r->configured[f]);
	r->live->runtime = NULL;
	free(r);
}
