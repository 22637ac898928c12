/*
 * generate.c - bodies that resemble requests.
 *
 * A generator that knows the format: on each level of the path that the scanner follows it favours
 * the keys and words that matter, near misses of them (case, prefix, suffix, a NUL behind),
 * duplicates, values of the wrong type, and escapes where plain characters would do.
 */
#include "generate.h"

#include "mutate.h"

enum { NEST_MAX = 40 };

static const char *pick(struct random *r, const char *const *words, size_t n)
{
	return words[random_below(r, n)];
}
#define PICK(r, ...)                                  \
	pick(r, (const char *const[]){ __VA_ARGS__ }, \
	     sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static void white(struct random *r, struct buf *b)
{
	if (random_chance(r, 4))
		buf_puts(b, PICK(r, " ", "\n", "\t", "\r\n", "    "));
}

/* A string whose characters are escaped now and then. */
static void string(struct random *r, struct buf *b, const char *s)
{
	bool escape = random_chance(r, 4);

	buf_puts(b, "\"");
	for (; *s; s++) {
		if (escape && random_chance(r, 3))
			buf_printf(b, random_chance(r, 2) ? "\\u%04x" : "\\u%04X",
				   (unsigned char)*s);
		else
			buf_append(b, s, 1);
	}
	if (random_chance(r, 40))
		buf_puts(b, "\\u0000");
	buf_puts(b, "\"");
}

static void text(struct random *r, struct buf *b)
{
	size_t n = random_below(r, random_chance(r, 20) ? 400 : 12);

	buf_puts(b, "\"");
	for (size_t i = 0; i < n; i++)
		buf_puts(b, PICK(r, "a", "hello ", "\\n", "\\\"", "\\\\", "\\/", "\\u00e9", "é",
				 "{", "}", "]", ",", ":", "\\ud83d\\ude00", "tool_result",
				 "\\\"role\\\":\\\"user\\\"", "0123456789abcdef"));
	if (random_chance(r, 60))
		buf_puts(b, PICK(r, "\\ud83d", "\\udc00", "\\u0000", "\x7f", "\xff"));
	buf_puts(b, "\"");
}

static void scalar(struct random *r, struct buf *b)
{
	if (random_chance(r, 3))
		text(r, b);
	else
		buf_puts(b,
			 PICK(r, "null", "true", "false", "0", "-0", "1", "-12.50", "1e9", "0.1E-7",
			      "123456789012345678901234567890", "1e999", "\"\"", "{}", "[]"));
}

/* Something nested that isn't on the path, though its keys say so. */
static void nested(struct random *r, struct buf *b)
{
	bool object[NEST_MAX];
	size_t depth = random_below(r, random_chance(r, 10) ? NEST_MAX : 5);

	for (size_t i = 0; i < depth; i++) {
		object[i] = random_chance(r, 2);
		buf_puts(b, object[i] ? "{" : "[");
		white(r, b);
		if (object[i]) {
			string(r, b,
			       PICK(r, "messages", "role", "content", "type", "metadata", "x"));
			buf_puts(b, ":");
		}
	}
	scalar(r, b);
	for (; depth > 0; depth--) {
		if (random_chance(r, 4))
			buf_puts(b, object[depth - 1] ? ",\"type\":\"tool_result\"" : ",1");
		buf_puts(b, object[depth - 1] ? "}" : "]");
	}
}

/* The members of an object or array, each written by `one`; empty now and then. */
static void list(struct random *r, struct buf *b, const char *brackets, size_t most,
		 void (*one)(struct random *r, struct buf *b))
{
	size_t n = random_below(r, most + 1);

	buf_append(b, brackets, 1);
	white(r, b);
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_puts(b, ",");
		white(r, b);
		one(r, b);
		white(r, b);
	}
	buf_append(b, brackets + 1, 1);
}

static void colon(struct random *r, struct buf *b)
{
	white(r, b);
	buf_puts(b, ":");
	white(r, b);
}

static void block_member(struct random *r, struct buf *b)
{
	if (!random_chance(r, 3)) {
		string(r, b,
		       random_chance(r, 8) ? PICK(r, "Type", "type ", "typ", "types") : "type");
		colon(r, b);
		if (random_chance(r, 8))
			nested(r, b);
		else
			string(r, b,
			       PICK(r, "text", "text", "image", "tool_result", "tool_result",
				    "tool_use_result", "web_search_tool_result", "_tool_result",
				    "tool_results", "Tool_result", "xtool_result", "tool_resul",
				    "mcp_tool_result_", "a_very_long_name_of_some_tool_result",
				    "é_tool_result"));
		return;
	}
	string(r, b,
	       PICK(r, "text", "text", "text", "tool_use_id", "content", "is_error",
		    "cache_control"));
	colon(r, b);
	if (random_chance(r, 2))
		nested(r, b);
	else
		string(r, b,
		       PICK(r, "<system-reminder>x", "<system-reminder", "<transcript>\\n{}", "",
			    "<task-notification>", "<session>", "what is a turnstile, and why?",
			    "0123456789abcdef0123456789abcdef0123456789abcdef"));
}

static void block(struct random *r, struct buf *b)
{
	if (random_chance(r, 10))
		nested(r, b);
	else
		list(r, b, "{}", 3, block_member);
}

static void content(struct random *r, struct buf *b)
{
	if (random_chance(r, 3))
		text(r, b);
	else if (random_chance(r, 6))
		nested(r, b);
	else
		list(r, b, "[]", 4, block);
}

static void content_member(struct random *r, struct buf *b)
{
	string(r, b, "content");
	colon(r, b);
	content(r, b);
}

static void role_member(struct random *r, struct buf *b)
{
	string(r, b, random_chance(r, 12) ? PICK(r, "Role", "rol", "role ", "roles") : "role");
	colon(r, b);
	if (random_chance(r, 12))
		nested(r, b);
	else
		string(r, b,
		       PICK(r, "user", "user", "user", "user", "system", "system", "assistant",
			    "User", "SYSTEM", "system ", "use", ""));
}

static void message_member(struct random *r, struct buf *b)
{
	size_t what = random_below(r, 10);

	if (what < 4) {
		content_member(r, b);
	} else if (what < 8) {
		role_member(r, b);
	} else {
		string(r, b, PICK(r, "name", "id", "Content", "contents"));
		colon(r, b);
		nested(r, b);
	}
}

static void usual_message(struct random *r, struct buf *b)
{
	buf_puts(b, "{\"role\":\"user\",");
	content_member(r, b);
	if (random_chance(r, 6)) {
		buf_puts(b, ",");
		message_member(r, b);
	}
	buf_puts(b, "}");
}

static void message(struct random *r, struct buf *b)
{
	if (random_chance(r, 12))
		nested(r, b);
	else if (random_chance(r, 2))
		usual_message(r, b);
	else
		list(r, b, "{}", 4, message_member);
}

static void metadata(struct random *r, struct buf *b)
{
	if (random_chance(r, 3))
		nested(r, b);
	else
		buf_printf(b, "{\"user_id\":\"user_%zx_account_%zx_session_%zx\"}",
			   random_below(r, 99), random_below(r, 99), random_below(r, 99));
}

static void messages_member(struct random *r, struct buf *b)
{
	string(r, b,
	       random_chance(r, 20) ? PICK(r, "Messages", "message", "messages ") : "messages");
	colon(r, b);
	if (random_chance(r, 12))
		nested(r, b);
	else
		list(r, b, "[]", 5, message);
}

static void body_member(struct random *r, struct buf *b)
{
	size_t what = random_below(r, 10);

	if (what < 5) {
		messages_member(r, b);
	} else if (what < 7) {
		string(r, b, "metadata");
		colon(r, b);
		metadata(r, b);
	} else {
		string(r, b,
		       PICK(r, "model", "system", "tools", "max_tokens", "stream", "output_config",
			    "Stream", "tool", ""));
		colon(r, b);
		nested(r, b);
	}
}

static void usual_body(struct random *r, struct buf *b)
{
	buf_puts(b, "{");
	messages_member(r, b);
	for (size_t more = random_below(r, 3); more > 0; more--) {
		buf_puts(b, ",");
		white(r, b);
		body_member(r, b);
	}
	buf_puts(b, "}");
}

void generate_body(struct random *r, struct buf *body)
{
	body->len = 0;
	if (random_chance(r, 50))
		buf_puts(body, "\xef\xbb\xbf");
	white(r, body);
	if (random_chance(r, 30))
		nested(r, body);
	else if (random_chance(r, 2))
		usual_body(r, body);
	else
		list(r, body, "{}", 5, body_member);
	white(r, body);
}

void mutate_body(struct random *r, struct buf *body)
{
	static const char *const tokens[] = {
		"\"",
		"\\",
		"{",
		"}",
		"[",
		"]",
		",",
		":",
		"null",
		"-",
		"01",
		"1.",
		".5",
		"1e",
		"\\u",
		"\\x",
		"\n",
		"\x01",
		"tru",
		"NaN",
		"\xef\xbb\xbf",
		"'",
		"//",
		"\\ud800",
		",\"role\":\"system\"",
		",\"type\":\"text\"",
	};

	mutate(r, body, tokens, ARRAY_SIZE(tokens));
}
