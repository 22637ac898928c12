#include "request/error_object.h"

#include "request/json.h"

bool error_object_is(struct span body)
{
	CLEANUP(json_freep) cJSON *parsed = json_parse(body);

	return json_member(parsed, "error");
}
