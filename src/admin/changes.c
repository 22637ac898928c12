#include "admin/changes.h"

#include <stdlib.h>

#include "admin/call.h"
#include "base/mem.h"

static char *copy(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

/* The texts of a change in the ring are its own. */
static void change_clear(struct change *c)
{
	free((char *)c->who);
	free((char *)c->client);
	free((char *)c->what);
	free((char *)c->account);
	free((char *)c->ticket);
	free((char *)c->setting);
	free((char *)c->before);
	free((char *)c->after);
	*c = (struct change){ 0 };
}

void changes_add(struct changes *c, const struct change *change)
{
	struct change *slot;

	if (!c->ring)
		c->ring = xcalloc(CHANGES_MAX, sizeof *c->ring);
	slot = &c->ring[c->count++ % CHANGES_MAX];
	change_clear(slot);
	*slot = (struct change){
		.at_wall_ms = change->at_wall_ms,
		.who = copy(change->who),
		.client = copy(change->client),
		.what = copy(change->what),
		.account = copy(change->account),
		.ticket = copy(change->ticket),
		.setting = copy(change->setting),
		.before = copy(change->before),
		.after = copy(change->after),
	};
}

static cJSON *one(const struct change *c)
{
	cJSON *object = cJSON_CreateObject();

	json_add_time(object, "at", c->at_wall_ms);
	json_add_text(object, "who", c->who);
	json_add_text(object, "client", c->client);
	json_add_text(object, "what", c->what);
	json_add_text(object, "accountId", c->account);
	json_add_text(object, "ticket", c->ticket);
	json_add_text(object, "setting", c->setting);
	json_add_text(object, "before", c->before);
	json_add_text(object, "after", c->after);
	return object;
}

cJSON *changes_json(const struct changes *c)
{
	cJSON *list = cJSON_CreateArray();
	int64_t oldest = MAX(c->count - CHANGES_MAX, 0);

	for (int64_t i = c->count - 1; i >= oldest; i--)
		cJSON_AddItemToArray(list, one(&c->ring[i % CHANGES_MAX]));
	return list;
}

void changes_clear(struct changes *c)
{
	for (size_t i = 0; c->ring && i < CHANGES_MAX; i++)
		change_clear(&c->ring[i]);
	free(c->ring);
	*c = (struct changes){ 0 };
}

void serve_changes(struct call *c)
{
	const struct changes *changes = &c->admin->changes;
	cJSON *document = cJSON_CreateObject();

	json_add(document, "count", changes->count);
	cJSON_AddItemToObject(document, "changes", changes_json(changes));
	call_reply(c, 200, document);
}
