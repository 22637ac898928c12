/*
 * unclear.h - bodies that a relay may read in another way than we do. They are gated (KIND_UNCLEAR),
 * as whoever is wrongly gated only waits, and whoever is wrongly let through is past the line.
 *
 *   wide_text         UTF-16 or UTF-32, by a byte order mark or a NUL as one of the first two
 *                     bytes (RFC 4627, section 3): Python's json.loads() finds that out by itself.
 *   content_type      a charset that isn't a superset of ASCII (Express decodes UTF-7, -16 and -32),
 *                     or a type that isn't JSON: in "x-www-form-urlencoded" or YAML the same bytes
 *                     can say something else.
 *   not_a_number      NaN, Infinity: Python takes them.
 *   odd_json          begins as a JSON object and isn't JSON to the letter. Go's decoder stops at the
 *                     object's end and takes whatever follows; others take control characters.
 *   odd_keys          "Messages", "ROLE": Go's encoding/json ignores case.
 *   content_coding    a coding that we don't undo, or several.
 *   coding_broken     a body that isn't what its coding says: most relays ignore the field, and read
 *                     plain JSON. So does one that begins like JSON though a coding could be undone.
 *   coding_too_large  grows beyond the limits of what we undo.
 *
 * An empty body, and one that begins no JSON object and pretends nothing else, is nothing to anybody:
 * not_json, which passes.
 */
#pragma once

#include "base/header.h"
#include "base/mem.h"
#include "request/decode.h"
#include "request/reason.h"
#include "request/tail.h"

enum { UNCLEAR_FIRST = 2 };

/* The first bytes of a body. */
struct unclear_first {
	char bytes[UNCLEAR_FIRST];
	size_t len;
};

struct unclear_evidence {
	const struct headers *headers;
	const struct tail_facts *facts;
	enum decode_status decoded;
	bool coded;                        /* it has a content coding */
	struct unclear_first raw, content; /* as received; decoded */
};

/* Adds what of `data` belongs to the first bytes. */
void unclear_add(struct unclear_first *first, const char *data, size_t len);

/* The reason why a body is unclear, or else `reason`, which classify() found. Pure. */
enum request_reason unclear_or(enum request_reason reason, const struct unclear_evidence *evidence)
	MUST_USE;
