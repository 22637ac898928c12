/*
 * settings.c - the configuration as it counts, and changing it at run time.
 *
 *      PUT ──> every field checked ──> stored by the backend ──> each process sees it (runtime.h)
 *
 * All or nothing: one wrong field, and nothing is stored.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin/call.h"
#include "base/log.h"
#include "config/runtime.h"

/* What is being stored: in call->data, as it must live until the backend has answered. */
struct storing {
	char account[LOCK_ACCOUNT_MAX]; /* empty: for all */
	char names[RUNTIME_COUNT][RUNTIME_NAME_MAX];
	char values[RUNTIME_COUNT][24];
	struct runtime_setting settings[RUNTIME_COUNT];
	char before[RUNTIME_COUNT][24]; /* what counted when the order came */
	bool given[RUNTIME_COUNT];
};

static const struct runtime *runtime_of(const struct call *c)
{
	return c->admin->parts.config->runtime;
}

/* --- showing ---------------------------------------------------------------------------------- */

static void add_value(cJSON *object, enum runtime_field field, const char *text)
{
	const struct runtime_field_info *info = &runtime_field_info[field];

	if (info->kind == RUNTIME_NUMBER)
		json_add(object, info->name, strtoll(text, NULL, 10));
	else if (info->kind == RUNTIME_WORD)
		cJSON_AddStringToObject(object, info->name, text);
	else
		cJSON_AddBoolToObject(object, info->name, !strcmp(text, "true"));
}

void settings_add(const struct admin *a, const char *account, cJSON *object)
{
	for (int f = 0; f < RUNTIME_COUNT; f++) {
		CLEANUP(buf_clear) struct buf text = { 0 };

		runtime_effective(a->parts.config->runtime, account, f, &text);
		add_value(object, f, buf_str(&text));
	}
}

static void add_set(const struct runtime *r, const char *account, cJSON *object)
{
	for (int f = 0; f < RUNTIME_COUNT; f++) {
		const char *text = runtime_get(r, account, f);

		if (text)
			add_value(object, f, text);
	}
}

/* The most special one wins: runtime.h. An [account] section is part of the configuration. */
static const char *source_of(const struct runtime *r, const char *account, enum runtime_field f)
{
	CLEANUP(buf_clear) struct buf own = { 0 }, common = { 0 };

	if (account && runtime_get(r, account, f))
		return "runtime_account";
	if (!runtime_get(r, NULL, f))
		return "configuration";
	runtime_effective(r, account, f, &own);
	runtime_effective(r, NULL, f, &common);
	return span_eq(buf_span(&own), buf_span(&common)) ? "runtime" : "configuration";
}

static void add_sources(struct call *c, const char *account, cJSON *document)
{
	cJSON *object = cJSON_AddObjectToObject(document, "sources");

	for (int f = 0; f < RUNTIME_COUNT; f++)
		cJSON_AddStringToObject(object, runtime_field_info[f].name,
					source_of(runtime_of(c), account, f));
}

struct account_list {
	const struct runtime *runtime;
	cJSON *object;
};

static void add_account(void *arg, const char *account)
{
	const struct account_list *list = arg;

	add_set(list->runtime, account, cJSON_AddObjectToObject(list->object, account));
}

void serve_config(struct call *c)
{
	cJSON *document = cJSON_CreateObject(), *configured;
	struct account_list list = { runtime_of(c), NULL };

	settings_add(c->admin, NULL, document);
	add_sources(c, NULL, document);
	configured = cJSON_AddObjectToObject(document, "configured");
	for (int f = 0; f < RUNTIME_COUNT; f++) {
		CLEANUP(buf_clear) struct buf text = { 0 };

		runtime_configured(runtime_of(c), f, &text);
		add_value(configured, f, buf_str(&text));
	}
	add_set(runtime_of(c), NULL, cJSON_AddObjectToObject(document, "runtime"));
	list.object = cJSON_AddObjectToObject(document, "accounts");
	runtime_each_account(runtime_of(c), add_account, &list);
	call_reply(c, 200, document);
}

void serve_account_config(struct call *c)
{
	const char *account = call_account(c);
	cJSON *document;

	if (!account)
		return;
	document = cJSON_CreateObject();
	cJSON_AddStringToObject(document, "accountId", account);
	settings_add(c->admin, account, document);
	add_sources(c, account, document);
	add_set(runtime_of(c), account, cJSON_AddObjectToObject(document, "runtime"));
	call_reply(c, 200, document);
}

/* --- storing ---------------------------------------------------------------------------------- */

static void stored(struct call *c, const struct lock_answer *answer)
{
	const struct storing *o = c->data;
	cJSON *document = cJSON_CreateObject(), *fields;

	(void)answer;
	fields = cJSON_AddObjectToObject(document, "stored");
	for (size_t i = 0; i < c->query.setting_count; i++) {
		const struct runtime_setting *s = &c->query.settings[i];
		const char *slash = strrchr(s->name, '/');
		int field = runtime_field_find(span_of(slash ? slash + 1 : s->name));

		call_changed(c, &(struct change){ .what = "operator: setting changed",
						  .account = o->account,
						  .setting = s->name,
						  .before = o->before[i],
						  .after = s->value });
		if (s->value)
			add_value(fields, field, s->value);
		else
			cJSON_AddNullToObject(fields, runtime_field_info[field].name);
	}
	if (o->account[0])
		cJSON_AddStringToObject(document, "accountId", o->account);
	call_reply(c, 200, document);
}

static struct storing *new_order(struct call *c, const char *account)
{
	struct storing *o = xcalloc(1, sizeof *o);

	c->data = o;
	snprintf(o->account, sizeof o->account, "%s", account ? account : "");
	c->query.verb = LOCK_SETTINGS;
	c->query.settings = o->settings;
	return o;
}

/* NULL as value: goes back to what is configured. */
static void add_setting(struct call *c, struct storing *o, enum runtime_field field,
			const char *value)
{
	const char *account = o->account[0] ? o->account : NULL;
	size_t i = c->query.setting_count++;
	CLEANUP(buf_clear) struct buf before = { 0 };

	runtime_effective(runtime_of(c), account, field, &before);
	snprintf(o->before[i], sizeof o->before[i], "%s", buf_str(&before));
	runtime_name(field, account, o->names[i]);
	o->settings[i].name = o->names[i];
	if (!value)
		return;
	snprintf(o->values[i], sizeof o->values[i], "%s", value);
	o->settings[i].value = o->values[i];
}

static int fail_field(struct call *c, const char *name, const char *what)
{
	call_fail(c, 400, "bad_setting", "%s: %s", name, what);
	return -EINVAL;
}

/* The value as text, if it has the field's type. */
static int value_text(const cJSON *value, enum runtime_field field, char ret[24])
{
	double number = cJSON_GetNumberValue(value);

	if (runtime_field_info[field].kind == RUNTIME_WORD) {
		if (!cJSON_IsString(value) || strlen(value->valuestring) >= 24)
			return -EINVAL;
		strcpy(ret, value->valuestring);
		return 0;
	}
	if (runtime_field_info[field].kind == RUNTIME_BOOLEAN) {
		if (!cJSON_IsBool(value))
			return -EINVAL;
		snprintf(ret, 24, "%s", cJSON_IsTrue(value) ? "true" : "false");
		return 0;
	}
	if (!cJSON_IsNumber(value) || number < -1e15 || number > 1e15 ||
	    number != (double)(int64_t)number)
		return -EINVAL;
	snprintf(ret, 24, "%lld", (long long)number);
	return 0;
}

/* As with the option itself: nobody waits longer than clients do without hearing anything. */
static int check_silence(const struct config *config, int field, const char *text, struct buf *why)
{
	if (field != RUNTIME_TIMEOUT || config->queue.heartbeat_after_ms ||
	    atoll(text) <= CONFIG_QUIET_MAX_MS)
		return 0;
	buf_printf(why,
		   "is more than clients wait in silence: %d, but for queue.heartbeat_after_ms",
		   CONFIG_QUIET_MAX_MS);
	return -EINVAL;
}

static int take_field(struct call *c, struct storing *o, const cJSON *member)
{
	CLEANUP(buf_clear) struct buf why = { 0 };
	int field = runtime_field_find(span_of(member->string));
	char text[24];

	if (field < 0)
		return fail_field(c, member->string,
				  "there is no such field; allowed: " RUNTIME_FIELD_NAMES);
	if (o->given[field])
		return fail_field(c, member->string, "is given twice");
	o->given[field] = true;
	if (value_text(member, field, text) < 0) {
		buf_puts(&why, "has the wrong type; allowed: ");
		runtime_allowed(field, &why);
		return fail_field(c, member->string, buf_str(&why));
	}
	if (runtime_check(field, span_of(text), &why) < 0 ||
	    check_silence(c->admin->parts.config, field, text, &why) < 0)
		return fail_field(c, member->string, buf_str(&why));
	add_setting(c, o, field, text);
	return 0;
}

static void put_config(struct call *c, const char *account)
{
	cJSON *body = cJSON_ParseWithLengthOpts(buf_str(&c->body), c->body.len + 1, NULL, true);
	struct storing *o = new_order(c, account);
	const cJSON *member;
	int r = 0;

	if (!cJSON_IsObject(body)) {
		call_fail(c, 400, "bad_json", "the body must be a JSON object");
		r = -EINVAL;
	}
	for (member = r ? NULL : body->child; member && !r; member = member->next)
		r = take_field(c, o, member);
	cJSON_Delete(body);
	if (!r && !c->query.setting_count)
		r = fail_field(c, "body", "give any of " RUNTIME_FIELD_NAMES);
	if (!r)
		call_order(c, stored);
}

static void delete_config(struct call *c, const char *account)
{
	struct storing *o = new_order(c, account);

	for (int f = 0; f < RUNTIME_COUNT; f++)
		add_setting(c, o, f, NULL);
	call_order(c, stored);
}

void serve_config_put(struct call *c)
{
	put_config(c, NULL);
}

void serve_config_delete(struct call *c)
{
	delete_config(c, NULL);
}

void serve_account_config_put(struct call *c)
{
	const char *account = call_account(c);

	if (account)
		put_config(c, account);
}

void serve_account_config_delete(struct call *c)
{
	const char *account = call_account(c);

	if (account)
		delete_config(c, account);
}
