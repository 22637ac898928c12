/*
 * test_recorded.c - requests as clients have sent them: what they are, and what for.
 *
 * Paths are relative to SOURCE_ROOT. Those of tests/fixtures are always there.
 */
#include <cjson/cJSON.h>
#include <unistd.h>

#include "looked_at.h"

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
	{ "tests/fixtures/requests", "compact.json", "exempt_compaction" },
	{ "tests/fixtures/requests", "compact_string.json", "exempt_compaction" },
	{ "tests/fixtures/requests", "notification_reminder.json", "exempt_notification" },
	{ "tests/fixtures/requests", "notification_of_agent.json", "exempt_notification" },
	{ "tests/fixtures/requests", "classifier_handback.json", "exempt_classifier" },
	{ "tests/fixtures/requests", "loop.json", "exempt_loop" },
	{ "tests/fixtures/requests", "slash_command.json", "blocks" },
	{ "tests/fixtures/requests", "hook_continuation.json", "blocks" },
	{ "tests/fixtures/requests", "old_client.json", "blocks" },
	{ "../shared/captures", "01-user-message.json", "blocks" },
	{ "../shared/captures", "02-tool-result.json", "tool_result" },
	{ "../shared/captures", "07-title-generation.json", "exempt_title" },
	{ "../shared/captures", "08-quota-check.json", "exempt_probe" },
};

static bool read_file(const char *path, struct buf *to)
{
	FILE *f = fopen(path, "rb");
	size_t n;

	while (f && (n = fread(buf_reserve(to, 4096), 1, 4096, f)) > 0)
		to->len += n;
	if (f)
		fclose(f);
	return f;
}

static void test_files(void)
{
	struct config config = config_with(named);
	struct headers none = { NULL, 0 };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		CLEANUP(freep) char *path = xasprintf("%s/%s", files[i].dir, files[i].file);
		CLEANUP(buf_clear) struct buf body = { 0 };
		bool read = read_file(path, &body);

		if (!read && files[i].dir[0] == '.') {
			fprintf(stderr, "SKIPPED: %s: nothing recorded was looked at\n", path);
			continue;
		}
		must(read);
		CHECK_STR(verdict_on(&config, &none, "", buf_span(&body), 1000).reason,
			  files[i].reason);
	}
}

/* The mark of each request of ../shared/samples; NULL: it isn't gated in any case. */
static const struct {
	const char *file, *mark;
} samples[] = {
	{ "01-typed-prompt-print.json", "" },
	{ "02-tool-result.json", NULL },
	{ "03-typed-prompt-no-hints.json", "" },
	{ "04-tool-result-no-hints.json", NULL },
	{ "05-typed-prompt-tui-auto-mode.json", "" },
	{ "06-title.json", "title" },
	{ "07-quota-probe-oauth.json", "probe" },
	{ "08-subagent-first.json", "subagent" },
	{ "09-subagent-tool-result.json", NULL },
	{ "10-subagent-nested-first.json", "subagent" },
	{ "11-subagent-explore-parallel.json", "subagent" },
	{ "12-notification-background-agent.json", "notification" },
	{ "13-notification-background-bash.json", "notification" },
	{ "14-workflow-subagent.json", "workflow" },
	{ "15-subagent-handback-classifier.json", "classifier" },
	{ "16-compact-manual.json", "compaction" },
	{ "17-compact-auto.json", "compaction" },
	{ "18-compact-reactive.json", "compaction" },
	{ "19-after-auto-compaction.json", "" },
	{ "20-loop-typed.json", "" },
	{ "21-loop-wakeup.json", "loop" },
	{ "22-stop-hook-continuation.json", "" },
	{ "23-slash-command.json", "" },
	{ "24-skill.json", "" },
	{ "25-after-esc-retyped.json", "" },
	{ "26-websearch.json", "auxiliary" },
	{ "28-stream-idle-or-sse-error-resend-nonstream.json", "" },
	{ "29-agent-sdk-prompt.json", "" },
	{ "30-subagent-no-hints.json", "subagent" },
	{ "31-sdk-1.14.json", "" },
};

/* A sample tells of a body what says something: its short members, and the last message. */
static char *sample_body(const cJSON *sample)
{
	cJSON *body = cJSON_Duplicate(cJSON_GetObjectItem(sample, "small_members"), true);
	cJSON *messages = cJSON_AddArrayToObject(body, "messages");
	cJSON *tools = cJSON_AddArrayToObject(body, "tools");
	char *text;

	cJSON_AddItemToArray(
		messages,
		cJSON_Duplicate(cJSON_GetObjectItem(sample, "last_non_system_message"), true));
	for (int i = 0; i < cJSON_GetObjectItem(sample, "tools")->valueint; i++)
		cJSON_AddItemToArray(tools, cJSON_CreateObject());
	text = cJSON_PrintUnformatted(body);
	cJSON_Delete(body);
	return text;
}

static void check_sample(const cJSON *sample, const char *file, const char *mark)
{
	CLEANUP(freep) char *body = sample_body(sample);
	struct config config = config_with(NULL);
	struct header fields[64];
	struct headers headers = { fields, 0 };
	struct request_verdict v;
	const cJSON *field;

	cJSON_ArrayForEach (field, cJSON_GetObjectItem(sample, "headers")) {
		must(headers.count < ARRAY_SIZE(fields));
		fields[headers.count++] =
			(struct header){ span_of(field->string), span_of(field->valuestring) };
	}
	v = verdict_on(&config, &headers, "", span_of(body), 1000);
	if (v.gated != !!mark || strcmp(v.mark, mark ? mark : "") != 0)
		fprintf(stderr, "%s:\n", file);
	CHECK_INT(v.gated, mark != NULL);
	CHECK_STR(v.mark, mark ? mark : "");
}

static void test_samples(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		CLEANUP(freep) char *path = xasprintf("../shared/samples/%s", samples[i].file);
		CLEANUP(buf_clear) struct buf text = { 0 };
		cJSON *sample;

		if (!read_file(path, &text)) {
			fprintf(stderr, "SKIPPED: %s: nothing recorded was looked at\n", path);
			continue;
		}
		sample = cJSON_ParseWithLength(text.data, text.len);
		must(sample);
		check_sample(sample, samples[i].file, samples[i].mark);
		cJSON_Delete(sample);
	}
}

int main(void)
{
	const char *root = getenv("SOURCE_ROOT");

	CHECK(!root || chdir(root) == 0);
	test_files();
	test_samples();
	return check_done();
}
