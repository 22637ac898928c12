/*
 * test_classify.c - bodies and their verdicts, through the door of the room.
 *
 * In the table ' stands for ". Every body is fed whole, byte by byte, and in two pieces split at
 * every byte (long ones at some). The files of tests/fixtures/requests have the shapes that
 * classify.c describes; those of ../shared/captures were recorded, and are looked at where present.
 * Paths are relative to the project's root: SOURCE_ROOT, or where the test is started.
 */
#include "check.h"
#include "request/request.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#define FIXTURES "tests/fixtures/requests"
#define CAPTURES "../shared/captures"

enum { SPLIT_EVERYWHERE_MAX = 2000, SPLITS_OF_LONG = 50 };

/* A body whose only message has this role and content, or these members. */
#define M(members)    "{'messages':[{" members "}]}"
#define U(content)    M("'role':'user','content':" content)
#define B(block)      U("[" block "]")
#define LAST(message) "{'messages':[{'role':'user','content':'first'}," message "]}"
#define USER          "{'role':'user','content':'x'}"
#define RESULT        "{'role':'user','content':[{'type':'tool_result'}]}"
#define SYSTEM        "{'role':'system','content':'x'}"
#define ASSISTANT     "{'role':'assistant','content':'x'}"

static const struct {
	const char *body, *reason;
} bodies[] = {
	/* content */
	{ U("'hello'"), "text" },
	{ U("''"), "text" },
	{ U("'tool_result'"), "text" },
	{ U("'{\\'type\\':\\'tool_result\\'}'"), "text" },
	{ U("'\\u0074\\n\\t\\\\\\/\\b\\f\\r'"), "text" },
	{ U("'\\ud83d\\ude00'"), "text" },
	{ U("'\\ud83d'"), "text" },  /* half an emoji: clients cut texts there */
	{ U("'\xff\xfe'"), "text" }, /* no UTF-8, which isn't checked */
	{ U("[]"), "blocks" },
	{ U("null"), "no_content" },
	{ M("'role':'user'"), "no_content" },
	{ U("{}"), "odd_content" },
	{ U("{'type':'tool_result'}"), "odd_content" },
	{ U("12"), "odd_content" },
	{ U("-0.5e+10"), "odd_content" },
	{ U("true"), "odd_content" },
	{ U("false"), "odd_content" },
	/* blocks */
	{ B("{'type':'text','text':'hello'}"), "blocks" },
	{ B("{'type':'image'},{'type':'text','text':'tool_result'}"), "blocks" },
	{ B("{'type':'tool_result'}"), "tool_result" },
	{ B("{'type':'tool_use_result'}"), "tool_result" },
	{ B("{'type':'web_search_tool_result'}"), "tool_result" },
	{ B("{'type':'mcp_tool_result'}"), "tool_result" },
	{ B("{'type':'_tool_result'}"), "tool_result" },
	{ B("{'type':'an_extremely_long_winded_name_of_a_server_tool_result'}"), "tool_result" },
	{ B("{'type':'\xc3\xa9_tool_result'}"), "tool_result" },
	{ B("{'type':'\\u00e9_tool_result'}"), "tool_result" },
	{ B("{'type':'tool\\u005fresult'}"), "tool_result" },
	{ B("{'\\u0074ype':'tool_result'}"), "tool_result" },
	{ B("{'\\u0074\\u0079\\u0070\\u0065':'\\u0074ool_\\u0072esul\\u0074'}"), "tool_result" },
	{ B("{'type':'tool_result'},{'type':'text','text':'typed'}"), "tool_result" },
	{ B("{'type':'text'},{'type':'tool_result'}"), "tool_result" },
	{ B("1,null,'x',[],{'type':'tool_result'}"), "tool_result" },
	{ B("{'content':[{'type':'text'}],'tool_use_id':'t','type':'tool_result'}"),
	  "tool_result" },
	{ B("{'type':'tool_result','content':{'type':'text'}}"), "tool_result" },
	{ B("{'type':'Tool_result'}"), "blocks" },
	{ B("{'type':'TOOL_RESULT'}"), "blocks" },
	{ B("{'type':'tool_results'}"), "blocks" },
	{ B("{'type':'tool_result '}"), "blocks" },
	{ B("{'type':'xtool_result'}"), "blocks" },
	{ B("{'type':'tool_resul'}"), "blocks" },
	{ B("{'type':'tool_result\\u0000'}"), "blocks" },
	{ B("{'type':'tool_\\nresult'}"), "blocks" },
	{ B("{'\\u0174ype':'tool_result'}"), "blocks" }, /* its low byte is a "t" */
	{ B("{'type':'tool_use'}"), "blocks" },
	{ B("{'type':'tool_use_results'}"), "blocks" },
	{ B("{'type':['tool_result']}"), "blocks" },
	{ B("{'type':null}"), "blocks" },
	{ B("{'Type':'tool_result'}"), "blocks" },
	{ B("{'type\\u0000':'tool_result'}"), "blocks" },
	{ B("{' type':'tool_result'}"), "blocks" },
	{ B("'tool_result'"), "blocks" },
	{ B("[{'type':'tool_result'}]"), "blocks" },
	{ B("{'type':'text','content':[{'type':'tool_result'}]}"), "blocks" },
	{ B("{'x':{'type':'tool_result'}}"), "blocks" },
	{ B("{'x':'type','y':'tool_result'}"), "blocks" },
	/* the last duplicate counts */
	{ B("{'type':'tool_result','type':'text'}"), "blocks" },
	{ B("{'type':'text','type':'tool_result'}"), "tool_result" },
	{ B("{'type':'tool_result','type':1}"), "blocks" },
	{ B("{'type':'tool_result','\\u0074ype':'text'}"), "blocks" },
	{ B("{'type':'tool_result','Type':'text'}"), "odd_keys" },
	{ M("'role':'user','content':[{'type':'tool_result'}],'content':'x'"), "text" },
	{ M("'role':'user','content':[{'type':'tool_result'}],'content':[]"), "blocks" },
	{ M("'role':'user','content':'x','content':[{'type':'tool_result'}]"), "tool_result" },
	{ M("'role':'user','content':'x','content':null"), "no_content" },
	{ M("'role':'user','content':'x','conten\\u0074':{}"), "odd_content" },
	{ M("'role':'assistant','content':'x','role':'user'"), "text" },
	{ M("'role':'user','content':'x','role':'assistant'"), "other_role" },
	{ M("'role':'user','role':null"), "other_role" },
	{ M("'role':'user','role':['user']"), "other_role" },
	{ M("'role':'user','role':'system'"), "only_system" },
	{ M("'role':'system','role':'user','content':'x'"), "text" },
	{ "{'messages':[" USER "],'messages':[" ASSISTANT "]}", "other_role" },
	{ "{'messages':[" ASSISTANT "],'messages':[" USER "]}", "text" },
	{ "{'messages':[" USER "],'messages':[]}", "no_messages" },
	{ "{'messages':[" USER "],'messages':null}", "no_messages" },
	{ "{'messages':[" USER "],'messages':{}}", "no_messages" },
	{ "{'messages':[" USER "],'messages':[" SYSTEM "]}", "only_system" },
	{ "{'messages':[" USER "],'\\u006dessages':[" RESULT "]}", "tool_result" },
	{ "{'messages':[" USER "],'Messages':[" RESULT "]}", "text" },
	/* keys that Go's encoding/json takes for ours */
	{ B("{'type':'tool_result','TYPE':'text'}"), "odd_keys" },
	{ "{'messages':[" RESULT "],'MESSAGES':[" USER "]}", "odd_keys" },
	{ "{'messages':[" RESULT "],'me\\u017fsages':[" USER "]}", "odd_keys" },
	{ "{'messages':[" RESULT "],'me\xc5\xbf\xc5\xbf"
	  "ages':[" USER "]}",
	  "odd_keys" },
	{ "{'messages':[" RESULT "],'message\xc5':1}", "tool_result" },
	{ "{'messages':[" RESULT "],'Message':1,'xMessages':1,'Messagesx':1}", "tool_result" },
	{ "{'messages':[" RESULT "],'x':{'Messages':[" USER "]}}", "tool_result" },
	{ M("'role':'user','content':[{'type':'tool_result','Text':'x'}]"), "tool_result" },
	{ M("'role':'user','content':[{'type':'tool_result'}],'Content':'x'"), "odd_keys" },
	/* roles */
	{ M("'content':'x'"), "other_role" },
	{ M("'role':'User','content':'x'"), "other_role" },
	{ M("'role':'user ','content':'x'"), "other_role" },
	{ M("'role':'use','content':'x'"), "other_role" },
	{ M("'role':'user\\u0000','content':'x'"), "other_role" },
	{ M("'role':'','content':'x'"), "other_role" },
	{ M("'Role':'user','content':'x'"), "odd_keys" },
	{ M("'role':1,'content':'x'"), "other_role" },
	{ M("'x':{'role':'user'},'content':'x'"), "other_role" },
	{ M("'role':'us\\ner','content':'x'"), "other_role" },
	{ M("'role':'us\\u0165r','content':'x'"), "other_role" },
	{ M("'role':'us\\u0065r','content':'x'"), "text" },
	{ M("'\\u0072ole':'user','content':'x'"), "text" },
	{ M("'content':'x','role':'user'"), "text" },
	{ M("'content':[{'role':'assistant'}],'role':'user'"), "blocks" },
	{ M("'role':'user','content':[{'role':'system'}]"), "blocks" },
	/* which message */
	{ LAST(ASSISTANT), "other_role" },
	{ LAST(RESULT), "tool_result" },
	{ LAST(RESULT "," ASSISTANT "," USER), "text" },
	{ LAST(RESULT ",{'role':'user','content':[{}]}"), "blocks" },
	{ LAST(RESULT ",{'role':'user','content':['x',1]}"), "blocks" },
	{ LAST(SYSTEM), "text" },
	{ LAST(SYSTEM "," SYSTEM "," SYSTEM), "text" },
	{ LAST(RESULT "," SYSTEM), "tool_result" },
	{ LAST(ASSISTANT "," SYSTEM), "other_role" },
	{ LAST("{'role':'\\u0073ystem'}"), "text" },
	{ LAST("{'role':'System'}"), "other_role" },
	{ LAST("{'role':'system','role':'user'}"), "no_content" },
	{ LAST("{'role':'x','role':'system'}"), "text" },
	{ LAST("{}"), "other_role" },
	{ LAST("{}," SYSTEM), "other_role" },
	{ LAST("null"), "not_an_object" },
	{ LAST("'user'"), "not_an_object" },
	{ LAST("7"), "not_an_object" },
	{ LAST("[" USER "]"), "not_an_object" },
	{ LAST("['role','system']"), "not_an_object" },
	{ LAST("true," SYSTEM), "not_an_object" },
	{ "{'messages':[" SYSTEM "]}", "only_system" },
	{ "{'messages':[" SYSTEM "," SYSTEM "]}", "only_system" },
	/* where messages are */
	{ "{'messages':[]}", "no_messages" },
	{ "{'messages':null}", "no_messages" },
	{ "{'messages':'x'}", "no_messages" },
	{ "{'messages':" USER "}", "no_messages" },
	{ "{'Messages':[" USER "]}", "odd_keys" },
	{ "{'messages\\u0000':[" USER "]}", "no_messages" },
	{ "{'message':[" USER "]}", "no_messages" },
	{ "{'x':{'messages':[" USER "]}}", "no_messages" },
	{ "[{'messages':[" USER "]}]", "no_messages" },
	{ "{}", "no_messages" },
	{ "[]", "no_messages" },
	{ "null", "no_messages" },
	{ "12", "no_messages" },
	{ "'messages'", "no_messages" },
	{ "{'metadata':{'messages':[" RESULT "]},'messages':[" USER "]}", "text" },
	{ "{'messages':[" USER "],'tools':[{'messages':[" RESULT "]}]}", "text" },
	{ "{'messages':[" USER "],'system':[{'role':'assistant','content':'x'}]}", "text" },
	{ " \t\r\n{ 'messages' : [ " USER " , \n" RESULT " ] } \n", "tool_result" },
	{ "\xef\xbb\xbf{'messages':[" USER "]}", "text" },
	/* what isn't JSON */
	{ "", "not_json" },
	{ " ", "not_json" },
	{ "\xef\xbb\xbf", "not_json" },
	{ "\xef\xbb{}", "not_json" },
	{ " \xef\xbb\xbf{}", "not_json" },
	{ "{'messages':[" USER "]", "odd_json" },
	{ "{'messages':[" USER "}", "odd_json" },
	{ "{'messages':[" USER "]}}", "odd_json" },
	{ "{'messages':[" USER "]} x", "odd_json" },
	{ "{'messages':[" USER "]}{}", "odd_json" },
	{ "{'messages':[" USER "],}", "odd_json" },
	{ "{'messages':[" USER ",]}", "odd_json" },
	{ "{'messages':[," USER "]}", "odd_json" },
	{ "{'messages' [" USER "]}", "odd_json" },
	{ "{'messages':,'x':1}", "odd_json" },
	{ "{'messages':[" USER " " USER "]}", "odd_json" },
	{ "{messages:[" USER "]}", "odd_json" },
	{ "{1:2}", "odd_json" },
	{ "{'x'}", "odd_json" },
	{ "{'x':1 'y':2}", "odd_json" },
	{ "{]", "odd_json" },
	{ "[}", "not_json" },
	{ "]", "not_json" },
	{ ":", "not_json" },
	{ U("'x\ny'"), "odd_json" },
	{ U("'x\x01y'"), "odd_json" },
	{ U("'x\nny'"), "odd_json" }, /* not "\n" */
	{ U("'\\x'"), "odd_json" },
	{ U("'\\u12g4'"), "odd_json" },
	{ U("'\\u12'"), "odd_json" },
	{ U("nul"), "odd_json" },
	{ U("nulL"), "odd_json" },
	{ U("True"), "odd_json" },
	{ U("NaN"), "not_a_number" },
	{ U("[Infinity]"), "not_a_number" },
	{ U("{'x':-Infinity}"), "not_a_number" },
	{ "{'x':NaN}", "not_a_number" },
	{ U("-NaN"), "odd_json" },
	{ "NaN", "not_json" },
	{ "[NaN]", "not_json" },
	{ U("01"), "odd_json" },
	{ U("-"), "odd_json" },
	{ U("-01"), "odd_json" },
	{ U("+1"), "odd_json" },
	{ U(".5"), "odd_json" },
	{ U("1."), "odd_json" },
	{ U("1e"), "odd_json" },
	{ U("1e+"), "odd_json" },
	{ U("1.e1"), "odd_json" },
	{ U("0x10"), "odd_json" },
	{ U("1-2"), "odd_json" },
	{ U("'x' /* no comments */"), "odd_json" },
	{ "model=x&messages=y", "not_json" },
	/* what is */
	{ "[0,-0,1,10,0.5,1.25,1e5,1E+5,1e-05,-1.5e0,123456789012345678901234567890]",
	  "no_messages" },
	{ "[true,false,null,'',[],{},[[]],{'':{}}]", "no_messages" },
	{ "-0", "no_messages" },
	{ "1.5e9 ", "no_messages" },
};

static struct account_source no_sources[] = { { ACCOUNT_NONE, NULL } };

static char *read_file(const char *path, size_t *ret_len)
{
	struct buf b = { 0 };
	FILE *f = fopen(path, "rb");
	size_t n;

	CHECK(f != NULL);
	while (f && (n = fread(buf_reserve(&b, 4096), 1, 4096, f)) > 0)
		b.len += n;
	if (f)
		fclose(f);
	*ret_len = b.len;
	return b.data ? b.data : xstrdup("");
}

/* The verdict on a body fed in two pieces, the second one in pieces of `step`. */
static struct request_verdict verdict_on(struct span body, size_t split, size_t step)
{
	struct config config = { .queue = { .enabled = true }, .account = { no_sources } };
	struct headers headers = { NULL, 0 };
	struct request_verdict verdict;
	struct look *look = look_new(&headers);

	look_feed(look, body.ptr, split);
	for (size_t at = split; at < body.len; at += step)
		look_feed(look, body.ptr + at, MIN(step, body.len - at));
	look_finish(look, &config, &headers, "", body, &verdict);
	look_free(look);
	return verdict;
}

static void check_body(const char *name, struct span body, const char *reason)
{
	size_t every = body.len > SPLIT_EVERYWHERE_MAX ? body.len / SPLITS_OF_LONG : 1;
	struct request_verdict verdict = verdict_on(body, body.len, 1);

	if (strcmp(verdict.reason, reason) != 0)
		fprintf(stderr, "%s:\n", name);
	CHECK_STR(verdict.reason, reason);
	CHECK_INT(verdict.gated, verdict.kind == KIND_USER_MESSAGE || verdict.kind == KIND_UNCLEAR);
	CHECK_STR(verdict.account, "default");
	verdict = verdict_on(body, 0, 1);
	CHECK_STR(verdict.reason, reason);
	for (size_t split = 0; split < body.len; split += every) {
		verdict = verdict_on(body, split, body.len);
		if (strcmp(verdict.reason, reason) != 0)
			fprintf(stderr, "%s, split at %zu:\n", name, split);
		CHECK_STR(verdict.reason, reason);
	}
}

static void test_bodies(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		char *body = xstrdup(bodies[i].body);

		for (char *p = body; *p; p++)
			*p = *p == '\'' ? '"' : *p;
		check_body(body, span_of(body), bodies[i].reason);
		free(body);
	}
	CHECK(ARRAY_SIZE(bodies) >= 100);
}

/* Every prefix of a body that is an object is cut short. */
static void test_prefixes(void)
{
	const struct span body =
		SPAN("{\"messages\":[{\"role\":\"user\",\"content\":[{\"a\":-1.5e3},"
		     "\"\\u0041\\n\",null,true]}],\"metadata\":{}}");

	for (size_t len = 0; len < body.len; len++) {
		struct request_verdict verdict = verdict_on((struct span){ body.ptr, len }, len, 1);

		CHECK_STR(verdict.reason, len ? "odd_json" : "not_json");
		CHECK_INT(verdict.kind, len ? KIND_UNCLEAR : KIND_UNREADABLE);
	}
	CHECK_STR(verdict_on(body, body.len, 1).reason, "blocks");
}

/* Nesting is no way around the queue: what can't be read for its depth alone is gated. */
static void test_deep(void)
{
	enum { READABLE = 10000, TOO_DEEP = 2 * 1024 * 1024 };
	static const size_t depths[] = { READABLE, TOO_DEEP };

	for (size_t i = 0; i < ARRAY_SIZE(depths); i++) {
		struct request_verdict verdict;
		struct buf b = { 0 };

		buf_puts(&b, "{\"messages\":[{\"role\":\"user\",\"content\":");
		memset(buf_reserve(&b, depths[i]), '[', depths[i]);
		b.len += depths[i];
		memset(buf_reserve(&b, depths[i]), ']', depths[i]);
		b.len += depths[i];
		buf_puts(&b, "}]}");
		verdict = verdict_on(buf_span(&b), 1000, 65536);
		CHECK_STR(verdict.reason, depths[i] == READABLE ? "blocks" : "too_deep");
		CHECK(verdict.gated);
		CHECK_STR(verdict.account, "default");
		buf_clear(&b);
	}
}

static const struct {
	const char *file, *reason;
} fixtures[] = {
	{ "prompt_blocks.json", "blocks" },
	{ "prompt_then_system.json", "blocks" },
	{ "prompt_string.json", "text" },
	{ "prompt_after_tool_loop.json", "blocks" },
	{ "prompt_image.json", "blocks" },
	{ "tool_result.json", "tool_result" },
	{ "tool_result_then_system.json", "tool_result" },
	{ "tool_results_parallel.json", "tool_result" },
	{ "tool_result_denied.json", "tool_result" },
	{ "tool_result_with_typed_text.json", "tool_result" },
	{ "server_tool_result.json", "tool_result" },
	{ "assistant_prefill.json", "other_role" },
	{ "title.json", "blocks" },
	{ "quota.json", "text" },
	{ "subagent.json", "blocks" },
	{ "web_search.json", "text" },
	{ "classifier.json", "blocks" },
	{ "task_notification.json", "blocks" },
	{ "compact.json", "blocks" },
	{ "compact_string.json", "text" },
	{ "notification_reminder.json", "blocks" },
	{ "notification_of_agent.json", "blocks" },
	{ "classifier_handback.json", "blocks" },
	{ "loop.json", "blocks" },
	{ "slash_command.json", "blocks" },
	{ "hook_continuation.json", "blocks" },
	{ "old_client.json", "blocks" },
};

static const struct {
	const char *file, *reason;
} captures[] = {
	{ "01-user-message.json", "blocks" },
	{ "02-tool-result.json", "tool_result" },
	{ "03-tool-result-then-system.json", "tool_result" },
	{ "05-subagent-first-message.json", "blocks" },
	{ "07-title-generation.json", "blocks" },
	{ "08-quota-check.json", "text" },
};

static void check_file(const char *dir, const char *file, const char *reason)
{
	CLEANUP(freep) char *path = xasprintf("%s/%s", dir, file);
	size_t len;
	CLEANUP(freep) char *body = read_file(path, &len);

	check_body(path, (struct span){ body, len }, reason);
}

static void test_fixtures(void)
{
	DIR *dir = opendir(FIXTURES);
	size_t files = 0;

	CHECK(dir != NULL);
	for (struct dirent *d; dir && (d = readdir(dir));)
		files += d->d_name[0] != '.';
	if (dir)
		closedir(dir);
	CHECK_INT(files, ARRAY_SIZE(fixtures)); /* none without an expectation */
	for (size_t i = 0; i < ARRAY_SIZE(fixtures); i++)
		check_file(FIXTURES, fixtures[i].file, fixtures[i].reason);
}

static void test_captures(void)
{
	DIR *dir = opendir(CAPTURES);

	if (!dir) {
		fprintf(stderr, "SKIPPED: %s: %s: nothing recorded was looked at\n", CAPTURES,
			strerror(errno));
		return;
	}
	closedir(dir);
	for (size_t i = 0; i < ARRAY_SIZE(captures); i++)
		check_file(CAPTURES, captures[i].file, captures[i].reason);
}

static void test_looked_at(void)
{
	char *paths[] = { "/v1/messages", "/claude", NULL };
	struct config config = { .queue = { .enabled = true, .paths = paths } };
	static const struct {
		const char *method, *target;
		bool looked_at;
	} rows[] = {
		{ "POST", "/v1/messages", true },
		{ "POST", "/v1/messages?beta=true", true },
		{ "POST", "/v1/messages?", true },
		{ "POST", "/api/v1/messages", true },
		{ "POST", "http://host/v1/messages", true },
		{ "POST", "/x/claude?a=/v1", true },
		{ "POST", "/v1/messages/count_tokens?beta=true", false },
		{ "POST", "/v1/messages/batches", false },
		{ "POST", "/v1/message", false },
		{ "POST", "/v1/messages/count_tokens/", false },
		{ "POST", "//v1//messages//count_tokens", false },
		{ "POST", "/v1/messages/../models", false },
		{ "POST", "/v1/messages/%63ount_tokens", false },
		{ "POST", "/v1/messages%3Fbeta=true", false },
		{ "POST", "/v2/x/../messages", false },
		{ "POST", "/v1/foo/m%65ssages", false },
		{ "POST", "/xv1x/messagesx", false },
		/* spellings: tests/relays has thousands */
		{ "POST", "/v1/Messages", true },
		{ "POST", "/V1/MESSAGES/", true },
		{ "POST", "//v1///messages//", true },
		{ "POST", "/v1/./messages/.", true },
		{ "POST", "/v1/x/../messages", true },
		{ "POST", "/v1/a%2Fb/../messages", true },
		{ "POST", "/v1/a//../messages", true },
		{ "POST", "/v1/%6Dessages", true },
		{ "POST", "/v1%2fmessages", true },
		{ "POST", "/%76%31/%6d%65%73%73%61%67%65%73", true },
		{ "POST", "/v1/%256Dessages", true },
		{ "POST", "/v1/messages%0A", true },
		{ "POST", "/v1/messages%20", true },
		{ "POST", "/v1\\messages", true },
		{ "POST", "/v1/messages;jsessionid=1", true },
		{ "POST", "/v1;a/messages;b", true },
		{ "POST", "/v1/messages;/models", true },
		{ "POST", "/v1/messages;%2Fx?a", true },
		{ "POST", "http://host//v1/Messages/", true },
		/* "%" that decodes nothing */
		{ "POST", "/v1/messages%", false },
		{ "POST", "/v1/messages%2", false },
		{ "POST", "/v1/%6gmessages", false },
		{ "POST", "/", false },
		{ "POST", "//", false },
		{ "POST", "%2F", false },
		{ "POST", "..", false },
		{ "POST", "/v1/models?x=/v1/messages", false },
		{ "POST", "?/v1/messages", false },
		{ "POST", "", false },
		{ "GET", "/v1/messages", false },
		{ "post", "/v1/messages", true },
		{ "", "/v1/messages", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		CHECK_INT(request_is_looked_at(&config, span_of(rows[i].method),
					       span_of(rows[i].target)),
			  rows[i].looked_at);
	config.queue.enabled = false;
	CHECK(!request_is_looked_at(&config, SPAN("POST"), SPAN("/v1/messages")));
}

/* Codes and kinds are names for logs and metrics: all there, all different. */
static void test_names(void)
{
	struct request_verdict verdict;

	for (int i = 0; i < REQUEST_REASON_COUNT; i++) {
		const struct request_reason_info *info =
			request_reason_info((enum request_reason)i);

		CHECK(info->code[0] && info->help[0]);
		for (int j = 0; j < i; j++)
			CHECK(strcmp(info->code,
				     request_reason_info((enum request_reason)j)->code));
	}
	for (int i = KIND_OTHER; i <= KIND_UNREADABLE; i++)
		CHECK(request_kind_name((enum request_kind)i)[0]);
	CHECK_STR(request_kind_name(KIND_USER_MESSAGE), "user_message");
	request_not_looked_at(&verdict);
	CHECK(!verdict.gated);
	CHECK_INT(verdict.kind, KIND_OTHER);
	CHECK_STR(verdict.account, "");
}

int main(void)
{
	const char *root = getenv("SOURCE_ROOT");

	CHECK(!root || chdir(root) == 0);
	test_bodies();
	test_prefixes();
	test_deep();
	test_fixtures();
	test_captures();
	test_looked_at();
	test_names();
	return check_done();
}
