/*
 * api_error.h - what an error says of itself, from the beginning of its body.
 *
 *      {"type":"error","error":{"type":…,"message":…,"details":{"error_code":…}},"request_id":…}
 *
 * That is the API's shape (platform.claude.com/docs/en/api/errors). Relays write others, such as
 * {"error":"text"}: what can be found of them is taken. The text may end anywhere, as only a body's
 * first bytes are kept.
 */
#pragma once

#include <stdbool.h>

#include "base/span.h"

enum { API_ERROR_WORD = 48, API_ERROR_MESSAGE = 160 };

/* Terminated, cut where too long, empty where not said. Bytes beyond printable ASCII are "?". */
struct api_error {
	char type[API_ERROR_WORD];
	char code[API_ERROR_WORD]; /* details.error_code, or code */
	char message[API_ERROR_MESSAGE];
	bool is_api;      /* it has the API's shape, as far as it goes */
	bool has_request; /* it names its request, which only the API does */
};

/* Reads `text`, whatever it is: nothing found is an empty *ret. */
void api_error_read(struct span text, struct api_error *ret);
