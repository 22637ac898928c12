/*
 * limits.c - see limits.h. The rules stand in one table, in the order in which they are tried; each is
 * here because somebody's gateway held accounts that weren't limited, or didn't hold one that was.
 */
#include "request/limits.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "request/api_error.h"

enum { TOO_MANY = 429, FORBIDDEN = 403, PAYMENT = 402, OVERLOADED = 529 };

const char *const limit_kind_names[LIMIT_KIND_COUNT] = {
#define X(name, word) [LIMIT_##name] = word,
	LIMIT_KINDS(X)
#undef X
};

const char *const limit_family_names[LIMIT_FAMILIES] = { "opus", "sonnet", "haiku", "fable" };

unsigned limits_families(struct span model)
{
	unsigned families = 0;

	for (size_t i = 0; i < LIMIT_FAMILIES; i++) {
		struct span name = span_of(limit_family_names[i]);

		for (size_t at = 0; at + name.len <= model.len; at++) {
			if (span_ieq((struct span){ model.ptr + at, name.len }, name))
				families |= 1u << i;
		}
	}
	return families;
}

/* --- what a refusal is about ------------------------------------------------------------------ */

/* All that the rules look at. */
struct facts {
	const struct limit_answer *answer;
	struct limit_reading reading;
	struct api_error error;
	int64_t retry_after_ms;           /* 0: not said */
	int64_t bucket_reset_ms;          /* the latest of the empty buckets; wall clock; 0: none */
	const struct limit_window *spent; /* the latest rejected window of the account; or NULL */
	const struct limit_window *family; /* … of a family */
	bool is_of_api;                    /* something in it that only the API says */
};

static struct span field(const struct facts *f, const char *name)
{
	return span_trim(headers_get(&f->answer->fields, span_of(name)));
}

static bool has_field(const struct facts *f, const char *name)
{
	return field(f, name).ptr != NULL;
}

/* Where the status isn't said, all used up is the same. */
static bool is_rejected(const struct limit_window *w)
{
	return w->status == LIMIT_REJECTED || (w->status == LIMIT_UNSAID && w->utilisation >= 1);
}

static void find_spent(struct facts *f)
{
	for (size_t i = 0; i < f->reading.count; i++) {
		const struct limit_window *w = &f->reading.windows[i];
		const struct limit_window **latest =
			limit_is_of_account(span_of(w->name)) ? &f->spent : &f->family;

		if (is_rejected(w) && (!*latest || w->reset_ms > (*latest)->reset_ms))
			*latest = w;
	}
}

static bool has_rate_field(const struct headers *h)
{
	const struct span prefix = SPAN("anthropic-ratelimit-");

	for (size_t i = 0; i < h->count; i++) {
		struct span name = h->fields[i].name;

		if (name.len > prefix.len &&
		    span_ieq((struct span){ name.ptr, prefix.len }, prefix))
			return true;
	}
	return false;
}

static void find_facts(const struct limit_answer *a, struct facts *f)
{
	*f = (struct facts){ .answer = a };
	limits_read(&a->fields, a->now_ms, &f->reading);
	api_error_read((struct span){ a->body.ptr, MIN(a->body.len, LIMIT_BODY) }, &f->error);
	f->retry_after_ms = limits_seconds_as_ms(field(f, "retry-after"));
	find_spent(f);
	f->bucket_reset_ms = limits_empty_until_ms(&a->fields);
	f->is_of_api = has_rate_field(&a->fields) || f->error.is_api || f->error.has_request ||
		       span_starts(field(f, "request-id"), SPAN("req_"));
}

/* --- the rules -------------------------------------------------------------------------------- */

static bool is_type(const struct facts *f, const char *type)
{
	return !strcmp(f->error.type, type);
}

/*
 * A 429 that a relay made a 403 of is believed by its fields only. On credits a spent window refuses
 * nothing.
 */
static bool is_spent(const struct facts *f)
{
	int status = f->answer->status;

	return (status == TOO_MANY || (status == FORBIDDEN && !is_type(f, "permission_error"))) &&
	       !f->reading.on_credits &&
	       (f->reading.status == LIMIT_REJECTED || f->spent || f->family);
}

static bool is_fine(const struct facts *f)
{
	return f->answer->status < 400;
}

/* Relays make a 503 of it. */
static bool is_overloaded(const struct facts *f)
{
	return f->answer->status == OVERLOADED ||
	       (f->answer->status >= 500 && is_type(f, "overloaded_error"));
}

static bool is_about_money(const struct facts *f)
{
	return f->answer->status == PAYMENT || is_type(f, "billing_error") ||
	       !strcmp(f->error.code, "enforced_spend_limit_reached");
}

/* One who may not use long contexts hears so by 429, whatever the windows say. */
static bool is_about_this_request(const struct facts *f)
{
	return f->answer->status == TOO_MANY && f->reading.status != LIMIT_REJECTED && !f->spent &&
	       (strcasestr(f->error.message, "long context") ||
		strcasestr(f->error.message, "extra usage"));
}

static bool is_spent_for_account(const struct facts *f)
{
	return is_spent(f) && f->spent;
}

static bool is_spent_for_family(const struct facts *f)
{
	return is_spent(f) && f->family;
}

static bool claims_account(const struct facts *f)
{
	return is_spent(f) && (f->reading.reset_ms || f->retry_after_ms) &&
	       (!strcmp(f->reading.claim, "five_hour") || !strcmp(f->reading.claim, "seven_day"));
}

static bool claims_family(const struct facts *f)
{
	return is_spent(f) && (f->reading.reset_ms || f->retry_after_ms) &&
	       (!strncmp(f->reading.claim, "seven_day_", 10) ||
		!strncmp(f->reading.claim, "five_hour_", 10));
}

static bool is_other_status(const struct facts *f)
{
	return f->answer->status != TOO_MANY && !is_type(f, "rate_limit_error");
}

static bool was_rewritten(const struct facts *f)
{
	return f->answer->status != TOO_MANY;
}

static bool is_of_relays_queue(const struct facts *f)
{
	return has_field(f, "x-user-message-queue-error");
}

static bool is_auxiliary(const struct facts *f)
{
	return f->answer->auxiliary;
}

static bool is_in_relays_words(const struct facts *f)
{
	return !f->is_of_api;
}

static bool has_retry_after(const struct facts *f)
{
	return f->retry_after_ms && (!f->error.type[0] || is_type(f, "rate_limit_error"));
}

static bool has_empty_bucket(const struct facts *f)
{
	return f->bucket_reset_ms != 0;
}

/* "Error", "Rate limited", and other words of the API's. */
static bool is_bare(const struct facts *f)
{
	return is_type(f, "rate_limit_error");
}

static const struct rule {
	bool (*holds)(const struct facts *f);
	enum limit_kind kind;
	const char *why; /* NULL: nothing to tell */
} rules[] = {
	{ is_fine, LIMIT_NONE, NULL },
	{ is_overloaded, LIMIT_OVERLOADED, "everybody's overload" },
	{ is_about_money, LIMIT_NOT_A_LIMIT, "it is about money" },
	{ is_about_this_request, LIMIT_NOT_A_LIMIT, "it is about this request" },
	{ is_spent_for_account, LIMIT_QUOTA, "a window of the account is rejected" },
	{ is_spent_for_family, LIMIT_QUOTA, "a window of a family of models is rejected" },
	{ claims_account, LIMIT_QUOTA, "the account is rejected by its claim" },
	{ claims_family, LIMIT_QUOTA, "a family of models is rejected by its claim" },
	{ is_spent, LIMIT_UNKNOWN, "rejected, but by no window that is named" },
	{ is_other_status, LIMIT_NONE, NULL },
	{ was_rewritten, LIMIT_UNKNOWN, "a rate limit of another status, without its fields" },
	{ is_of_relays_queue, LIMIT_NOT_A_LIMIT, "it is a relay's own queue" },
	{ is_in_relays_words, LIMIT_NOT_A_LIMIT, "it is a relay's own limit" },
	{ is_auxiliary, LIMIT_NOT_A_LIMIT, "it may be about auxiliary requests only" },
	{ has_retry_after, LIMIT_THROTTLE, "retry-after, and no window is rejected" },
	{ has_empty_bucket, LIMIT_THROTTLE, "a bucket is empty" },
	{ is_bare, LIMIT_THROTTLE, "a rate limit without a word of how long" },
};

static const struct rule *first_rule(const struct facts *f)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		if (rules[i].holds(f))
			return &rules[i];
	}
	return NULL;
}

/* --- the verdict ------------------------------------------------------------------------------ */

/* "7d_opus", "seven_day_opus": "opus". What isn't known to be the name of models stays unnamed. */
static void name_family(const struct facts *f, char ret[LIMIT_NAME])
{
	const char *from = f->family ? f->family->name : f->reading.claim;
	const char *behind = strrchr(from, '_');

	for (size_t i = 0; behind && i < LIMIT_FAMILIES; i++) {
		if (!strcasecmp(behind + 1, limit_family_names[i]))
			strcpy(ret, limit_family_names[i]);
	}
}

static int64_t capped(int64_t until_ms, int64_t now_ms, int64_t most_ms)
{
	return until_ms ? MIN(MAX(until_ms, now_ms), now_ms + most_ms) : 0;
}

static int64_t behind_retry_after(const struct facts *f)
{
	return f->retry_after_ms ? f->answer->now_ms + f->retry_after_ms : 0;
}

/* The window's own reset; a clamped retry-after would ask a spent account again and again. */
static int64_t quota_until(const struct facts *f, const struct limit_window *window)
{
	if (window && window->reset_ms)
		return window->reset_ms;
	return f->reading.reset_ms ? f->reading.reset_ms : behind_retry_after(f);
}

static void set_until(const struct facts *f, struct limit_verdict *v)
{
	int64_t now_ms = f->answer->now_ms, until_ms = behind_retry_after(f);

	if (v->kind == LIMIT_OVERLOADED) {
		v->until_ms = capped(until_ms, now_ms, LIMIT_OVERLOADED_MS);
	} else if (v->kind == LIMIT_THROTTLE) {
		until_ms = until_ms ? until_ms : f->bucket_reset_ms;
		v->until_ms = capped(until_ms, now_ms, LIMIT_AHEAD_MS);
	} else if (v->kind == LIMIT_QUOTA) {
		const struct limit_window *w = v->scope == LIMIT_OF_ACCOUNT ? f->spent : f->family;

		v->until_ms = capped(quota_until(f, w), now_ms, LIMIT_AHEAD_MS);
	}
}

static void put(struct limit_verdict *v, const char *format, ...) PRINTF(2, 3);
static void put(struct limit_verdict *v, const char *format, ...)
{
	size_t n = strlen(v->why);
	va_list args;

	va_start(args, format);
	vsnprintf(v->why + n, sizeof v->why - n, format, args);
	va_end(args);
}

/* What decided, then what there was to decide by. */
static void explain(const struct facts *f, const char *why, struct limit_verdict *v)
{
	if (!why)
		return;
	put(v, "%s (%d", why, f->answer->status);
	if (f->spent || f->family)
		put(v, ", window %s", (f->spent ? f->spent : f->family)->name);
	else if (f->reading.claim[0])
		put(v, ", claim %s", f->reading.claim);
	if (f->retry_after_ms)
		put(v, ", retry-after %lld", (long long)f->retry_after_ms / 1000);
	if (f->error.type[0])
		put(v, ", %s", f->error.type);
	if (f->error.code[0])
		put(v, ", %s", f->error.code);
	put(v, ")");
}

void limits_judge(const struct limit_answer *a, struct limit_verdict *ret)
{
	const struct rule *rule;
	struct facts f;

	*ret = (struct limit_verdict){ 0 };
	find_facts(a, &f);
	rule = first_rule(&f);
	ret->kind = rule ? rule->kind : LIMIT_UNKNOWN;
	ret->dont_retry = span_ieq(field(&f, "x-should-retry"), SPAN("false"));
	if (ret->kind == LIMIT_QUOTA && !f.spent && (f.family || claims_family(&f))) {
		ret->scope = LIMIT_OF_FAMILY;
		name_family(&f, ret->family);
	}
	set_until(&f, ret);
	explain(&f, rule ? rule->why : "none of the known refusals", ret);
}
