/*
 * limits.c - see limits.h. The rules stand in one table, in the order in which they are tried; each is
 * here because somebody's gateway held accounts that weren't limited, or didn't hold one that was.
 */
#include "request/limits.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "request/api_error.h"

enum { TOO_MANY = 429, FORBIDDEN = 403, PAYMENT = 402, OVERLOADED = 529 };

const char *const limit_kind_names[LIMIT_KIND_COUNT] = {
#define X(name, word) [LIMIT_##name] = word,
	LIMIT_KINDS(X)
#undef X
};

const char *const limit_status_names[] = {
	[LIMIT_UNSAID] = "",
	[LIMIT_ALLOWED] = "allowed",
	[LIMIT_WARNING] = "allowed_warning",
	[LIMIT_REJECTED] = "rejected",
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

/* --- the fields ------------------------------------------------------------------------------- */

#define UNIFIED "anthropic-ratelimit-unified-"

/* A whole number, or -1. Larger than any that is of interest is that. */
static int64_t whole(struct span text)
{
	int64_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return -1;
		n = MIN(n * 10 + (text.ptr[i] - '0'), INT32_MAX * (int64_t)1000);
	}
	return text.len ? n : -1;
}

static int64_t seconds_as_ms(struct span text)
{
	int64_t n = whole(text);

	return n > 0 ? n * 1000 : 0;
}

/* "0.87", "1", "1.02"; less than 0 if it is something else. */
static double fraction(struct span text)
{
	char copy[16], *end;
	double n;

	if (!text.len || text.len >= sizeof copy || text.ptr[0] < '0' || text.ptr[0] > '9')
		return -1;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	n = strtod(copy, &end);
	return *end || !(n <= 1000) ? -1 : n;
}

static enum limit_status status_of(struct span text)
{
	if (span_ieq(text, SPAN("rejected")))
		return LIMIT_REJECTED;
	if (span_ieq(text, SPAN("allowed_warning")))
		return LIMIT_WARNING;
	return span_ieq(text, SPAN("allowed")) ? LIMIT_ALLOWED : LIMIT_UNSAID;
}

static void copy_word(struct span text, char *to, size_t size)
{
	size_t n = MIN(text.len, size - 1);

	if (n)
		memcpy(to, text.ptr, n);
	to[n] = '\0';
	for (size_t i = 0; i < n; i++) {
		to[i] = to[i] <= ' ' || to[i] > '~' ? '?' : (char)tolower((unsigned char)to[i]);
	}
}

/* Names go to logs, metrics and pages. */
static bool is_window_name(struct span name)
{
	for (size_t i = 0; i < name.len; i++) {
		if (!isalnum((unsigned char)name.ptr[i]) && name.ptr[i] != '_' &&
		    name.ptr[i] != '-')
			return false;
	}
	return name.len;
}

static struct limit_window *window_get(struct limit_reading *r, struct span name)
{
	struct limit_window *w;

	for (size_t i = 0; i < r->count; i++) {
		if (span_ieq(span_of(r->windows[i].name), name))
			return &r->windows[i];
	}
	if (r->count == LIMIT_WINDOWS || name.len >= LIMIT_NAME || !is_window_name(name))
		return NULL;
	w = &r->windows[r->count++];
	*w = (struct limit_window){ .utilisation = -1, .at_ms = r->at_ms };
	copy_word(name, w->name, sizeof w->name);
	return w;
}

static bool ends_so(struct span s, struct span with)
{
	return s.len >= with.len &&
	       span_ieq((struct span){ s.ptr + s.len - with.len, with.len }, with);
}

/* <window>-utilization, -reset, -status. A window's name begins with a digit, no other field's does. */
static void read_window_field(struct limit_reading *r, struct span name, struct span value)
{
	static const struct span parts[] = { { "-utilization", 12 },
					     { "-reset", 6 },
					     { "-status", 7 } };
	struct limit_window *w = NULL;
	size_t i = 0;

	while (i < ARRAY_SIZE(parts) && !ends_so(name, parts[i]))
		i++;
	if (i < ARRAY_SIZE(parts) && name.ptr[0] >= '0' && name.ptr[0] <= '9')
		w = window_get(r, (struct span){ name.ptr, name.len - parts[i].len });
	if (!w)
		return;
	if (i == 0)
		w->utilisation = fraction(value);
	else if (i == 1)
		w->reset_ms = seconds_as_ms(value);
	else
		w->status = status_of(value);
}

static void read_field(struct limit_reading *r, struct span name, struct span value)
{
	if (span_ieq(name, SPAN("status")))
		r->status = status_of(value);
	else if (span_ieq(name, SPAN("reset")))
		r->reset_ms = seconds_as_ms(value);
	else if (span_ieq(name, SPAN("representative-claim")))
		copy_word(value, r->claim, sizeof r->claim);
	else if (span_ieq(name, SPAN("overage-in-use")))
		r->on_credits = span_ieq(value, SPAN("true"));
	else if (span_ieq(name, SPAN("overage-status")))
		r->no_credits = status_of(value) == LIMIT_REJECTED;
	else
		read_window_field(r, name, value);
}

bool limits_read(const struct headers *fields, int64_t now_ms, struct limit_reading *ret)
{
	const struct span prefix = SPAN(UNIFIED);
	bool any = false;

	*ret = (struct limit_reading){ .at_ms = now_ms };
	for (size_t i = 0; i < fields->count; i++) {
		struct span name = fields->fields[i].name;

		if (name.len <= prefix.len ||
		    !span_ieq((struct span){ name.ptr, prefix.len }, prefix))
			continue;
		any = true;
		read_field(ret, (struct span){ name.ptr + prefix.len, name.len - prefix.len },
			   span_trim(fields->fields[i].value));
	}
	return any;
}

bool limits_drop_past(struct limit_reading *r, int64_t now_ms)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->count; i++) {
		const struct limit_window *w = &r->windows[i];

		if (w->reset_ms ? w->reset_ms > now_ms : now_ms - w->at_ms < LIMIT_STALE_MS)
			r->windows[kept++] = *w;
	}
	r->count = kept;
	return kept > 0;
}

void limits_merge(struct limit_reading *r, const struct limit_reading *newer)
{
	struct limit_reading all = *newer;

	if (!newer->status && !newer->reset_ms && !newer->claim[0]) { /* of buckets only */
		all.status = r->status;
		all.reset_ms = r->reset_ms;
		all.on_credits = r->on_credits;
		all.no_credits = r->no_credits;
		memcpy(all.claim, r->claim, sizeof all.claim);
	}
	for (size_t i = 0; i < r->count; i++) {
		struct span name = span_of(r->windows[i].name);
		size_t known = all.count;
		struct limit_window *w = window_get(&all, name);

		if (w && all.count > known)
			*w = r->windows[i];
	}
	*r = all;
}

bool limit_is_of_account(struct span name)
{
	size_t digits = 0;

	while (digits < name.len && name.ptr[digits] >= '0' && name.ptr[digits] <= '9')
		digits++;
	return digits && digits + 1 == name.len;
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

/* "2026-11-30T16:00:00Z" (RFC 3339), as the buckets of API keys have it; 0 if it is something else. */
static int64_t date_ms(struct span text)
{
	struct tm tm = { 0 };
	char copy[32];
	const char *end;
	time_t t;

	if (!text.len || text.len >= sizeof copy)
		return 0;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	end = strptime(copy, "%Y-%m-%dT%H:%M:%S", &tm);
	t = end && (*end == 'Z' || *end == '.') ? timegm(&tm) : 0;
	return t > 0 ? (int64_t)t * 1000 : 0;
}

static const char *const buckets[] = { "requests", "tokens", "input-tokens", "output-tokens" };

static struct span bucket_field(const struct headers *fields, const char *bucket, const char *what)
{
	char name[64];

	snprintf(name, sizeof name, "anthropic-ratelimit-%s-%s", bucket, what);
	return span_trim(headers_get(fields, span_of(name)));
}

static void find_empty_bucket(struct facts *f)
{
	const struct headers *fields = &f->answer->fields;

	for (size_t i = 0; i < ARRAY_SIZE(buckets); i++) {
		if (whole(bucket_field(fields, buckets[i], "remaining")) == 0)
			f->bucket_reset_ms =
				MAX(f->bucket_reset_ms,
				    date_ms(bucket_field(fields, buckets[i], "reset")));
	}
}

bool limits_read_buckets(const struct headers *fields, int64_t now_ms, struct limit_reading *r)
{
	bool any = false;

	for (size_t i = 0; i < ARRAY_SIZE(buckets); i++) {
		int64_t limit = whole(bucket_field(fields, buckets[i], "limit"));
		int64_t remaining = whole(bucket_field(fields, buckets[i], "remaining"));
		struct limit_window *w = limit > 0 && remaining >= 0 && remaining <= limit
						 ? window_get(r, span_of(buckets[i]))
						 : NULL;

		if (!w)
			continue;
		any = true;
		w->at_ms = now_ms;
		w->utilisation = 1 - (double)remaining / (double)limit;
		w->reset_ms = date_ms(bucket_field(fields, buckets[i], "reset"));
	}
	return any;
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
	f->retry_after_ms = seconds_as_ms(field(f, "retry-after"));
	find_spent(f);
	find_empty_bucket(f);
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
