/*
 * test_exempt.c - who passes by queue.exempt or an account's section, and how long the others wait.
 *
 * In bodies ' stands for ". Each is fed whole and byte by byte. Paths are relative to SOURCE_ROOT.
 */
#include "check.h"
#include "config/addresses.h"
#include "request/request.h"

#include <unistd.h>

#define USER(content) "'messages':[{'role':'user','content':" content "}]"
#define TEXTS(blocks) USER("[" blocks "]")
#define TEXT(text)    "{'type':'text','text':'" text "'}"
#define SCHEMA(props) "'output_config':{'format':{'schema':{'properties':" props "}}}"
#define TITLE         SCHEMA("{'title':{}}")
#define PROMPT        USER("'hi'")
#define REMINDER      TEXT("<system-reminder>\\nbe nice</system-reminder>")
#define NOTE          "<task-notification>\\n<id>1</id>"
#define LONG_SPACE    "                                                                        "

/* Named kinds, all of them, in an order that lets each be seen. */
static struct exempt_rule named[] = {
	{ EXEMPT_PROBE, NULL, NULL },        { EXEMPT_TITLE, NULL, NULL },
	{ EXEMPT_SUBAGENT, NULL, NULL },     { EXEMPT_CLASSIFIER, NULL, NULL },
	{ EXEMPT_NOTIFICATION, NULL, NULL }, { EXEMPT_NONE, NULL, NULL },
};

static const struct {
	const char *members, *reason;
} bodies[] = {
	/* probe */
	{ "'max_tokens':1," PROMPT, "exempt_probe" },
	{ PROMPT ",'max_tokens':1", "exempt_probe" },
	{ PROMPT ",'max_tokens': 1.0 ", "exempt_probe" },
	{ PROMPT ",'max_tokens':1e0", "exempt_probe" },
	{ PROMPT ",'m\\u0061x_tokens':1", "exempt_probe" },
	{ PROMPT ",'max_tokens':5,'max_tokens':1", "exempt_probe" },
	{ PROMPT ",'max_tokens':1,'max_tokens':5", "text" },
	{ PROMPT ",'max_tokens':10", "text" },
	{ PROMPT ",'max_tokens':'1'", "text" },
	{ PROMPT ",'max_tokens':[1]", "text" },
	{ PROMPT ",'Max_tokens':1", "text" },
	{ PROMPT ",'x':{'max_tokens':1}", "text" },
	{ PROMPT, "text" },
	/* title */
	{ PROMPT ",'tools':[]," TITLE, "exempt_title" },
	{ TITLE "," PROMPT, "exempt_title" },
	{ PROMPT ",'tools':null," TITLE, "exempt_title" },
	{ PROMPT ",'tools':[{'name':'a'}]," TITLE, "text" },
	{ PROMPT ",'tools':[{'name':'" LONG_SPACE "'}]," TITLE, "text" },
	{ PROMPT ",'tools':[{'name':'" LONG_SPACE "'}],'tools':[]," TITLE, "exempt_title" },
	{ PROMPT "," SCHEMA("{'Title':{}}"), "text" },
	{ PROMPT "," SCHEMA("['title']"), "text" },
	{ PROMPT "," TITLE ",'output_config':{}", "text" },
	{ PROMPT ",'output_config':{'title':{}}", "text" },
	{ PROMPT ",'output_config':'title'", "text" },
	/* classifier */
	{ TEXTS(TEXT("<transcript>\\n{}")), "exempt_classifier" },
	{ USER("'<transcript>x'"), "exempt_classifier" },
	{ USER("'<transcript>'") ",'stream':false", "exempt_classifier" },
	{ USER("'\\u003ctranscript>'"), "exempt_classifier" },
	{ USER("'<transcript>'") ",'stream':true", "text" },
	{ USER("' <transcript>'"), "text" },
	{ USER("'<Transcript>'"), "text" },
	{ USER("'<transcript'"), "text" },
	{ USER("'<transcript\\u013e'"), "text" }, /* its low byte is ">" */
	{ TEXTS(TEXT("<transcript>") "," TEXT("typed")), "blocks" },
	{ TEXTS(TEXT("typed") "," TEXT("<transcript>")), "exempt_classifier" },
	{ TEXTS(REMINDER "," TEXT("<transcript>")), "exempt_classifier" },
	{ TEXTS(TEXT("<transcript>") "," REMINDER), "exempt_classifier" },
	{ TEXTS(TEXT("<transcript>") ",{'type':'image'}"), "exempt_classifier" },
	{ TEXTS("{'text':'<transcript>','type':'text'}"), "exempt_classifier" },
	{ TEXTS("{'type':'text','text':'x','text':'<transcript>'}"), "exempt_classifier" },
	{ TEXTS("{'type':'text','text':'<transcript>','text':'x'}"), "blocks" },
	{ TEXTS("{'type':'text','text':'<transcript>','text':1}"), "blocks" },
	{ TEXTS("{'type':'text','x':{'text':'<transcript>'}}"), "blocks" },
	{ TEXTS("'<transcript>'"), "blocks" },
	{ "'messages':[{'role':'user','content':'<transcript>','content':'x'}]", "text" },
	{ "'messages':[{'role':'user','content':'<transcript>','content':null}]", "no_content" },
	{ "'messages':[{'role':'user','content':'<transcript>'},{'role':'user','content':'x'}]",
	  "text" },
	{ "'messages':[{'role':'user','content':'<transcript>'},{'role':'user'}]", "no_content" },
	{ "'messages':[{'role':'user','content':'<transcript>'},"
	  "{'role':'system','content':'x'}]",
	  "exempt_classifier" },
	/* notification */
	{ TEXTS(TEXT(NOTE)), "exempt_notification" },
	{ USER("'" NOTE "'"), "exempt_notification" },
	{ USER("'" NOTE "'") ",'stream':true", "exempt_notification" },
	{ USER("'see <task-notification>'"), "text" },
	/* what isn't a user message stays what it is */
	{ TEXTS("{'type':'tool_result'}," TEXT(NOTE)) ",'max_tokens':1", "tool_result" },
	{ "'messages':[],'max_tokens':1", "no_messages" },
	{ "'messages':[{'role':'assistant','content':'" NOTE "'}],'max_tokens':1", "other_role" },
	{ "'messages':[", "odd_json" },
};

static struct account_source sources[] = { { ACCOUNT_HEADER, "X-Account" },
					   { ACCOUNT_NONE, NULL } };

static struct request_verdict verdict_on(const struct config *config, const struct headers *headers,
					 const char *client, struct span body, size_t piece)
{
	struct request_verdict verdict;
	struct look *look = look_new(headers);

	for (size_t at = 0; at < body.len; at += piece)
		look_feed(look, body.ptr + at, MIN(piece, body.len - at));
	look_finish(look, config, headers, client, body, &verdict);
	look_free(look);
	return verdict;
}

static struct config config_with(struct exempt_rule *rules)
{
	return (struct config){
		.queue = { .enabled = true, .timeout_ms = 60000, .exempt = rules },
		.account = { .source = sources },
	};
}

static char *body_of(const char *members)
{
	char *body = xasprintf("{%s}", members);

	for (char *p = body; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	return body;
}

static void test_bodies(void)
{
	struct config config = config_with(named);
	struct headers none = { NULL, 0 };

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		CLEANUP(freep) char *body = body_of(bodies[i].members);

		for (size_t piece = 1; piece <= strlen(body); piece++) {
			struct request_verdict v =
				verdict_on(&config, &none, "", span_of(body), piece);

			if (strcmp(v.reason, bodies[i].reason) != 0)
				fprintf(stderr, "%s, by %zu:\n", body, piece);
			CHECK_STR(v.reason, bodies[i].reason);
			CHECK_INT(v.kind == KIND_EXEMPT, !strncmp(v.reason, "exempt", 6));
			CHECK_INT(v.gated, v.kind == KIND_USER_MESSAGE || v.kind == KIND_UNCLEAR);
			CHECK_INT(v.exempt != 0, v.kind == KIND_EXEMPT);
			CHECK_STR(v.account, "default");
		}
	}
}

/* Without the rules, all of them are what they look like. */
static void test_off(void)
{
	struct exempt_rule empty[] = { { EXEMPT_NONE, NULL, NULL } };
	struct exempt_rule *none[] = { NULL, empty };
	struct headers headers = { NULL, 0 };

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		CLEANUP(freep) char *body = body_of(bodies[i].members);

		for (size_t j = 0; j < ARRAY_SIZE(none); j++) {
			struct config config = config_with(none[j]);
			struct request_verdict v =
				verdict_on(&config, &headers, "", span_of(body), 1000);

			CHECK(v.kind != KIND_EXEMPT);
			CHECK_INT(v.exempt, 0);
		}
	}
}

static const char models[] = "{\"model\":\"claude-haiku-4-5\","
			     "\"messages\":[{\"role\":\"user\"}]}";

static void test_headers_and_models(void)
{
	static const struct {
		struct exempt_rule rule;
		const char *name, *value, *client, *reason;
	} rows[] = {
		{ { EXEMPT_SUBAGENT, NULL, NULL },
		  "x-claude-code-agent-id",
		  "a1",
		  "9.9.9.9",
		  "exempt_subagent" },
		{ { EXEMPT_SUBAGENT, NULL, NULL },
		  "X-Claude-Code-Agent-Id",
		  " ",
		  "",
		  "no_content" },
		{ { EXEMPT_SUBAGENT, NULL, NULL }, "X-Claude-Code-Agent", "a1", "", "no_content" },
		{ { EXEMPT_HEADER, "X-Kind", "side" }, "x-kind", " side ", "", "exempt_header" },
		{ { EXEMPT_HEADER, "X-Kind", "side" }, "x-kind", "Side", "", "no_content" },
		{ { EXEMPT_HEADER, "X-Kind", "side" }, "x-kinds", "side", "", "no_content" },
		{ { EXEMPT_HEADER, "X-Kind", "side" }, "x-kind", "side", "9.9.9.9", "no_content" },
		{ { EXEMPT_MODEL, NULL, "claude-haiku-*" }, "x", "y", "", "exempt_model" },
		{ { EXEMPT_MODEL, NULL, "*" }, "x", "y", "", "exempt_model" },
		{ { EXEMPT_MODEL, NULL, "claude-[gh]aiku-4-?" }, "x", "y", "", "exempt_model" },
		{ { EXEMPT_MODEL, NULL, "claude-haiku" }, "x", "y", "", "no_content" },
		{ { EXEMPT_MODEL, NULL, "Claude-*" }, "x", "y", "", "no_content" },
	};
	struct address_range proxies[] = { { .kind = ADDRESS_UNIX }, { .kind = ADDRESS_END } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct exempt_rule rules[] = { rows[i].rule, { EXEMPT_NONE, NULL, NULL } };
		struct config config = config_with(rules);
		struct header field = { span_of(rows[i].name), span_of(rows[i].value) };
		struct headers headers = { &field, 1 };

		config.account.trusted_proxies = proxies;
		CHECK_STR(verdict_on(&config, &headers, rows[i].client, span_of(models), 9).reason,
			  rows[i].reason);
	}
}

/* A header names the account only if it comes from somebody who may say so. */
static void test_trust(void)
{
	struct address_range proxies[] = { { .kind = ADDRESS_UNIX }, { .kind = ADDRESS_END } };
	struct config config = config_with(NULL);
	struct header field = { SPAN("x-account"), SPAN("team") };
	struct headers headers = { &field, 1 };

	CHECK_STR(verdict_on(&config, &headers, "9.9.9.9", span_of(models), 9).account, "team");
	config.account.trusted_proxies = proxies;
	CHECK_STR(verdict_on(&config, &headers, "9.9.9.9", span_of(models), 9).account, "default");
	CHECK_STR(verdict_on(&config, &headers, "", span_of(models), 9).account, "team");
}

static void test_budget(void)
{
	static const struct {
		const char *says;
		int64_t elapsed_ms, timeout_ms;
	} rows[] = {
		{ NULL, 0, 60000 },
		{ "600", 0, 60000 },
		{ "60", 0, 58000 },
		{ "60", 1000, 57000 },
		{ "60", 100000, 1 },
		{ " 30 ", 0, 28000 },
		{ "10", 0, 9000 },
		{ "1", 0, 900 },
		{ "0", 0, 60000 },
		{ "", 0, 60000 },
		{ "6e1", 0, 60000 },
		{ "-5", 0, 60000 },
		{ "5.5", 0, 60000 },
		{ "999999999", 0, 60000 },
		{ "99999999999999999999", 0, 60000 },
	};
	struct config config = config_with(NULL);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct header field = { SPAN("X-Stainless-Timeout"), span_of(rows[i].says) };
		struct headers headers = { &field, rows[i].says ? 1 : 0 };
		struct account_terms terms;

		config.queue.client_budget = true;
		request_terms(&config, &headers, "a", rows[i].elapsed_ms, &terms);
		CHECK_INT(terms.timeout_ms, rows[i].timeout_ms);
		config.queue.client_budget = false;
		request_terms(&config, &headers, "a", rows[i].elapsed_ms, &terms);
		CHECK_INT(terms.timeout_ms, 60000);
	}
}

static const struct {
	const char *dir, *file, *reason;
} files[] = {
	{ "tests/fixtures/requests", "prompt_blocks.json", "blocks" },
	{ "tests/fixtures/requests", "prompt_then_system.json", "blocks" },
	{ "tests/fixtures/requests", "prompt_string.json", "text" },
	{ "tests/fixtures/requests", "tool_result_with_typed_text.json", "tool_result" },
	{ "tests/fixtures/requests", "title.json", "exempt_title" },
	{ "tests/fixtures/requests", "quota.json", "exempt_probe" },
	{ "tests/fixtures/requests", "classifier.json", "exempt_classifier" },
	{ "tests/fixtures/requests", "task_notification.json", "exempt_notification" },
	{ "tests/fixtures/requests", "subagent.json", "blocks" }, /* its mark is a header */
	{ "tests/fixtures/requests", "web_search.json", "text" },
	{ "tests/fixtures/requests", "compact.json", "blocks" },
	{ "tests/fixtures/requests", "old_client.json", "blocks" },
	{ "../shared/captures", "01-user-message.json", "blocks" },
	{ "../shared/captures", "02-tool-result.json", "tool_result" },
	{ "../shared/captures", "07-title-generation.json", "exempt_title" },
	{ "../shared/captures", "08-quota-check.json", "exempt_probe" },
};

static void test_files(void)
{
	struct config config = config_with(named);
	struct headers none = { NULL, 0 };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		CLEANUP(freep) char *path = xasprintf("%s/%s", files[i].dir, files[i].file);
		CLEANUP(buf_clear) struct buf body = { 0 };
		FILE *f = fopen(path, "rb");
		size_t n;

		if (!f && files[i].dir[0] == '.') {
			fprintf(stderr, "SKIPPED: %s: nothing recorded was looked at\n", path);
			continue;
		}
		must(f);
		while ((n = fread(buf_reserve(&body, 4096), 1, 4096, f)) > 0)
			body.len += n;
		fclose(f);
		CHECK_STR(verdict_on(&config, &none, "", buf_span(&body), 1000).reason,
			  files[i].reason);
	}
}

int main(void)
{
	const char *root = getenv("SOURCE_ROOT");

	CHECK(!root || chdir(root) == 0);
	test_bodies();
	test_off();
	test_headers_and_models();
	test_trust();
	test_budget();
	test_files();
	return check_done();
}
