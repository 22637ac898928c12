/*
 * json.h - reading small pieces of JSON with cJSON: exact names, last duplicate, bounded length.
 */
#pragma once

#include <cjson/cJSON.h>
#include <string.h>

#include "base/mem.h"
#include "base/span.h"

static inline void json_freep(cJSON **json)
{
	cJSON_Delete(*json);
}

/* Parses all of `text`; NULL if it is empty or cJSON doesn't take it. The caller frees it. */
static inline cJSON *json_parse(struct span text)
{
	return text.len ? cJSON_ParseWithLength(text.ptr, text.len) : NULL;
}

/* The member of that name (exact case, last duplicate) of an object; NULL if there is none. */
static inline const cJSON *json_member(const cJSON *object, const char *name)
{
	const cJSON *child, *found = NULL;

	if (!cJSON_IsObject(object))
		return NULL;
	cJSON_ArrayForEach (child, object) {
		if (!strcmp(child->string, name))
			found = child;
	}
	return found;
}
