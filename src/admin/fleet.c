/*
 * fleet.c - the notes of all processes, put together.
 */
#include "admin/fleet.h"

#include <stdlib.h>
#include <string.h>

#include "admin/json.h"

enum {
	SILENT_MS = 5000, /* a process that hasn't written for so long: five notes are missing */
	REJECTIONS_MAX = 50,
};

/* --- reading ---------------------------------------------------------------------------------- */

static void add_instance_state(cJSON *note, int64_t age_ms)
{
	bool draining = cJSON_IsTrue(cJSON_GetObjectItem(note, "draining"));
	const char *state = age_ms > SILENT_MS ? draining ? "stopped" : "silent"
			    : draining         ? "draining"
					       : "up";

	cJSON_AddStringToObject(note, "state", state);
	json_add(note, "ageMs", age_ms);
}

static const char *text_of(const cJSON *note, const char *name)
{
	return cJSON_GetObjectItem(note, name)->valuestring;
}

cJSON *fleet_read(const struct note *self, const struct lock_answer *answer)
{
	cJSON *notes = cJSON_CreateArray(), *own = note_compose(self);

	add_instance_state(own, 0);
	cJSON_AddBoolToObject(own, "self", true);
	cJSON_AddItemToArray(notes, own);
	for (size_t i = 0; i < answer->note_count; i++) {
		cJSON *note = note_read(answer->notes[i].text);

		if (note && strcmp(text_of(note, "id"), note_id(self)) != 0) {
			add_instance_state(note, answer->notes[i].age_ms);
			cJSON_AddBoolToObject(note, "self", false);
			cJSON_AddItemToArray(notes, note);
		} else {
			cJSON_Delete(note);
		}
	}
	return notes;
}

bool fleet_is_stalled(const cJSON *notes, const char *account)
{
	const cJSON *note, *name;

	cJSON_ArrayForEach (note, notes) {
		cJSON_ArrayForEach (name, cJSON_GetObjectItem(note, "stalled")) {
			if (!strcmp(name->valuestring, account))
				return true;
		}
	}
	return false;
}

/* --- showing ---------------------------------------------------------------------------------- */

static void add_observed(const cJSON *notes, cJSON *document)
{
	static const char *const names[] = { "joined",  "turn",   "queueTimeout", "queueFull",
					     "unknown", "waited", "waitMs" };
	cJSON *object = cJSON_AddObjectToObject(document, "observed");

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const cJSON *note;
		double sum = 0;

		cJSON_ArrayForEach (note, notes)
			sum += cJSON_GetNumberValue(cJSON_GetObjectItem(
				cJSON_GetObjectItem(note, "observed"), names[i]));
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

/* Takes the rejections out of the notes. Each has a name for its instance, and a time as text. */
static size_t collect_rejections(cJSON *notes, cJSON ***ret)
{
	size_t count = 0, max = 0;
	cJSON *note;

	cJSON_ArrayForEach (note, notes)
		max += (size_t)cJSON_GetArraySize(cJSON_GetObjectItem(note, "rejections"));
	*ret = xcalloc(max + 1, sizeof **ret);
	cJSON_ArrayForEach (note, notes) {
		cJSON *list = cJSON_DetachItemFromObject(note, "rejections"), *item;

		while ((item = cJSON_DetachItemFromArray(list, 0))) {
			cJSON_AddStringToObject(item, "instance", text_of(note, "instance"));
			(*ret)[count++] = item;
		}
		cJSON_Delete(list);
	}
	return count;
}

static void add_rejections(cJSON *notes, cJSON *document)
{
	cJSON *list = cJSON_AddArrayToObject(document, "rejections");
	CLEANUP(freep) cJSON **all = NULL;
	size_t count = collect_rejections(notes, &all);

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

static void add_instances(cJSON *notes, cJSON *document)
{
	size_t count = (size_t)cJSON_GetArraySize(notes);
	CLEANUP(freep) cJSON **all = xcalloc(count + 1, sizeof *all);
	cJSON *list = cJSON_AddArrayToObject(document, "instances");

	for (size_t i = 0; i < count; i++)
		all[i] = cJSON_DetachItemFromArray(notes, 0);
	qsort(all, count, sizeof *all, by_instance);
	for (size_t i = 0; i < count; i++) {
		int64_t started_ms =
			(int64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(all[i], "startedAt"));

		cJSON_DeleteItemFromObject(all[i], "startedAt");
		json_add_time(all[i], "startedAt", started_ms);
		cJSON_AddItemToArray(list, all[i]);
	}
}

void fleet_put(cJSON *notes, cJSON *document)
{
	add_observed(notes, document);
	add_rejections(notes, document);
	add_instances(notes, document);
	cJSON_Delete(notes);
}
