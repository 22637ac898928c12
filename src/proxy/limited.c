#include "proxy/limited.h"

#include <stdio.h>
#include <string.h>

#include "base/alert.h"
#include "base/clock.h"
#include "base/log.h"
#include "request/limits.h"

/* --- a refusal as text ------------------------------------------------------------------------ */

static bool tells_of_limits(struct span name)
{
	static const struct span rates = SPAN("anthropic-ratelimit-");

	return span_ieq(name, SPAN("content-type")) ||
	       (name.len > rates.len && span_ieq((struct span){ name.ptr, rates.len }, rates));
}

void limited_write(int status, const struct headers *fields, struct span body, struct buf *to)
{
	buf_printf(to, "%d\n", status);
	for (size_t i = 0; i < fields->count; i++) {
		const struct header *f = &fields->fields[i];

		if (tells_of_limits(f->name))
			buf_printf(to, "%.*s: %.*s\n", SPAN_ARG(f->name), SPAN_ARG(f->value));
	}
	buf_puts(to, "\n");
	buf_append(to, body.ptr, body.len);
}

static bool next_line(struct span *text, struct span *ret)
{
	const char *end = text->len ? memchr(text->ptr, '\n', text->len) : NULL;

	if (!end)
		return false;
	*ret = (struct span){ text->ptr, (size_t)(end - text->ptr) };
	*text = (struct span){ end + 1, text->len - ret->len - 1 };
	return true;
}

static bool read_field(struct span line, struct limited_refusal *ret)
{
	const char *colon = memchr(line.ptr, ':', line.len);
	struct header *f;

	if (!colon || colon == line.ptr || ret->count == ARRAY_SIZE(ret->fields))
		return false;
	f = &ret->fields[ret->count++];
	f->name = (struct span){ line.ptr, (size_t)(colon - line.ptr) };
	f->value = span_trim((struct span){ colon + 1, line.len - f->name.len - 1 });
	return tells_of_limits(f->name);
}

/* Another version of turnstile may have written it, or another program: it is looked at again. */
bool limited_read(struct span text, struct limited_refusal *ret)
{
	struct span line;

	*ret = (struct limited_refusal){ 0 };
	if (!next_line(&text, &line) || line.len != 3)
		return false;
	for (size_t i = 0; i < 3; i++) {
		if (line.ptr[i] < '0' || line.ptr[i] > '9')
			return false;
		ret->status = ret->status * 10 + line.ptr[i] - '0';
	}
	while (next_line(&text, &line)) {
		if (!line.len) {
			ret->body = text;
			return ret->status >= 400;
		}
		if (!read_field(line, ret))
			return false;
	}
	return false;
}

/* --- judging ---------------------------------------------------------------------------------- */

/* The exchange hears of it a moment later. */
static int status_of(const struct exchange *x)
{
	return x->transfer ? transfer_status(x->transfer) : 0;
}

/* 402 and 403: relays make them of a 429 (limits.h). */
static bool is_refusal(const struct exchange *x)
{
	int status = status_of(x);

	return status == 402 || status == 403 || status == 429 || status >= 500;
}

static void tell(const struct exchange *x, const struct limit_window *w)
{
	enum log_level level = w->status == LIMIT_ALLOWED ? LOG_INFO : LOG_WARN;

	log_at(level, "the upstream tells of a quota", LOG_STR("account", x->verdict.account),
	       LOG_STR("window", w->name), LOG_STR("status", limit_status_names[w->status]),
	       LOG_REAL("used", w->utilisation),
	       LOG_INT("resets_in_s", w->reset_ms ? (w->reset_ms - w->at_ms) / 1000 : 0),
	       LOG_STR("request_id", x->id));
}

void limited_fields(struct exchange *x)
{
	struct limit_window changed;

	if (x->verdict.account[0] &&
	    quotas_read(x->proxy->quotas, x->verdict.account, transfer_fields(x->transfer),
			clock_wall_ms(), &changed))
		tell(x, &changed);
}

void limited_headers(struct exchange *x)
{
	if (status_of(x) < 400)
		queue_release(&x->place);
}

void limited_body(struct exchange *x, const char *data, size_t len)
{
	if (!is_refusal(x) || x->limit_body.len >= LIMIT_BODY)
		return;
	buf_append(&x->limit_body, data, MIN(len, LIMIT_BODY - x->limit_body.len));
}

/* Those that a limit is about: by its name, else the one that was asked for; 0: of no known one. */
static unsigned families_of(const struct exchange *x, const struct limit_verdict *v)
{
	if (v->kind != LIMIT_QUOTA || v->scope != LIMIT_OF_FAMILY)
		return 0;
	return limits_families(span_of(v->family[0] ? v->family : x->verdict.model));
}

static enum hold_kind kind_to_hold(const struct exchange *x, const struct limit_verdict *v)
{
	if (v->kind == LIMIT_THROTTLE && x->terms.on_limit & ON_LIMIT_THROTTLE)
		return HOLD_THROTTLE;
	if (v->kind == LIMIT_QUOTA && x->terms.on_limit & ON_LIMIT_QUOTA)
		return v->scope == LIMIT_OF_ACCOUNT || families_of(x, v) ? HOLD_QUOTA : HOLD_NONE;
	return HOLD_NONE;
}

static void hold(struct exchange *x, enum hold_kind kind, const struct limit_verdict *v,
		 const struct headers *fields)
{
	CLEANUP(buf_clear) struct buf refusal = { 0 };
	int64_t for_ms = v->until_ms ? MAX(v->until_ms - clock_wall_ms(), 1) : 0;

	limited_write(status_of(x), fields, buf_span(&x->limit_body), &refusal);
	queue_hold(&x->place, &(struct lock_limit){ .kind = kind,
						    .families = families_of(x, v),
						    .for_ms = for_ms,
						    .refusal = buf_str(&refusal) });
	alert(ALERT_HELD, x->verdict.account, for_ms);
}

static struct span readable_body(const struct exchange *x, const struct headers *fields)
{
	struct span coding = headers_get(fields, SPAN("content-encoding"));

	if (coding.ptr && !span_ieq(coding, SPAN("identity")))
		return (struct span){ 0 };
	return buf_span(&x->limit_body);
}

/* Marks of requests that have models, and so limits, of their own (marks.h). */
static bool is_auxiliary(const struct exchange *x)
{
	static const char *const marks[] = { "title", "probe", "classifier", "auxiliary" };

	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		if (!strcmp(x->verdict.mark, marks[i]))
			return true;
	}
	return false;
}

static void count(struct exchange *x, const struct limit_verdict *v)
{
	enum quota_answer answer = quota_answer_of(status_of(x), v->kind);
	const char *account = x->verdict.account;
	bool holds = x->place.turn_ms && kind_to_hold(x, v);

	if (!account[0])
		return;
	quotas_count(x->proxy->quotas, account, answer, clock_wall_ms());
	tally_answer(x->proxy->tally, account, answer);
	history_answer(x->proxy->history, &(struct history_answer){ .at_ms = clock_wall_ms(),
								    .account = account,
								    .share = x->verdict.share,
								    .kind = answer,
								    .holds = holds });
}

static bool judge(const struct exchange *x, struct limit_verdict *ret)
{
	const struct headers *fields = x->transfer ? transfer_fields(x->transfer) : NULL;

	if (!fields || !is_refusal(x))
		return false;
	limits_judge(&(struct limit_answer){ .status = status_of(x),
					     .fields = *fields,
					     .body = readable_body(x, fields),
					     .auxiliary = is_auxiliary(x),
					     .now_ms = clock_wall_ms() },
		     ret);
	return true;
}

/* `again_ms`: it will be sent again after that; 0: it goes to the client. */
static void act(struct exchange *x, const struct limit_verdict *v, int64_t again_ms)
{
	enum hold_kind kind = kind_to_hold(x, v);

	x->proxy->counters.limits[v->kind]++;
	x->proxy->counters.retries[v->kind] += again_ms > 0;
	if (v->kind == LIMIT_NONE)
		return;
	log_warn(
		!kind ? "the upstream refused for a limit"
		: families_of(x, v)
			? "the upstream limits a family of models: nobody is sent to it for a while"
			: "the upstream limits the account: nobody of it is sent for a while",
		LOG_STR("account", x->verdict.account), LOG_STR("kind", limit_kind_names[v->kind]),
		LOG_STR("model", x->verdict.model), LOG_STR("why", v->why),
		LOG_INT("status", status_of(x)),
		LOG_INT("for_ms", v->until_ms ? v->until_ms - clock_wall_ms() : 0),
		LOG_BOOL("held", kind != HOLD_NONE), LOG_STR("request_id", x->id),
		again_ms ? LOG_INT("again_in_ms", again_ms) : (struct log_field){ 0 });
	if (kind)
		hold(x, kind, v, transfer_fields(x->transfer));
}

void limited_end(struct exchange *x)
{
	struct limit_verdict v = { 0 };
	bool judged;

	if (x->was_counted || !status_of(x))
		return;
	x->was_counted = true;
	judged = judge(x, &v);
	count(x, &v);
	if (judged && x->place.turn_ms)
		act(x, &v, 0);
}

/* --- sending it again ------------------------------------------------------------------------- */

enum {
	RETRIES_MAX = 2,
	RETRY_PAUSE_MS = 2000, /* where nothing is said; doubling, as that of a hold does */
	RETRY_PAUSE_MAX_MS = 10000,
};

/*
 * Only these are refused before any work by what they mean; and it must be alone: with its own turn,
 * and what was refused is over.
 */
static bool may_retry(const struct exchange *x)
{
	int status = status_of(x);

	return x->terms.retry && x->state == X_FORWARDING && x->place.state == PLACE_TURN &&
	       x->told <= TOLD_PINGS && x->retries < RETRIES_MAX &&
	       (status == 429 || status == 503 || status == 529);
}

static bool is_named(const struct exchange *x, const struct limit_verdict *v)
{
	return (v->kind == LIMIT_THROTTLE && x->terms.retry & RETRY_THROTTLE) ||
	       (v->kind == LIMIT_OVERLOADED && x->terms.retry & RETRY_OVERLOADED);
}

/*
 * Whether another of the account's turns is to ask already whether the limit is over: one goes alone. Each
 * process sees its own.
 */
static bool is_asked_about(const struct exchange *x)
{
	const struct exchange *y;

	if (x->terms.turns <= 1)
		return false;
	list_for_each (y, &x->proxy->in_state[X_FORWARDING], link) {
		if (y != x && y->retries && y->place.probe &&
		    !strcmp(y->verdict.account, x->verdict.account))
			return true;
	}
	return false;
}

static int64_t pause_ms(const struct exchange *x, const struct limit_verdict *v)
{
	if (v->until_ms)
		return MAX(v->until_ms - clock_wall_ms(), 1);
	return (int64_t)RETRY_PAUSE_MS << x->retries;
}

/* Patience: as long as it would have waited for its turn. */
static bool has_time_for(const struct exchange *x, int64_t ms)
{
	return ms <= RETRY_PAUSE_MAX_MS &&
	       clock_ms() + ms < x->place.joined_ms + x->terms.timeout_ms;
}

enum limited_next limited_next(struct exchange *x, bool whole, int64_t *ret_pause_ms)
{
	struct limit_verdict v;
	int64_t ms;

	if (!may_retry(x))
		return LIMITED_ANSWER;
	if (!whole && x->limit_body.len < LIMIT_BODY)
		return LIMITED_UNREAD;
	if (!judge(x, &v) || !is_named(x, &v) || v.dont_retry)
		return LIMITED_ANSWER;
	ms = pause_ms(x, &v);
	if (!has_time_for(x, ms) || (kind_to_hold(x, &v) && is_asked_about(x)))
		return LIMITED_ANSWER;
	count(x, &v);
	act(x, &v, ms);
	*ret_pause_ms = ms;
	return LIMITED_AGAIN;
}
