#include "admin/json.h"

#include <stdio.h>
#include <time.h>

void json_add(cJSON *object, const char *name, int64_t number)
{
	cJSON_AddNumberToObject(object, name, (double)number);
}

void json_time_text(int64_t wall_ms, struct buf *to)
{
	time_t seconds = wall_ms / 1000;
	char text[40];
	struct tm tm;

	if (gmtime_r(&seconds, &tm) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm))
		buf_printf(to, "%s.%03dZ", text, (int)(wall_ms % 1000));
}

void json_add_time(cJSON *object, const char *name, int64_t wall_ms)
{
	CLEANUP(buf_clear) struct buf text = { 0 };

	if (wall_ms)
		json_time_text(wall_ms, &text);
	json_add_text(object, name, text.len ? buf_str(&text) : NULL);
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
