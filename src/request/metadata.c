#include "request/metadata.h"

#include <stdlib.h>

#include "base/mem.h"
#include "request/json.h"

static char *copy(struct span s)
{
	s = span_trim(s);
	return s.len ? xstrndup(s.ptr, s.len) : NULL;
}

static void read_old_form(const char *user_id, struct metadata *ret)
{
	static const char user[] = "user_", account[] = "_account_", session[] = "_session_";
	const char *at = strstr(user_id, account), *end;

	if (strncmp(user_id, user, strlen(user)) != 0 || !at)
		return;
	end = strstr(at + strlen(account), session);
	if (!end)
		return;
	ret->device_id = copy(
		(struct span){ user_id + strlen(user), (size_t)(at - user_id) - strlen(user) });
	at += strlen(account);
	ret->account_uuid = copy((struct span){ at, (size_t)(end - at) });
	ret->session_id = copy(span_of(end + strlen(session)));
}

static char *copy_member(const cJSON *object, const char *name)
{
	return copy(span_of(cJSON_GetStringValue(json_member(object, name))));
}

void metadata_read(struct span json, struct metadata *ret)
{
	CLEANUP(json_freep) cJSON *outer = json_parse(json);
	CLEANUP(json_freep) cJSON *inner = NULL;
	const char *user_id = cJSON_GetStringValue(json_member(outer, "user_id"));

	*ret = (struct metadata){ 0 };
	if (!user_id)
		return;
	inner = cJSON_Parse(user_id);
	if (!inner) {
		read_old_form(user_id, ret);
		return;
	}
	ret->device_id = copy_member(inner, "device_id");
	ret->account_uuid = copy_member(inner, "account_uuid");
	ret->session_id = copy_member(inner, "session_id");
}

void metadata_clear(struct metadata *m)
{
	free(m->device_id);
	free(m->account_uuid);
	free(m->session_id);
	*m = (struct metadata){ 0 };
}
