/*
 * json.h - what cJSON has no function for.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Adds a number: exact up to 2^53. */
void json_add(cJSON *object, const char *name, int64_t number);

/* The same, or null if it isn't known. */
void json_add_known(cJSON *object, const char *name, bool known, int64_t number);

/* A text; null for NULL and for none. */
void json_add_text(cJSON *object, const char *name, const char *text);

/* Appends "2026-11-22T10:00:00.000Z"; nothing for what no calendar has. */
void json_time_text(int64_t wall_ms, struct buf *to);

/* The same as a member; null for 0. */
void json_add_time(cJSON *object, const char *name, int64_t wall_ms);
