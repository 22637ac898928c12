/*
 * tail.c - the incremental scanner.
 *
 * A state machine over bytes; each state's function eats as much as it can, so strings and numbers
 * run in tight loops and a piece of the body may end anywhere.
 *
 *      START ─> VALUE ─┬─> STRING <─> ESCAPE, HEX ──┐
 *                 ^    ├─> NUMBER ──────────────────┤
 *                 │    ├─> LITERAL ─────────────────┼─> NEXT (in a container) or END
 *                 │    └─> FIRST_KEY, FIRST_VALUE ──┘
 *                 └── COLON <─ STRING <─ KEY <── ","
 *
 * Containers are a stack of bits (object or array). Where we are on the path that matters is one
 * number, and whether it is the branch of the tools: `path` counts how many of the open containers,
 * from the outermost on, lie on it. When path == depth, the innermost one does, and its keys and values
 * are of interest (value_begins, value_ended); else everything is skipped.
 */
#include "request/tail.h"

#include "request/limits.h"
#include "request/number.h"
#include "request/plain.h"
#include "request/word.h"

enum state {
	START, /* 0: of a zeroed scanner */
	BOM,
	VALUE,
	FIRST_VALUE, /* or the end of an empty array */
	FIRST_KEY,   /* or the end of an empty object */
	KEY,
	COLON,
	NEXT, /* behind a value in a container */
	END,  /* behind the whole value */
	STRING,
	ESCAPE,
	HEX,
	LITERAL,
	NUMBER, /* where in it: t->number */
	BROKEN,
	NOT_A_NUMBER, /* broken by NaN or Infinity */
	TOO_DEEP,
};

/* The containers on the path: values of `path`; then those of the branch. */
enum place { NOWHERE, ROOT, MESSAGES, MESSAGE, CONTENT, BLOCK, TOOLS, TOOL };

/* From KEY_KEPT on: KEY_KEPT + an enum tail_member. */
enum key {
	KEY_OTHER,
	KEY_MESSAGES,
	KEY_ROLE,
	KEY_CONTENT,
	KEY_TYPE,
	KEY_TEXT,
	KEY_TOOL_MODEL,
	KEY_KEPT
};

static const struct {
	enum place place;
	int key;
	struct span word;
} keys[] = {
	{ ROOT, KEY_MESSAGES, { "messages", 8 } },
	{ ROOT, KEY_KEPT + TAIL_METADATA, { "metadata", 8 } },
	{ ROOT, KEY_KEPT + TAIL_MODEL, { "model", 5 } },
	{ ROOT, KEY_KEPT + TAIL_MAX_TOKENS, { "max_tokens", 10 } },
	{ ROOT, KEY_KEPT + TAIL_STREAM, { "stream", 6 } },
	{ ROOT, KEY_KEPT + TAIL_TOOLS, { "tools", 5 } },
	{ ROOT, KEY_KEPT + TAIL_OUTPUT_CONFIG, { "output_config", 13 } },
	{ MESSAGE, KEY_ROLE, { "role", 4 } },
	{ MESSAGE, KEY_CONTENT, { "content", 7 } },
	{ BLOCK, KEY_TYPE, { "type", 4 } },
	{ BLOCK, KEY_TEXT, { "text", 4 } },
	{ TOOL, KEY_TOOL_MODEL, { "model", 5 } },
};

/* Beyond this many bytes, a member that is kept says nothing that we ask for. */
static const size_t member_max[TAIL_MEMBERS] = {
	[TAIL_METADATA] = TAIL_METADATA_MAX,
	[TAIL_MODEL] = 1024,
	[TAIL_MAX_TOKENS] = 64,
	[TAIL_STREAM] = 16,
	[TAIL_TOOLS] = 64,
	[TAIL_OUTPUT_CONFIG] = 16 * 1024,
};

/* What a container must be to lie on the path, by the place it is in. */
static const struct {
	enum place in;
	int key; /* KEY_OTHER: whatever the key, there is none */
	bool is_object;
} steps[] = {
	{ NOWHERE, KEY_OTHER, true },  { ROOT, KEY_MESSAGES, false },
	{ MESSAGES, KEY_OTHER, true }, { MESSAGE, KEY_CONTENT, false },
	{ CONTENT, KEY_OTHER, true },  { ROOT, KEY_KEPT + TAIL_TOOLS, false },
	{ TOOLS, KEY_OTHER, true },
};

/* What "\x" stands for; 0: no such escape. */
static const char escapes[256] = {
	['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
	['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
};

static struct tail_text *text_of(struct tail *t)
{
	return t->path == BLOCK ? &t->block_text : &t->message.text;
}

static void text_add(struct tail *t, const char *data, size_t len)
{
	struct tail_text *text = text_of(t);

	len = MIN(len, sizeof text->first - text->len);
	memcpy(text->first + text->len, data, len);
	text->len += len;
	t->catching_text = text->len < sizeof text->first;
}

static bool is_reminder(const struct tail_text *text)
{
	return span_starts((struct span){ text->first, text->len }, SPAN("<system-reminder>"));
}

static enum place place_of(const struct tail *t)
{
	return (enum place)(t->in_tools && t->path > ROOT ? t->path - MESSAGES + TOOLS : t->path);
}

/* Whether a container that opens there is the next one on the path. */
static bool leads_on(const struct tail *t, bool is_object)
{
	enum place in = place_of(t);

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (steps[i].in == in && steps[i].is_object == is_object &&
		    (steps[i].key == KEY_OTHER || steps[i].key == t->key))
			return true;
	}
	return false;
}

static bool on_path(const struct tail *t)
{
	return t->path == t->depth;
}

static bool in_object(const struct tail *t)
{
	return t->levels[(t->depth - 1) / 8] >> ((t->depth - 1) % 8) & 1;
}

static void catch_string(struct tail *t)
{
	t->catching = true;
	t->word.used = t->word.total = 0;
}

/* A value that may be a text begins: one that came before doesn't count any more. */
static void catch_text(struct tail *t, char first)
{
	text_of(t)->len = text_of(t)->tags = 0;
	t->catching_text = first == '"';
	if (t->catching_text && (!t->message.has_role || t->message.role == TAIL_ROLE_USER))
		tags_begin(&t->tags);
}

/* Bytes of a string as they stand there: escapes are no part of a tag. */
static void search_tags(struct tail *t, const char *data, size_t len)
{
	if (t->tags.left)
		text_of(t)->tags |= tags_add(&t->tags, data, len);
}

static enum tail_content content_of(char first)
{
	switch (first) {
	case '"':
		return TAIL_CONTENT_STRING;
	case '[':
		return TAIL_CONTENT_ARRAY;
	case 'n':
		return TAIL_CONTENT_NONE;
	default:
		return TAIL_CONTENT_OTHER;
	}
}

/* A member of the body begins: a later duplicate makes us forget the earlier one. */
static void member_begins(struct tail *t)
{
	if (t->key == KEY_MESSAGES) {
		t->messages = 0;
		t->found = false;
	} else if (t->key >= KEY_KEPT) {
		t->keeping = 1 + t->key - KEY_KEPT;
		t->members[t->keeping - 1].json.len = 0;
		t->members[t->keeping - 1].too_long = false;
		if (t->keeping - 1 == TAIL_TOOLS)
			t->tool_families = 0;
	}
}

/* A value on the path begins with `first`; what is known of an earlier one of its name is void. */
static void value_begins(struct tail *t, char first)
{
	switch (place_of(t)) {
	case ROOT:
		member_begins(t);
		break;
	case MESSAGES:
		t->messages++;
		t->message = (struct tail_message){ .is_object = first == '{' };
		break;
	case MESSAGE:
		if (t->key == KEY_ROLE) {
			t->message.role = TAIL_ROLE_OTHER;
			t->message.has_role = true;
			if (first == '"')
				catch_string(t);
		} else if (t->key == KEY_CONTENT) {
			t->message.content = content_of(first);
			t->message.tool_result = false;
			t->message.tags = 0;
			catch_text(t, first);
		}
		break;
	case CONTENT:
		t->block_is_result = false;
		t->block_text.len = t->block_text.tags = 0;
		break;
	case BLOCK:
		if (t->key == KEY_TYPE) {
			t->block_is_result = false;
			if (first == '"')
				catch_string(t);
		} else if (t->key == KEY_TEXT) {
			catch_text(t, first);
		}
		break;
	case TOOL:
		if (t->key == KEY_TOOL_MODEL && first == '"')
			catch_string(t);
		break;
	case TOOLS:
	case NOWHERE:
		break;
	}
}

/* The end of a name is enough: what comes before the family there is a vendor's. */
static unsigned families_of(const struct tail_word *w)
{
	return limits_families((struct span){ w->last, w->used });
}

/* The string value that was caught: a role, a type, or a tool's model. */
static void value_caught(struct tail *t)
{
	enum place in = place_of(t);

	if (in == TOOL)
		t->tool_families |= families_of(&t->word);
	else if (in == BLOCK)
		t->block_is_result = word_is_tool_result(&t->word);
	else if (word_is(&t->word, SPAN("user")))
		t->message.role = TAIL_ROLE_USER;
	else if (word_is(&t->word, SPAN("system")))
		t->message.role = TAIL_ROLE_SYSTEM;
}

static void key_caught(struct tail *t)
{
	enum place in = place_of(t);

	t->key = KEY_OTHER;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (keys[i].place != in || t->word.total < keys[i].word.len)
			continue;
		if (word_is(&t->word, keys[i].word))
			t->key = keys[i].key;
		else if (keys[i].key < KEY_TEXT && word_folds(&t->word, keys[i].word))
			t->odd_keys = true;
	}
}

static void member_add(struct tail *t, int member, const char *data, const char *end)
{
	size_t len = (size_t)(end - data);

	if (t->members[member].json.len + len <= member_max[member]) {
		buf_append(&t->members[member].json, data, len);
		return;
	}
	t->members[member].too_long = true;
	t->keeping = 0;
}

static void block_ended(struct tail *t)
{
	if (t->block_is_result)
		t->message.tool_result = true;
	t->message.tags |= t->block_text.tags;
	if (t->block_text.len && !is_reminder(&t->block_text))
		t->message.text = t->block_text;
}

/* A value has ended; its container is the innermost one again. */
static void value_ended(struct tail *t)
{
	t->state = t->depth ? NEXT : END;
	if (!on_path(t))
		return;
	if (t->path == ROOT) {
		t->keeping = 0;
	} else if (place_of(t) == MESSAGES && t->message.role != TAIL_ROLE_SYSTEM) {
		t->last = t->message;
		t->found = true;
	} else if (t->path == CONTENT) {
		block_ended(t);
	}
}

static void container_opens(struct tail *t, bool is_object)
{
	uint8_t bit = (uint8_t)(1 << t->depth % 8);

	t->is_object = t->is_object || (is_object && !t->depth);
	if (t->depth == TAIL_DEPTH_MAX) {
		t->state = TOO_DEEP;
		return;
	}
	if (t->depth == 8 * t->levels_cap) {
		t->levels_cap = t->levels_cap ? 2 * t->levels_cap : 16;
		t->levels = xrealloc(t->levels, t->levels_cap);
	}
	if (on_path(t) && leads_on(t, is_object)) {
		t->in_tools = t->path == ROOT ? t->key != KEY_MESSAGES : t->in_tools;
		t->path++;
	}
	t->levels[t->depth / 8] &= (uint8_t)~bit;
	t->levels[t->depth / 8] |= is_object ? bit : 0;
	t->depth++;
	t->state = is_object ? FIRST_KEY : FIRST_VALUE;
}

static void container_closes(struct tail *t, char c)
{
	if (in_object(t) != (c == '}')) {
		t->state = BROKEN;
		return;
	}
	if (on_path(t))
		t->path--;
	t->depth--;
	value_ended(t);
}

static void key_opens(struct tail *t, char c)
{
	t->state = c == '"' ? STRING : BROKEN;
	t->in_key = true;
	if (on_path(t))
		catch_string(t);
}

static void literal_opens(struct tail *t, const char *rest)
{
	t->state = LITERAL;
	t->literal = rest;
}

static void value_opens(struct tail *t, char c)
{
	if (on_path(t))
		value_begins(t, c);
	if (c == '"')
		t->state = STRING;
	else if (c == '{' || c == '[')
		container_opens(t, c == '{');
	else if (c == 't')
		literal_opens(t, "rue");
	else if (c == 'f')
		literal_opens(t, "alse");
	else if (c == 'n')
		literal_opens(t, "ull");
	else if (c == '-' || (c >= '0' && c <= '9'))
		t->state = NUMBER, t->number = number_first(c);
	else
		t->state = c == 'N' || c == 'I' ? NOT_A_NUMBER : BROKEN;
}

/* A byte between tokens. */
static void punctuation(struct tail *t, char c)
{
	bool closing = c == '}' || c == ']';

	if (c == ' ' || c == '\n' || c == '\r' || c == '\t')
		t->state = t->state == START ? VALUE : t->state;
	else if (t->state == START && c == '\xef')
		t->state = BOM, t->literal = "\xbb\xbf";
	else if (t->state == START || t->state == VALUE || (t->state == FIRST_VALUE && c != ']'))
		value_opens(t, c);
	else if (t->state == KEY || (t->state == FIRST_KEY && c != '}'))
		key_opens(t, c);
	else if (t->state == COLON && c == ':')
		t->state = VALUE;
	else if (t->state == NEXT && c == ',')
		t->state = in_object(t) ? KEY : VALUE;
	else if (closing && t->state != COLON && t->state != END)
		container_closes(t, c);
	else
		t->state = BROKEN;
}

static void string_ended(struct tail *t)
{
	bool caught = t->catching;

	t->catching = t->catching_text = false;
	t->tags.left = 0;
	if (t->in_key) {
		t->in_key = false;
		t->state = COLON;
		if (caught)
			key_caught(t);
		return;
	}
	if (caught)
		value_caught(t);
	value_ended(t);
}

/* Behind the two-byte escapes at `p`: source code comes with several in a row. */
static const char *skip_escapes(const char *p, const char *end)
{
	while (end - p >= 2 && *p == '\\' && escapes[(unsigned char)p[1]])
		p += 2;
	return p;
}

static const char *in_string(struct tail *t, const char *p, const char *end)
{
	for (;;) {
		const char *stop = plain_end(p, end);

		if (t->catching)
			word_add(&t->word, p, (size_t)(stop - p));
		if (t->catching_text)
			text_add(t, p, (size_t)(stop - p));
		search_tags(t, p, (size_t)(stop - p));
		if (stop == end)
			return end;
		if (*stop == '"') {
			string_ended(t);
			return stop + 1;
		}
		if (*stop != '\\') {
			t->state = BROKEN;
			return end;
		}
		p = t->catching || t->catching_text
			    ? stop
			    : skip_escapes(skip_simple_blocks(stop, end), end);
		if (p == stop) {
			t->state = ESCAPE;
			return stop + 1;
		}
		search_tags(t, stop, (size_t)(p - stop));
	}
}

static void in_escape(struct tail *t, char c)
{
	char decoded = escapes[(unsigned char)c];

	if (c == 'u') {
		t->state = HEX;
		t->hex = 0;
		t->left = 4;
		return;
	}
	t->state = decoded ? STRING : BROKEN;
	if (t->catching)
		word_add(&t->word, &decoded, 1);
	if (t->catching_text)
		text_add(t, &decoded, 1);
	search_tags(t, &decoded, 1);
}

static void in_hex(struct tail *t, char c)
{
	char lower = (char)(c | 0x20);
	char decoded;

	if (c >= '0' && c <= '9') {
		t->hex = t->hex << 4 | (unsigned)(c - '0');
	} else if (lower >= 'a' && lower <= 'f') {
		t->hex = t->hex << 4 | (unsigned)(lower - 'a' + 10);
	} else {
		t->state = BROKEN;
		return;
	}
	if (--t->left)
		return;
	t->state = STRING;
	decoded = t->hex < 0x80 ? (char)t->hex : '\xff'; /* our words are ASCII: that can't match */
	if (t->catching)
		word_add(&t->word, &decoded, 1);
	if (t->catching_text)
		text_add(t, &decoded, 1);
	search_tags(t, &decoded, 1);
}

static void in_literal(struct tail *t, char c)
{
	if (c != *t->literal)
		t->state = BROKEN;
	else if (*++t->literal)
		return;
	else if (t->state == BOM)
		t->state = VALUE;
	else
		value_ended(t);
}

/* A byte that can't belong to the number is left for the state that follows. */
static const char *in_number(struct tail *t, const char *p, const char *end)
{
	for (; p < end; p++) {
		enum number_state next = number_next(t->number, *p);

		if (next == NUMBER_NONE) {
			if (number_may_end(t->number))
				value_ended(t);
			else
				t->state = t->number == NUMBER_MINUS && *p == 'I' ? NOT_A_NUMBER
										  : BROKEN;
			return p;
		}
		t->number = next;
	}
	return p;
}

/* Eats at least a byte, or changes the state. */
static const char *step(struct tail *t, const char *p, const char *end)
{
	switch ((enum state)t->state) {
	case STRING:
		return in_string(t, p, end);
	case ESCAPE:
		in_escape(t, *p);
		return p + 1;
	case HEX:
		in_hex(t, *p);
		return p + 1;
	case BOM:
	case LITERAL:
		in_literal(t, *p);
		return p + 1;
	case NUMBER:
		return in_number(t, p, end);
	case BROKEN:
	case NOT_A_NUMBER:
	case TOO_DEEP:
		return end;
	default:
		punctuation(t, *p);
		return p + 1;
	}
}

void tail_feed(struct tail *t, const char *data, size_t len)
{
	const char *p = data, *end = data + len;

	while (p < end) {
		const char *from = p;
		int before = t->keeping;

		p = step(t, p, end);
		if (before || t->keeping)
			member_add(t, (before ? before : t->keeping) - 1, from, p);
	}
}

static enum tail_status status_of(const struct tail *t)
{
	switch ((enum state)t->state) {
	case END:
		return TAIL_OK;
	case NUMBER:
		return !t->depth && number_may_end(t->number) ? TAIL_OK : TAIL_NOT_JSON;
	case TOO_DEEP:
		return TAIL_TOO_DEEP;
	case NOT_A_NUMBER:
		return TAIL_NOT_A_NUMBER;
	default:
		return TAIL_NOT_JSON;
	}
}

void tail_finish(struct tail *t, struct tail_facts *ret)
{
	*ret = (struct tail_facts){ .status = status_of(t), .is_object = t->is_object };
	ret->odd_keys = t->odd_keys;
	if (ret->status != TAIL_OK)
		return;
	ret->messages = t->messages;
	ret->tool_families = t->tool_families;
	ret->only_system = t->messages && !t->found;
	if (t->found)
		ret->last = t->last;
	ret->last.tags |= ret->last.text.tags;
	for (int i = 0; i < TAIL_MEMBERS; i++) {
		ret->members[i].too_long = t->members[i].too_long;
		if (t->members[i].json.len && !t->members[i].too_long)
			ret->members[i].json = buf_span(&t->members[i].json);
	}
}

void tail_clear(struct tail *t)
{
	free(t->levels);
	for (int i = 0; i < TAIL_MEMBERS; i++)
		buf_clear(&t->members[i].json);
	*t = (struct tail){ 0 };
}
