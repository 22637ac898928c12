/*
 * metadata.h - what a client says of itself in `metadata.user_id`. Two forms, both a JSON string
 * (observed from Claude Code 2.0, and from 2.1 on):
 *
 *      user_<device>_account_<uuid or nothing>_session_<uuid>
 *      {"device_id":"…","account_uuid":"<uuid or empty>","session_id":"<uuid>", …}
 *
 * Within metadata and within the second form the last duplicate of a key counts, as elsewhere.
 */
#pragma once

#include "base/span.h"

/* Trimmed and not empty; NULL: not said. A zeroed one says nothing. */
struct metadata {
	char *device_id, *account_uuid, *session_id;
};

/* Reads the JSON value of that member (empty: there is none). Ended by metadata_clear(). */
void metadata_read(struct span json, struct metadata *ret);

/* May be called twice. */
void metadata_clear(struct metadata *m);
