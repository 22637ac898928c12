#include "admin/json.h"

#include <stdio.h>
#include <time.h>

void json_add(cJSON *object, const char *name, int64_t number)
{
	cJSON_AddNumberToObject(object, name, (double)number);
}

void json_add_time(cJSON *object, const char *name, int64_t wall_ms)
{
	time_t seconds = wall_ms / 1000;
	struct tm tm;
	char text[40];
	size_t n;

	if (!wall_ms || !gmtime_r(&seconds, &tm)) {
		cJSON_AddNullToObject(object, name);
		return;
	}
	n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof text - n, ".%03dZ", (int)(wall_ms % 1000));
	cJSON_AddStringToObject(object, name, text);
}

void json_add_text(cJSON *object, const char *name, const char *text)
{
	if (text && text[0])
		cJSON_AddStringToObject(object, name, text);
	else
		cJSON_AddNullToObject(object, name);
}

void json_add_known(cJSON *object, const char *name, bool known, int64_t number)
{
	if (known)
		json_add(object, name, number);
	else
		cJSON_AddNullToObject(object, name);
}
