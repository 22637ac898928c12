/*
 * tail.h - the incremental scanner: what the last message of a body is, while its bytes arrive.
 *
 * One pass, any split, no tree. It validates the whole body as JSON and remembers facts along one
 * path only; all else is skipped at memory speed:
 *
 *      { "messages": [ { "role": …, "content": [ { "type": …, "text": … }, … ] }, … ], "model": … }
 *      1             2 3                       4 5                                     (kept, if short)
 *
 * and which families of models the tools name: "tools": [ { "model": … }, … ].
 *
 * The facts are those of the last element of the last "messages" whose role isn't "system", so
 * nothing has to be parsed again when the body has ended, however large that message is. Within
 * every object on the path the last duplicate of a key counts; keys and words are compared after
 * decoding their escapes, exactly (case, length, and "\u0000" too). Memory: this struct, a bit a
 * nesting level, and the bytes of the members that are kept; all three are bounded.
 *
 * What counts as JSON: the grammar of RFC 8259, to the letter (structure, literals, numbers,
 * escapes, no control characters in strings, nothing but white space behind the value). On
 * purpose it is laxer in three points, where common parsers of relays are as well:
 *  - a UTF-8 byte order mark may come first (section 8.1 allows to ignore it);
 *  - that strings are valid UTF-8 isn't checked;
 *  - lone surrogates ("\ud83d") are let through, as in ECMAScript: clients that cut a text within
 *    an emoji do send them. Numbers may have any size.
 * A body nested deeper than TAIL_DEPTH_MAX isn't read to its end: TAIL_TOO_DEEP.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/span.h"
#include "request/number.h"
#include "request/tags.h"

enum {
	TAIL_DEPTH_MAX = 1 << 20,      /* levels; a bit each */
	TAIL_METADATA_MAX = 64 * 1024, /* bytes as received; a longer `metadata` counts as absent */
	TAIL_WORD_MAX = 64, /* no word that we look for is longer; of a model its end is enough */
	TAIL_TEXT_MAX = 32, /* of a text, decoded bytes from its beginning */
};

/* Members of the body that are kept as received, if they aren't too long for what they say. */
enum tail_member {
	TAIL_METADATA,
	TAIL_MODEL,
	TAIL_MAX_TOKENS,
	TAIL_STREAM,
	TAIL_TOOLS,
	TAIL_OUTPUT_CONFIG,
	TAIL_MEMBERS,
};

enum tail_status {
	TAIL_OK,
	TAIL_NOT_JSON,     /* malformed, empty or cut short */
	TAIL_NOT_A_NUMBER, /* malformed by NaN, Infinity or -Infinity, which some parsers take */
	TAIL_TOO_DEEP,
};

enum tail_role { TAIL_ROLE_OTHER, TAIL_ROLE_USER, TAIL_ROLE_SYSTEM }; /* OTHER: absent as well */

enum tail_content {
	TAIL_CONTENT_NONE, /* absent or null */
	TAIL_CONTENT_STRING,
	TAIL_CONTENT_ARRAY,
	TAIL_CONTENT_OTHER,
};

/* How a text begins: bytes beyond ASCII that were written as \u escapes stand there as 0xff. */
struct tail_text {
	char first[TAIL_TEXT_MAX];
	size_t len;    /* 0: there is none, or it is empty */
	unsigned tags; /* found near its beginning (tags.h), if its role may be "user" */
};

struct tail_message {
	bool is_object;
	bool has_role; /* whatever it is */
	enum tail_role role;
	enum tail_content content;
	bool tool_result;      /* content is an array, and one of its objects is a tool's result */
	struct tail_text text; /* content, or the last `text` in it but for <system-reminder>s */
	unsigned tags;         /* of all its texts, reminders too */
};

struct tail_facts {
	enum tail_status status;
	bool is_object; /* the body is one, or at least begins one */
	bool odd_keys; /* a key on the path is one of ours in other case: Go's encoding/json takes it */
	/* the rest is set with TAIL_OK only */
	size_t messages;          /* elements of "messages", 0 if it is absent or no array */
	unsigned tool_families;   /* of the models that tools name, see limits_families() */
	bool only_system;         /* there are some, but none counts: `last` isn't set */
	struct tail_message last; /* the last one that isn't a system message */
	struct {
		struct span json; /* owned by the scanner; NULL ptr: absent or too long */
		bool too_long;
	} members[TAIL_MEMBERS]; /* by enum tail_member */
};

/* The end of a string's decoded bytes: enough to compare it with the words that we look for. */
struct tail_word {
	char last[2 * TAIL_WORD_MAX]; /* at least the last TAIL_WORD_MAX bytes, `used` of them */
	size_t used;
	size_t total; /* length of the whole string */
};

/* A zeroed one is ready for the first byte. The members are tail.c's. */
struct tail {
	int state;
	size_t depth;  /* open containers */
	size_t path;   /* how many of them, from the outermost on, lie on the path above: 0 to 5 */
	bool in_tools; /* … and from the second on they are those of tools */
	uint8_t *levels; /* a bit each: set for an object */
	size_t levels_cap;

	int key;            /* the last key, if its object is on the path */
	bool in_key;        /* the string being read is a key */
	bool catching;      /* … and its bytes go to `word` */
	bool catching_text; /* … and to the text, while that isn't full */
	unsigned hex, left; /* of a \u escape: value so far, digits to come */
	enum number_state number;
	const char *literal; /* what has to come of a literal or byte order mark */
	struct tail_word word;
	struct tags tags; /* the search in the text being read */

	bool is_object, odd_keys; /* as in the facts */
	unsigned tool_families;   /* the same */
	size_t messages;
	bool found;                        /* `last` is set */
	struct tail_message message, last; /* the one being read; the last one that counts */
	bool block_is_result;              /* the content block being read is a tool's result */
	struct tail_text block_text;       /* … and its text */

	int keeping; /* 1 + the member whose value is being read; 0: none, or not any more */
	struct {
		struct buf json;
		bool too_long;
	} members[TAIL_MEMBERS];
};

/* The next bytes. Doesn't keep `data`. Never fails: errors are told by tail_finish(). */
void tail_feed(struct tail *t, const char *data, size_t len);

/* The body has ended. The facts are valid until tail_clear(). Call it once. */
void tail_finish(struct tail *t, struct tail_facts *ret);

/* Frees; the scanner is as new. May be called twice. */
void tail_clear(struct tail *t);
