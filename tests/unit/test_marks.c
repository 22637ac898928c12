/*
 * test_marks.c - what requests are for, who passes by queue.exempt or an account's section, and how
 * long the others wait.
 *
 * In bodies ' stands for ". Each is fed whole and byte by byte. Recorded ones: test_recorded.c.
 */
#include "config/addresses.h"
#include "looked_at.h"

#define USER(content) "'messages':[{'role':'user','content':" content "}]"
#define TEXTS(blocks) USER("[" blocks "]")
#define TEXT(text)    "{'type':'text','text':'" text "'}"
#define SCHEMA(props) "'output_config':{'format':{'schema':{'properties':" props "}}}"
#define TITLE         SCHEMA("{'title':{}}")
#define PROMPT        USER("'hi'")
#define REMINDER      TEXT("<system-reminder>\\nbe nice</system-reminder>")
#define NOTE          "<task-notification>\\n<id>1</id>"
#define LOOP          TEXTS(TEXT("<command-name>/loop</command-name>"))
#define CLASS         "x-claude-code-request-class"
#define FIRST_PARTY   "x-claude-1p-request-class"
#define AGENT         "x-claude-code-agent-id"
#define AGENT_TYPE    "x-claude-code-agent-type"
#define LONG_SPACE    "                                                                        "

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
	{ USER("' <transcript>'"), "exempt_classifier" },
	{ USER("'say: <transcript>'"), "exempt_classifier" },
	{ USER("'<<transcript>'"), "exempt_classifier" },
	{ USER("'<trans<transcript>'"), "exempt_classifier" },
	{ USER("'<command-name>/loop<transcript>'"), "exempt_classifier" },
	{ USER("'\\n\\t<transcript>'"), "exempt_classifier" },
	{ USER("'<transcript>'") ",'tools':[]", "exempt_classifier" },
	{ USER("'<transcript>'") ",'tools':[{'name':'a'}]", "text" },
	{ USER("'<tran\\nscript>'"), "text" },
	{ USER("'</transcript>'"), "text" },
	{ USER("'<Transcript>'"), "text" },
	{ USER("'<transcript'"), "text" },
	{ USER("'<transcript\\u013e'"), "text" }, /* its low byte is ">" */
	{ TEXTS(TEXT("<transcript>") "," TEXT("typed")), "exempt_classifier" },
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
	{ USER("'see <task-notification>'"), "exempt_notification" },
	{ TEXTS(TEXT("<system-reminder>\\n[NOT USER INPUT]\\n" NOTE)), "exempt_notification" },
	{ TEXTS(TEXT("<system-reminder>" NOTE) "," TEXT("x")), "exempt_notification" },
	{ "'messages':[{'content':'" NOTE "','role':'user'}]", "exempt_notification" },
	{ "'messages':[{'role':'x','content':'" NOTE "','role':'user'}]", "text" },
	{ USER("'task-notification>'"), "text" },
	/* loop: the text alone, as no field says otherwise */
	{ TEXTS(TEXT("<command-name>/loop</command-name>\\n") "," TEXT("# /loop")), "exempt_loop" },
	{ TEXTS(TEXT("<command-name>/loops</command-name>\\n")), "blocks" },
	{ TEXTS(TEXT("<command-name>/foo</command-name>")), "blocks" },
	/* compaction */
	{ USER("'CRITICAL: Respond with TEXT ONLY. Do'"), "exempt_compaction" },
	{ TEXTS(REMINDER "," TEXT("CRITICAL: Respond with TEXT ONLY.")), "exempt_compaction" },
	{ TEXTS(TEXT("CRITICAL: Respond with TEXT ONLY.") "," TEXT("x")), "blocks" },
	{ USER("'So CRITICAL: Respond with TEXT ONLY.'"), "text" },
	/* what isn't a user message stays what it is */
	{ TEXTS("{'type':'tool_result'}," TEXT(NOTE)) ",'max_tokens':1", "tool_result" },
	{ "'messages':[],'max_tokens':1", "no_messages" },
	{ "'messages':[{'role':'assistant','content':'" NOTE "'}],'max_tokens':1", "other_role" },
	{ "'messages':[", "odd_json" },
};

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
	struct mark_rule empty[] = { { MARK_NONE, NULL, NULL } };
	struct mark_rule *none[] = { NULL, empty };
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
		struct mark_rule rule;
		const char *name, *value, *client, *reason;
	} rows[] = {
		{ { MARK_SUBAGENT, NULL, NULL },
		  "x-claude-code-agent-id",
		  "a1",
		  "9.9.9.9",
		  "exempt_subagent" },
		{ { MARK_SUBAGENT, NULL, NULL }, "X-Claude-Code-Agent-Id", " ", "", "no_content" },
		{ { MARK_SUBAGENT, NULL, NULL }, "X-Claude-Code-Agent", "a1", "", "no_content" },
		{ { MARK_HEADER, "X-Kind", "side" }, "x-kind", " side ", "", "exempt_header" },
		{ { MARK_HEADER, "X-Kind", "side" }, "x-kind", "Side", "", "no_content" },
		{ { MARK_HEADER, "X-Kind", "side" }, "x-kinds", "side", "", "no_content" },
		{ { MARK_HEADER, "X-Kind", "side" }, "x-kind", "side", "9.9.9.9", "no_content" },
		{ { MARK_MODEL, NULL, "claude-haiku-*" }, "x", "y", "", "exempt_model" },
		{ { MARK_MODEL, NULL, "*" }, "x", "y", "", "exempt_model" },
		{ { MARK_MODEL, NULL, "claude-[gh]aiku-4-?" }, "x", "y", "", "exempt_model" },
		{ { MARK_MODEL, NULL, "claude-haiku" }, "x", "y", "", "no_content" },
		{ { MARK_MODEL, NULL, "Claude-*" }, "x", "y", "", "no_content" },
	};
	struct address_range proxies[] = { { .kind = ADDRESS_UNIX }, { .kind = ADDRESS_END } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct mark_rule rules[] = { rows[i].rule, { MARK_NONE, NULL, NULL } };
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

/* What x-claude-code-request-class makes of a shape, and other fields. */
static void test_classes(void)
{
	static const char classifier[] = TEXTS(TEXT("<transcript>")), note[] = USER("'" NOTE "'");
	static const char probe[] = PROMPT ",'max_tokens':1", title[] = PROMPT "," TITLE;
	static const char compact[] = USER("'CRITICAL: Respond with TEXT ONLY.'");
	static const struct {
		const char *members, *fields[4], *mark;
	} rows[] = {
		{ PROMPT, { NULL }, "" },
		{ PROMPT, { CLASS, "main" }, "" },
		{ PROMPT, { CLASS, "subagent" }, "subagent" },
		{ PROMPT, { "X-Claude-Code-Request-Class", " Workflow " }, "workflow" },
		{ PROMPT, { CLASS, "compaction" }, "compaction" },
		{ PROMPT, { CLASS, "auxiliary" }, "auxiliary" },
		{ PROMPT, { CLASS, "of tomorrow" }, "" },
		{ title, { CLASS, "auxiliary" }, "title" },
		{ title, { CLASS, "main" }, "" },
		{ title, { CLASS, "of tomorrow" }, "title" },
		{ probe, { CLASS, "auxiliary" }, "probe" },
		{ probe, { CLASS, "main" }, "" },
		{ classifier, { CLASS, "auxiliary" }, "classifier" },
		{ classifier, { CLASS, "main" }, "" },
		{ classifier, { "x-stainless-timeout", "60" }, "classifier" },
		{ classifier, { "x-stainless-timeout", "600" }, "" },
		{ classifier, { "x-stainless-read-timeout", "600.0" }, "" },
		{ note, { CLASS, "main" }, "notification" },
		{ note, { CLASS, "subagent" }, "subagent" },
		{ compact, { CLASS, "main" }, "" },
		{ PROMPT, { "x-claude-code-compaction", "auto" }, "compaction" },
		{ PROMPT, { AGENT, "a1" }, "subagent" },
		{ PROMPT, { AGENT, "a1", AGENT_TYPE, "Explore" }, "subagent" },
		{ PROMPT, { AGENT, "a1", AGENT_TYPE, "workflow-subagent" }, "workflow" },
		{ PROMPT, { AGENT_TYPE, "workflow-subagent" }, "" },
		{ PROMPT, { AGENT, "a1", CLASS, "main" }, "" },
		/* a /loop that woke up, and one that was typed */
		{ PROMPT, { "user-agent", "claude-cli/2 (external, cli, workload/cron)" }, "loop" },
		{ PROMPT, { FIRST_PARTY, "background-task" }, "loop" },
		{ LOOP, { "user-agent", "claude-cli/2 (external, cli)" }, "" },
		{ LOOP, { FIRST_PARTY, "main" }, "" },
		{ LOOP, { "user-agent", "other/1" }, "loop" },
		{ PROMPT, { FIRST_PARTY, "background-task", CLASS, "workflow" }, "workflow" },
	};
	struct config config = config_with(NULL);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP(freep) char *body = body_of(rows[i].members);
		struct header fields[2];
		struct headers headers = { fields, 0 };
		struct request_verdict v;

		for (size_t f = 0; f < 4 && rows[i].fields[f]; f += 2)
			fields[headers.count++] = (struct header){ span_of(rows[i].fields[f]),
								   span_of(rows[i].fields[f + 1]) };
		v = verdict_on(&config, &headers, "", span_of(body), 7);
		if (strcmp(v.mark, rows[i].mark) != 0)
			fprintf(stderr, "row %zu:\n", i);
		CHECK_STR(v.mark, rows[i].mark);
		CHECK(v.gated);
	}
}

/* A rule for each named mark holds for what has it, also beside others. */
static void test_rules(void)
{
	static const struct {
		enum mark_kind kind;
		const char *class, *reason;
	} rows[] = {
		{ MARK_SUBAGENT, "subagent", "exempt_subagent" },
		{ MARK_WORKFLOW, "workflow", "exempt_workflow" },
		{ MARK_COMPACTION, "compaction", "exempt_compaction" },
		{ MARK_AUXILIARY, "auxiliary", "exempt_auxiliary" },
		{ MARK_AUXILIARY, "", "exempt_auxiliary" }, /* a probe is one */
		{ MARK_PROBE, "auxiliary", "exempt_probe" },
		{ MARK_TITLE, "auxiliary", "text" },
		{ MARK_SUBAGENT, "workflow", "text" },
		{ MARK_AUXILIARY, "main", "text" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP(freep) char *body = body_of(PROMPT ",'max_tokens':1");
		struct mark_rule rules[] = { { rows[i].kind, NULL, NULL },
					     { MARK_NONE, NULL, NULL } };
		struct config config = config_with(rules);
		struct header field = { SPAN(CLASS), span_of(rows[i].class) };
		struct headers headers = { &field, 1 };

		CHECK_STR(verdict_on(&config, &headers, "", span_of(body), 1000).reason,
			  rows[i].reason);
	}
}

/* A tag counts within the first 4 KiB of each text, whatever stands before it. */
static void test_far_tags(void)
{
	static const struct {
		size_t before;
		const char *mark;
	} rows[] = { { 512, "notification" }, { 4000, "notification" }, { 5000, "" } };
	struct config config = config_with(NULL);
	struct headers none = { NULL, 0 };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP(buf_clear) struct buf b = { 0 };

		buf_puts(&b, "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"");
		for (size_t n = 0; n < rows[i].before; n++)
			buf_puts(&b, n % 50 ? "." : "<");
		buf_puts(&b, "<task-notification>\"},{\"type\":\"text\",\"text\":\"x\"}]}]}");
		for (size_t piece = 1; piece < 1000; piece += 37)
			CHECK_STR(verdict_on(&config, &none, "", buf_span(&b), piece).mark,
				  rows[i].mark);
	}
}

static void test_budget(void)
{
	static const struct {
		const char *says;
		int64_t elapsed_ms, timeout_ms;
	} rows[] = {
		{ NULL, 0, 60000 },        { "600", 0, 60000 },
		{ "60", 0, 58000 },        { "60", 1000, 57000 },
		{ "60", 100000, 1 },       { " 30 ", 0, 28000 },
		{ "10", 0, 9000 },         { "1", 0, 900 },
		{ "0", 0, 60000 },         { "", 0, 60000 },
		{ "6e1", 0, 60000 },       { "-5", 0, 60000 },
		{ "5.5", 0, 4950 },        { "20.0", 0, 18000 },
		{ "0.25", 0, 225 },        { "0.0004", 0, 1 },
		{ "0.0", 0, 60000 },       { "5.", 0, 60000 },
		{ ".5", 0, 60000 },        { "5.5.5", 0, 60000 },
		{ "5,5", 0, 60000 },       { "1.123456789", 0, 1011 },
		{ "999999999", 0, 60000 }, { "99999999999999999999", 0, 60000 },
	};
	struct config config = config_with(NULL);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct header field = { SPAN("X-Stainless-Timeout"), span_of(rows[i].says) };
		struct headers headers = { &field, rows[i].says ? 1 : 0 };
		struct account_terms terms;

		config.queue.client_budget = true;
		request_terms(&config, &headers, "a", false, rows[i].elapsed_ms, &terms);
		CHECK_INT(terms.timeout_ms, rows[i].timeout_ms);
		field.name = SPAN("X-Stainless-Read-Timeout");
		request_terms(&config, &headers, "a", false, rows[i].elapsed_ms, &terms);
		CHECK_INT(terms.timeout_ms, rows[i].timeout_ms);
		config.queue.client_budget = false;
		request_terms(&config, &headers, "a", false, rows[i].elapsed_ms, &terms);
		CHECK_INT(terms.timeout_ms, 60000);
	}
}

/* The smaller one of two; what can't be read says nothing. */
static void test_two_budgets(void)
{
	static const struct {
		const char *timeout, *read_timeout;
		int64_t ms;
	} rows[] = {
		{ "600", "20", 20000 },   { "20", "600.0", 20000 }, { "x", "30", 30000 },
		{ "30.5", "NaN", 30500 }, { "x", "", -1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct header fields[] = {
			{ SPAN("x-stainless-read-timeout"), span_of(rows[i].read_timeout) },
			{ SPAN("x-stainless-timeout"), span_of(rows[i].timeout) },
		};
		struct config config = config_with(NULL);
		struct headers headers = { fields, 2 };

		CHECK_INT(verdict_on(&config, &headers, "", span_of(models), 9).patience_ms,
			  rows[i].ms);
	}
}

int main(void)
{
	test_bodies();
	test_off();
	test_headers_and_models();
	test_trust();
	test_classes();
	test_rules();
	test_far_tags();
	test_budget();
	test_two_budgets();
	return check_done();
}
