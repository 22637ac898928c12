/*
 * test_beacon.c - beacons of other processes: whatever Redis has under that name, nothing but what a
 * beacon may have comes through.
 */
#include "admin/beacon.h"
#include "base/buf.h"
#include "check.h"
#include "queue/query.h"

#define OBSERVED                                                                                  \
	"\"observed\":{\"joined\":7,\"turn\":1,\"queueTimeout\":2,\"queueFull\":3,\"unknown\":4," \
	"\"waited\":5,\"waitMs\":6}"
#define REJECTION                                                                         \
	"{\"at\":%d,\"outcome\":\"o\",\"status\":503,\"message\":\"m\",\"reason\":\"r\"," \
	"\"account\":\"a\",\"client\":\"c\",\"requestId\":\"q\",\"waitedMs\":1,\"more\":[1]}"
#define BASE                                                                                      \
	"\"id\":\"%s\",\"instance\":\"%s\",\"version\":\"1\",\"listening\":\"l\",\"mode\":\"m\"," \
	"\"draining\":%s,\"pid\":1,\"startedAt\":1,\"waiting\":2,\"holding\":3,\"exchanges\":4,"  \
	"\"connections\":5,\"lostTurns\":6,\"rejected\":7,\"stalled\":[\"s\"]"

static const char *sound(struct buf *b, const char *id, const char *instance, const char *draining,
			 int at)
{
	buf_clear(b);
	buf_printf(b, "{\"strange\":{},");
	buf_printf(b, BASE, id, instance, draining);
	buf_printf(b, "," OBSERVED ",\"rejections\":[");
	buf_printf(b, REJECTION, at);
	buf_puts(b, "]}");
	return buf_str(b);
}

static void test_sound(void)
{
	struct buf b = { 0 };
	cJSON *beacon = beacon_read(sound(&b, "i", "n", "true", 4711));
	const cJSON *rejection;

	CHECK(beacon != NULL);
	CHECK(!cJSON_GetObjectItem(beacon, "strange"));
	CHECK(cJSON_IsTrue(cJSON_GetObjectItem(beacon, "draining")));
	CHECK_INT((int64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(beacon, "rejected")), 7);
	rejection = cJSON_GetArrayItem(cJSON_GetObjectItem(beacon, "rejections"), 0);
	CHECK_INT((int64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(rejection, "at")), 4711);
	CHECK(!cJSON_GetObjectItem(rejection, "more"));
	cJSON_Delete(beacon);
	buf_clear(&b);
}

/* Each of them differs from a sound one in one place. */
static void test_unsound(void)
{
	static const struct {
		const char *what, *instead;
	} changes[] = {
		{ "\"pid\":1", "\"pid\":\"1\"" },
		{ "\"pid\":1", "\"PID\":1" },
		{ "\"id\":\"i\"", "\"id\":null" },
		{ "\"draining\":true", "\"draining\":1" },
		{ "[\"s\"]", "[1]" },
		{ "[\"s\"]", "\"s\"" },
		{ "\"joined\":7,", "" },
		{ "\"observed\":{", "\"observed\":[],\"x\":{" },
		{ "\"status\":503", "\"status\":{}" },
		{ "\"rejections\":[{", "\"rejections\":[1,{" },
		{ "\"requestId\":\"q\",", "" },
	};
	static const char *const none[] = { "", "{", "[]", "null", "\"\"", "{}", "{\"id\":\"i\"}" };
	struct buf b = { 0 }, changed = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		const char *text = sound(&b, "i", "n", "true", 1);
		const char *at = strstr(text, changes[i].what);

		CHECK(at != NULL);
		buf_clear(&changed);
		buf_printf(&changed, "%.*s%s%s", (int)(at - text), text, changes[i].instead,
			   at + strlen(changes[i].what));
		if (beacon_read(buf_str(&changed)))
			CHECK_STR(changes[i].instead, "should be no beacon");
	}
	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		CHECK(!beacon_read(none[i]));
	buf_clear(&b);
	buf_clear(&changed);
}

static void test_too_long(void)
{
	struct buf b = { 0 }, longer = { 0 };
	const char *text = sound(&b, "i", "n", "true", 1);

	buf_printf(&longer, "%*s", LOCK_BEACON_MAX, "");
	buf_puts(&longer, text);
	CHECK(!beacon_read(buf_str(&longer)));
	buf_clear(&b);
	buf_clear(&longer);
}

int main(void)
{
	test_sound();
	test_unsound();
	test_too_long();
	return check_done();
}
