/*
 * request.c - the door to the room: which requests are looked at, and the look at one of them.
 *
 *      body ─> decode.c ─> tail.c ─> facts ─> classify.c ─> marks.c ──> reason ─┐
 *                                      └─ metadata ─> account.c ────────────────┴─> verdict
 */
#include "request/request.h"

#include "request/classify.h"
#include "request/decode.h"
#include "request/json.h"
#include "request/keys.h"
#include "request/limits.h"
#include "request/marks.h"
#include "request/path.h"
#include "request/patience.h"
#include "request/tail.h"
#include "request/unclear.h"

/* Of what a client waits, this is left for our answer to arrive: a tenth, but no more than 2 s. */
enum { MARGIN_SHARE = 10, MARGIN_MAX_MS = 2000 };

struct look {
	struct decoder *decoder;
	struct tail tail;
	size_t fed;                        /* bytes, as received */
	struct unclear_first raw, content; /* of those, and decoded */
};

const char *request_kind_name(enum request_kind kind)
{
	static const char *const names[] = {
		[KIND_OTHER] = "other",
		[KIND_USER_MESSAGE] = "user_message",
		[KIND_UNCLEAR] = "unclear",
		[KIND_EXEMPT] = "exempt",
		[KIND_TOOL_RESULT] = "tool_result",
		[KIND_NOT_USER] = "not_user",
		[KIND_UNREADABLE] = "unreadable",
	};

	must(kind < ARRAY_SIZE(names));
	return names[kind];
}

bool request_is_looked_at(const struct config *config, struct span method, struct span target)
{
	return config_queue_mode(config) != QUEUE_MODE_OFF && span_ieq(method, SPAN("POST")) &&
	       path_ends(target, config->queue.paths);
}

static void verdict_reason(struct request_verdict *v, enum request_reason reason)
{
	const struct request_reason_info *info = request_reason_info(reason);

	v->gated = request_kind_is_gated(info->kind);
	v->kind = info->kind;
	v->why = reason;
	v->reason = info->code;
}

void request_not_looked_at(struct request_verdict *ret)
{
	*ret = (struct request_verdict){ .mark = "", .patience_ms = -1 };
	verdict_reason(ret, REASON_NOT_LOOKED_AT);
}

static void look_sink(void *arg, const char *data, size_t len)
{
	struct look *look = arg;

	unclear_add(&look->content, data, len);
	tail_feed(&look->tail, data, len);
}

void look_feed(struct look *look, const char *data, size_t len)
{
	look->fed += len;
	unclear_add(&look->raw, data, len);
	decode_feed(look->decoder, data, len);
}

static enum request_reason look_reason(const struct look *look, const struct headers *headers,
				       const struct tail_facts *facts, enum decode_status decoded)
{
	return unclear_or(classify(facts), &(struct unclear_evidence){
						   .headers = headers,
						   .facts = facts,
						   .decoded = decoded,
						   .coded = decoder_is_coded(look->decoder),
						   .raw = look->raw,
						   .content = look->content,
					   });
}

/* What the configuration makes of its marks: it passes, lets others go first, or neither. */
static void apply_marks(const struct config *config, const struct marks_evidence *evidence,
			struct request_verdict *v)
{
	unsigned marks = marks_find(evidence);
	const struct mark_rule *exempt, *yield;
	struct account_terms terms;
	struct share_terms share;

	account_terms_of(config, v->account, &terms);
	share_terms_of(config, v->share, &share);
	exempt = marks_match(share.exempt, marks, evidence);
	yield = marks_match(share.yield, marks, evidence);
	v->weight = share.weight;
	v->yields = yield;
	v->mark = marks_name(marks);
	if (!v->mark[0] && yield)
		v->mark = yield->kind == MARK_HEADER ? "header" : "model";
	if (exempt) {
		verdict_reason(v, marks_reason(exempt->kind));
		v->exempt = 1 + (size_t)(exempt - share.exempt);
	} else if (!terms.enabled) {
		verdict_reason(v, REASON_EXEMPT_ACCOUNT);
	}
}

static void read_model(const struct tail_facts *facts, struct request_verdict *v)
{
	CLEANUP(json_freep) cJSON *model = json_parse(facts->members[TAIL_MODEL].json);
	CLEANUP(json_freep) cJSON *stream = json_parse(facts->members[TAIL_STREAM].json);
	const char *name = cJSON_GetStringValue(model);
	size_t n = 0;

	v->stream = cJSON_IsTrue(stream);
	while (name && name[n] > ' ' && name[n] < 0x7f)
		n++;
	if (name && !name[n] && n < sizeof v->model)
		memcpy(v->model, name, n);
}

/* Whose it is within its account, and by what it is known again. */
static void find_standing(const struct config *config, struct source_evidence *evidence,
			  const struct account_source *from, struct span body,
			  struct request_verdict *v)
{
	struct kept_evidence kept = { v->account, v->key, evidence->headers, { 0 }, body };

	kept.session = span_trim(headers_get(evidence->headers, SPAN("x-claude-code-session-id")));
	if (!kept.session.len)
		kept.session = span_of(source_session(evidence));
	share_find(config, evidence, v->account, from, v->share);
	if (kept.session.len)
		kept_session(kept.session, v->session);
	kept_key(&kept, v->keep_key);
}

static void name_keys(const struct headers *headers, struct request_verdict *v)
{
	struct keys keys;

	keys_find(headers, &keys);
	if (keys.first.len)
		account_of_key(keys.first, v->key);
	if (keys.other.len)
		account_of_key(keys.other, v->other_key);
}

void look_finish(struct look *look, const struct config *config, const struct headers *headers,
		 const char *client, struct span body, struct request_verdict *ret)
{
	CLEANUP(source_clear)
	struct source_evidence evidence = { .headers = headers,
					    .key_name = ret->key,
					    .peer = client };
	enum decode_status decoded = decode_finish(look->decoder); /* feeds the scanner */
	const struct account_source *from;
	struct tail_facts facts;

	must(look->fed == body.len);
	tail_finish(&look->tail, &facts);
	evidence.metadata = facts.members[TAIL_METADATA].json;
	*ret = (struct request_verdict){
		.mark = "",
		.patience_ms = patience_ms(headers),
	};
	name_keys(headers, ret);
	verdict_reason(ret, look_reason(look, headers, &facts, decoded));
	account_find(config, &evidence, ret->account, &from);
	ret->account_from = from ? from->kind : ACCOUNT_NONE;
	if (!ret->gated)
		return;
	read_model(&facts, ret);
	ret->families = limits_families(span_of(ret->model)) | facts.tool_families;
	find_standing(config, &evidence, from, body, ret);
	apply_marks(config,
		    &(struct marks_evidence){ headers, &facts, ret->patience_ms,
					      config_trusts(config, client) },
		    ret);
}

void request_terms(const struct config *config, const struct headers *headers, const char *account,
		   bool streams, int64_t elapsed_ms, struct account_terms *ret)
{
	int64_t patience = config->queue.client_budget ? patience_ms(headers) : -1;
	int64_t margin = MIN(patience / MARGIN_SHARE, MARGIN_MAX_MS);
	int64_t left = patience < 0 ? INT64_MAX : patience - margin - elapsed_ms;
	int64_t heard_ms = 0;

	account_terms_of(config, account, ret);
	if (streams && ret->mode == QUEUE_MODE_ENFORCE)
		heard_ms = config->queue.heartbeat_after_ms;
	if (heard_ms && heard_ms < left)
		return;
	ret->timeout_ms = MAX(1, MIN(MIN(ret->timeout_ms, CONFIG_QUIET_MAX_MS), left));
}

struct look *look_new(const struct headers *headers)
{
	struct look *look = xcalloc(1, sizeof *look);

	look->decoder = decoder_new(headers, look_sink, look);
	return look;
}

void look_free(struct look *look)
{
	if (!look)
		return;
	decoder_free(look->decoder);
	tail_clear(&look->tail);
	free(look);
}
