/*
 * exempt.c - requests that look like user messages, and that an operator lets pass.
 *
 * One function a kind, over the headers and the few short members that the scanner kept.
 */
#include "request/exempt.h"

#include <fnmatch.h>

#include "request/json.h"

struct request {
	const struct headers *headers;
	bool trusted;
	const struct tail_facts *facts;
};

static cJSON *parse_member(const struct request *r, enum tail_member member)
{
	return json_parse(r->facts->members[member].json);
}

static bool is_probe(const struct request *r, const struct exempt_rule *rule)
{
	CLEANUP(json_freep) cJSON *max = parse_member(r, TAIL_MAX_TOKENS);

	(void)rule;
	return cJSON_IsNumber(max) && max->valuedouble == 1;
}

static bool has_tools(const struct request *r)
{
	CLEANUP(json_freep) cJSON *tools = parse_member(r, TAIL_TOOLS);

	return r->facts->members[TAIL_TOOLS].too_long || cJSON_GetArraySize(tools) > 0;
}

static bool is_title(const struct request *r, const struct exempt_rule *rule)
{
	static const char *const way[] = { "format", "schema", "properties", "title" };
	CLEANUP(json_freep) cJSON *config = parse_member(r, TAIL_OUTPUT_CONFIG);
	const cJSON *at = config;

	(void)rule;
	for (size_t i = 0; i < ARRAY_SIZE(way); i++)
		at = json_member(at, way[i]);
	return at && !has_tools(r);
}

static bool is_subagent(const struct request *r, const struct exempt_rule *rule)
{
	(void)rule;
	return span_trim(headers_get(r->headers, SPAN("x-claude-code-agent-id"))).len != 0;
}

static bool text_starts(const struct request *r, struct span with)
{
	const struct tail_text *text = &r->facts->last.text;

	return span_starts((struct span){ text->first, text->len }, with);
}

static bool is_classifier(const struct request *r, const struct exempt_rule *rule)
{
	CLEANUP(json_freep) cJSON *stream = parse_member(r, TAIL_STREAM);

	(void)rule;
	return text_starts(r, SPAN("<transcript>")) && !cJSON_IsTrue(stream);
}

static bool is_notification(const struct request *r, const struct exempt_rule *rule)
{
	(void)rule;
	return text_starts(r, SPAN("<task-notification>"));
}

static bool has_header(const struct request *r, const struct exempt_rule *rule)
{
	for (size_t i = 0; r->trusted && i < r->headers->count; i++) {
		const struct header *h = &r->headers->fields[i];

		if (span_ieq(h->name, span_of(rule->name)) &&
		    span_eq(span_trim(h->value), span_of(rule->value)))
			return true;
	}
	return false;
}

static bool is_model(const struct request *r, const struct exempt_rule *rule)
{
	CLEANUP(json_freep) cJSON *model = parse_member(r, TAIL_MODEL);

	return cJSON_IsString(model) && !fnmatch(rule->value, model->valuestring, FNM_NOESCAPE);
}

static const struct {
	bool (*holds)(const struct request *r, const struct exempt_rule *rule);
	enum request_reason reason;
} kinds[] = {
	[EXEMPT_PROBE] = { is_probe, REASON_EXEMPT_PROBE },
	[EXEMPT_TITLE] = { is_title, REASON_EXEMPT_TITLE },
	[EXEMPT_SUBAGENT] = { is_subagent, REASON_EXEMPT_SUBAGENT },
	[EXEMPT_CLASSIFIER] = { is_classifier, REASON_EXEMPT_CLASSIFIER },
	[EXEMPT_NOTIFICATION] = { is_notification, REASON_EXEMPT_NOTIFICATION },
	[EXEMPT_HEADER] = { has_header, REASON_EXEMPT_HEADER },
	[EXEMPT_MODEL] = { is_model, REASON_EXEMPT_MODEL },
};

enum request_reason exempt_reason(enum exempt_kind kind)
{
	must(kind > EXEMPT_NONE && kind < ARRAY_SIZE(kinds));
	return kinds[kind].reason;
}

const struct exempt_rule *exempt_find(const struct exempt_rule *rules,
				      const struct headers *headers, bool trusted,
				      const struct tail_facts *facts)
{
	const struct request r = { headers, trusted, facts };

	for (; rules && rules->kind != EXEMPT_NONE; rules++) {
		if (kinds[rules->kind].holds(&r, rules))
			return rules;
	}
	return NULL;
}
