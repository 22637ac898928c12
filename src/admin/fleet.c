/*
 * fleet.c - the beacons of all processes, put together.
 */
#include "admin/fleet.h"

#include <stdlib.h>
#include <string.h>

#include "admin/json.h"

enum {
	SILENT_MS = 5000, /* a process that hasn't written for so long: five beacons are missing */
	REJECTIONS_MAX = 50,
};

/* --- reading ---------------------------------------------------------------------------------- */

static void add_instance_state(cJSON *beacon, int64_t age_ms)
{
	bool draining = cJSON_IsTrue(cJSON_GetObjectItem(beacon, "draining"));
	const char *state = age_ms > SILENT_MS ? draining ? "stopped" : "silent"
			    : draining         ? "draining"
					       : "up";

	cJSON_AddStringToObject(beacon, "state", state);
	json_add(beacon, "ageMs", age_ms);
}

static const char *text_of(const cJSON *beacon, const char *name)
{
	return cJSON_GetObjectItem(beacon, name)->valuestring;
}

cJSON *fleet_read(const struct beacon *self, const struct lock_answer *answer)
{
	cJSON *beacons = cJSON_CreateArray(), *own = beacon_compose(self);

	add_instance_state(own, 0);
	cJSON_AddBoolToObject(own, "self", true);
	cJSON_AddItemToArray(beacons, own);
	for (size_t i = 0; i < answer->beacon_count; i++) {
		cJSON *beacon = beacon_read(answer->beacons[i].text);

		if (beacon && strcmp(text_of(beacon, "id"), beacon_id(self)) != 0) {
			add_instance_state(beacon, answer->beacons[i].age_ms);
			cJSON_AddBoolToObject(beacon, "self", false);
			cJSON_AddItemToArray(beacons, beacon);
		} else {
			cJSON_Delete(beacon);
		}
	}
	return beacons;
}

bool fleet_is_stalled(const cJSON *beacons, const char *account)
{
	const cJSON *beacon, *name;

	cJSON_ArrayForEach (beacon, beacons) {
		cJSON_ArrayForEach (name, cJSON_GetObjectItem(beacon, "stalled")) {
			if (!strcmp(name->valuestring, account))
				return true;
		}
	}
	return false;
}

/* --- showing ---------------------------------------------------------------------------------- */

static void add_observed(const cJSON *beacons, cJSON *document)
{
	static const char *const names[] = { "joined",  "turn",   "queueTimeout", "queueFull",
					     "unknown", "waited", "waitMs" };
	cJSON *object = cJSON_AddObjectToObject(document, "observed");

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const cJSON *beacon;
		double sum = 0;

		cJSON_ArrayForEach (beacon, beacons)
			sum += cJSON_GetNumberValue(cJSON_GetObjectItem(
				cJSON_GetObjectItem(beacon, "observed"), names[i]));
		cJSON_AddNumberToObject(object, names[i], sum);
	}
}

static double time_of(const cJSON *rejection)
{
	return cJSON_GetNumberValue(cJSON_GetObjectItem(rejection, "at"));
}

static int latest_first(const void *a, const void *b)
{
	double x = time_of(*(cJSON *const *)a), y = time_of(*(cJSON *const *)b);

	return (x < y) - (x > y);
}

/* Takes the rejections out of the beacons. Each has a name for its instance, and a time as text. */
static size_t collect_rejections(cJSON *beacons, cJSON ***ret)
{
	size_t count = 0, max = 0;
	cJSON *beacon;

	cJSON_ArrayForEach (beacon, beacons)
		max += (size_t)cJSON_GetArraySize(cJSON_GetObjectItem(beacon, "rejections"));
	*ret = xcalloc(max + 1, sizeof **ret);
	cJSON_ArrayForEach (beacon, beacons) {
		cJSON *list = cJSON_DetachItemFromObject(beacon, "rejections"), *item;

		while ((item = cJSON_DetachItemFromArray(list, 0))) {
			cJSON_AddStringToObject(item, "instance", text_of(beacon, "instance"));
			(*ret)[count++] = item;
		}
		cJSON_Delete(list);
	}
	return count;
}

static void add_rejections(cJSON *beacons, cJSON *document)
{
	cJSON *list = cJSON_AddArrayToObject(document, "rejections");
	CLEANUP(freep) cJSON **all = NULL;
	size_t count = collect_rejections(beacons, &all);

	qsort(all, count, sizeof *all, latest_first);
	for (size_t i = 0; i < count; i++) {
		int64_t at_ms = (int64_t)time_of(all[i]);

		cJSON_DeleteItemFromObject(all[i], "at");
		json_add_time(all[i], "at", at_ms);
		if (i < REJECTIONS_MAX)
			cJSON_AddItemToArray(list, all[i]);
		else
			cJSON_Delete(all[i]);
	}
}

static int by_instance(const void *a, const void *b)
{
	const cJSON *x = *(cJSON *const *)a, *y = *(cJSON *const *)b;
	int r = strcmp(text_of(x, "instance"), text_of(y, "instance"));

	return r ? r : strcmp(text_of(x, "id"), text_of(y, "id"));
}

static void add_instances(cJSON *beacons, cJSON *document)
{
	size_t count = (size_t)cJSON_GetArraySize(beacons);
	CLEANUP(freep) cJSON **all = xcalloc(count + 1, sizeof *all);
	cJSON *list = cJSON_AddArrayToObject(document, "instances");

	for (size_t i = 0; i < count; i++)
		all[i] = cJSON_DetachItemFromArray(beacons, 0);
	qsort(all, count, sizeof *all, by_instance);
	for (size_t i = 0; i < count; i++) {
		int64_t started_ms =
			(int64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(all[i], "startedAt"));

		cJSON_DeleteItemFromObject(all[i], "startedAt");
		json_add_time(all[i], "startedAt", started_ms);
		cJSON_AddItemToArray(list, all[i]);
	}
}

void fleet_put(cJSON *beacons, cJSON *document)
{
	add_observed(beacons, document);
	add_rejections(beacons, document);
	add_instances(beacons, document);
	cJSON_Delete(beacons);
}
