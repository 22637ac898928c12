#include "request/limit_fields.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

const char *const limit_status_names[] = {
	[LIMIT_UNSAID] = "",
	[LIMIT_ALLOWED] = "allowed",
	[LIMIT_WARNING] = "allowed_warning",
	[LIMIT_REJECTED] = "rejected",
};

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

int64_t limits_seconds_as_ms(struct span text)
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
		w->reset_ms = limits_seconds_as_ms(value);
	else
		w->status = status_of(value);
}

static void read_field(struct limit_reading *r, struct span name, struct span value)
{
	if (span_ieq(name, SPAN("status")))
		r->status = status_of(value);
	else if (span_ieq(name, SPAN("reset")))
		r->reset_ms = limits_seconds_as_ms(value);
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

/* --- the buckets of API keys ------------------------------------------------------------------- */

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

int64_t limits_empty_until_ms(const struct headers *fields)
{
	int64_t until_ms = 0;

	for (size_t i = 0; i < ARRAY_SIZE(buckets); i++) {
		if (whole(bucket_field(fields, buckets[i], "remaining")) == 0)
			until_ms =
				MAX(until_ms, date_ms(bucket_field(fields, buckets[i], "reset")));
	}
	return until_ms;
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
