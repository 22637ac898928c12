/*
 * marks.c - what a request is for, as far as it shows.
 *
 * One function a shape, over the headers and the few facts that the scanner kept; a table says of
 * which classes a kind can be.
 */
#include "request/marks.h"

#include <fnmatch.h>

#include "request/json.h"

enum { CLASSIFIER_PATIENCE_MS = 60000 };

/* What x-claude-code-request-class says. One that isn't known says nothing: the list may grow. */
enum request_class {
	CLASS_NONE,
	CLASS_MAIN,
	CLASS_SUBAGENT,
	CLASS_WORKFLOW,
	CLASS_AUXILIARY,
	CLASS_COMPACTION,
};

static const struct span classes[] = {
	[CLASS_NONE] = SPAN(""),
	[CLASS_MAIN] = SPAN("main"),
	[CLASS_SUBAGENT] = SPAN("subagent"),
	[CLASS_WORKFLOW] = SPAN("workflow"),
	[CLASS_AUXILIARY] = SPAN("auxiliary"),
	[CLASS_COMPACTION] = SPAN("compaction"),
};

static struct span field(const struct marks_evidence *e, const char *name)
{
	return span_trim(headers_get(e->headers, span_of(name)));
}

static enum request_class class_of(const struct marks_evidence *e)
{
	struct span said = field(e, "x-claude-code-request-class");

	for (size_t i = CLASS_MAIN; i < ARRAY_SIZE(classes); i++) {
		if (span_ieq(said, classes[i]))
			return (enum request_class)i;
	}
	return CLASS_NONE;
}

static cJSON *parse_member(const struct marks_evidence *e, enum tail_member member)
{
	return json_parse(e->facts->members[member].json);
}

static bool is_probe(const struct marks_evidence *e)
{
	CLEANUP(json_freep) cJSON *max = parse_member(e, TAIL_MAX_TOKENS);

	return cJSON_IsNumber(max) && max->valuedouble == 1;
}

static bool has_tools(const struct marks_evidence *e)
{
	CLEANUP(json_freep) cJSON *tools = parse_member(e, TAIL_TOOLS);

	return e->facts->members[TAIL_TOOLS].too_long || cJSON_GetArraySize(tools) > 0;
}

static bool is_title(const struct marks_evidence *e)
{
	static const char *const way[] = { "format", "schema", "properties", "title" };
	CLEANUP(json_freep) cJSON *config = parse_member(e, TAIL_OUTPUT_CONFIG);
	const cJSON *at = config;

	for (size_t i = 0; i < ARRAY_SIZE(way); i++)
		at = json_member(at, way[i]);
	return at && !has_tools(e);
}

static bool is_classifier(const struct marks_evidence *e)
{
	CLEANUP(json_freep) cJSON *stream = NULL;

	if (!(e->facts->last.tags & TAIL_TAG_TRANSCRIPT) || e->patience_ms > CLASSIFIER_PATIENCE_MS)
		return false;
	stream = parse_member(e, TAIL_STREAM);
	return !cJSON_IsTrue(stream) && !has_tools(e);
}

static bool is_workflow(const struct marks_evidence *e)
{
	const struct span workflow = SPAN("workflow");
	struct span type = field(e, "x-claude-code-agent-type");

	return type.len >= workflow.len && field(e, "x-claude-code-agent-id").len &&
	       span_ieq((struct span){ type.ptr, workflow.len }, workflow);
}

static bool is_subagent(const struct marks_evidence *e)
{
	return field(e, "x-claude-code-agent-id").len && !is_workflow(e);
}

static bool is_compaction(const struct marks_evidence *e)
{
	const struct tail_text *text = &e->facts->last.text;

	return field(e, "x-claude-code-compaction").len ||
	       span_starts((struct span){ text->first, text->len },
			   SPAN("CRITICAL: Respond with TEXT ONLY"));
}

static bool is_notification(const struct marks_evidence *e)
{
	return e->facts->last.tags & TAIL_TAG_NOTIFICATION;
}

static bool is_loop(const struct marks_evidence *e)
{
	struct span agent = field(e, "user-agent"), said = field(e, "x-claude-1p-request-class");

	if (agent.len && memmem(agent.ptr, agent.len, "workload/cron", 13))
		return true;
	if (said.len || span_starts(agent, SPAN("claude-cli/")))
		return span_ieq(said, SPAN("background-task"));
	return e->facts->last.tags & TAIL_TAG_LOOP;
}

/* In the order in which they say more than those behind them. */
static const struct {
	enum mark_kind kind;
	const char *name;
	enum request_class of; /* the class that such requests have */
	bool decides;          /* … and that no others have: it needs no shape */
	bool (*looks_so)(const struct marks_evidence *e);
} kinds[] = {
	{ MARK_PROBE, "probe", CLASS_AUXILIARY, false, is_probe },
	{ MARK_TITLE, "title", CLASS_AUXILIARY, false, is_title },
	{ MARK_CLASSIFIER, "classifier", CLASS_AUXILIARY, false, is_classifier },
	{ MARK_COMPACTION, "compaction", CLASS_COMPACTION, true, is_compaction },
	{ MARK_WORKFLOW, "workflow", CLASS_WORKFLOW, true, is_workflow },
	{ MARK_SUBAGENT, "subagent", CLASS_SUBAGENT, true, is_subagent },
	{ MARK_NOTIFICATION, "notification", CLASS_MAIN, false, is_notification },
	{ MARK_LOOP, "loop", CLASS_MAIN, false, is_loop },
};

unsigned marks_find(const struct marks_evidence *e)
{
	const unsigned auxiliary = 1u << MARK_PROBE | 1u << MARK_TITLE | 1u << MARK_CLASSIFIER;
	enum request_class class = class_of(e);
	unsigned marks = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		bool may_be = class == CLASS_NONE || class == kinds[i].of;

		if (may_be && ((class != CLASS_NONE && kinds[i].decides) || kinds[i].looks_so(e)))
			marks |= 1u << kinds[i].kind;
	}
	if (class == CLASS_AUXILIARY || (class == CLASS_NONE && marks & auxiliary))
		marks |= 1u << MARK_AUXILIARY;
	return marks;
}

const char *marks_name(unsigned marks)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (marks & 1u << kinds[i].kind)
			return kinds[i].name;
	}
	return marks & 1u << MARK_AUXILIARY ? "auxiliary" : "";
}

static bool has_header(const struct marks_evidence *e, const struct mark_rule *rule)
{
	for (size_t i = 0; e->trusted && i < e->headers->count; i++) {
		const struct header *h = &e->headers->fields[i];

		if (span_ieq(h->name, span_of(rule->name)) &&
		    span_eq(span_trim(h->value), span_of(rule->value)))
			return true;
	}
	return false;
}

static bool is_model(const struct marks_evidence *e, const struct mark_rule *rule)
{
	CLEANUP(json_freep) cJSON *model = parse_member(e, TAIL_MODEL);

	return cJSON_IsString(model) && !fnmatch(rule->value, model->valuestring, FNM_NOESCAPE);
}

const struct mark_rule *marks_match(const struct mark_rule *rules, unsigned marks,
				    const struct marks_evidence *e)
{
	for (; rules && rules->kind != MARK_NONE; rules++) {
		bool holds = rules->kind == MARK_HEADER  ? has_header(e, rules)
			     : rules->kind == MARK_MODEL ? is_model(e, rules)
							 : marks & 1u << rules->kind;

		if (holds)
			return rules;
	}
	return NULL;
}

enum request_reason marks_reason(enum mark_kind kind)
{
	static const enum request_reason reasons[] = {
		[MARK_PROBE] = REASON_EXEMPT_PROBE,
		[MARK_TITLE] = REASON_EXEMPT_TITLE,
		[MARK_SUBAGENT] = REASON_EXEMPT_SUBAGENT,
		[MARK_CLASSIFIER] = REASON_EXEMPT_CLASSIFIER,
		[MARK_NOTIFICATION] = REASON_EXEMPT_NOTIFICATION,
		[MARK_LOOP] = REASON_EXEMPT_LOOP,
		[MARK_COMPACTION] = REASON_EXEMPT_COMPACTION,
		[MARK_AUXILIARY] = REASON_EXEMPT_AUXILIARY,
		[MARK_WORKFLOW] = REASON_EXEMPT_WORKFLOW,
		[MARK_HEADER] = REASON_EXEMPT_HEADER,
		[MARK_MODEL] = REASON_EXEMPT_MODEL,
	};

	must(kind > MARK_NONE && kind < ARRAY_SIZE(reasons));
	return reasons[kind];
}
