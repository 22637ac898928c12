/*
 * history.c - GET /api/history: what this process remembers of the last hours and days, added up
 * as it is asked for.
 *
 *      cells (proxy/history.h) ──> groups: step, and account or share, as wanted ──> JSON, CSV
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/call.h"
#include "base/clock.h"
#include "proxy/history.h"
#include "proxy/stats.h"

#define uthash_fatal(msg) must_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

enum { HOURS_MAX = HISTORY_QUARTERS_MS / (60 * HISTORY_MINUTE_MS), ROWS_MAX = 20000 };

enum by { BY_TOTAL, BY_ACCOUNT, BY_SHARE, BY_COUNT };

static const char *const by_words[BY_COUNT] = { "total", "account", "share" };

struct group {
	UT_hash_handle hh;
	int64_t from_ms;
	struct history_counts counts, observed;
	size_t key_len;
	char *account, *share; /* within `key`; "" where they aren't told apart */
	char key[];
};

/* What was asked for, and what is found. */
struct reading {
	enum by by;
	char account[ROUTE_PARAM_MAX]; /* empty: all */
	int64_t step_ms, from_ms, to_ms;
	struct group *groups;
	size_t count;
};

/* --- adding up -------------------------------------------------------------------------------- */

static struct group *group_get(struct reading *r, const struct history_cell *cell)
{
	const char *account = r->by == BY_TOTAL ? "" : cell->account;
	const char *share = r->by == BY_SHARE ? cell->share : "";
	size_t account_len = strlen(account), share_len = strlen(share);
	size_t len = sizeof cell->from_ms + account_len + share_len + 2;
	struct group *g = xcalloc(1, sizeof *g + len), *known;

	memcpy(g->key, &cell->from_ms, sizeof cell->from_ms);
	g->account = g->key + sizeof cell->from_ms;
	g->share = g->account + account_len + 1;
	memcpy(g->account, account, account_len);
	memcpy(g->share, share, share_len);
	HASH_FIND(hh, r->groups, g->key, len, known);
	if (known) {
		free(g);
		return known;
	}
	g->from_ms = cell->from_ms;
	HASH_ADD_KEYPTR(hh, r->groups, g->key, len, g);
	r->count++;
	return g;
}

static void add_cell(void *arg, const struct history_cell *cell)
{
	struct reading *r = arg;
	struct group *g;

	if (r->account[0] && strcmp(r->account, cell->account) != 0)
		return;
	g = group_get(r, cell);
	history_sum(cell->observed ? &g->observed : &g->counts, &cell->counts);
}

static int by_time_and_name(const struct group *a, const struct group *b)
{
	int r = (a->from_ms > b->from_ms) - (a->from_ms < b->from_ms);

	if (!r)
		r = strcmp(a->account, b->account);
	return r ? r : strcmp(a->share, b->share);
}

static void clear(struct reading *r)
{
	struct group *g, *next;

	HASH_ITER (hh, r->groups, g, next) {
		HASH_DEL(r->groups, g);
		free(g);
	}
}

/* --- answering -------------------------------------------------------------------------------- */

static cJSON *counts_json(const struct history_counts *c)
{
	cJSON *object = cJSON_CreateObject();
	int64_t p50 = history_wait_ms(c, 50), p95 = history_wait_ms(c, 95);

	json_add(object, "turns", c->turns);
	json_add(object, "refused", c->refused);
	json_add(object, "left", c->left);
	json_add(object, "heldMs", c->held_ms);
	json_add_known(object, "waitP50Ms", p50 >= 0, p50);
	json_add_known(object, "waitP95Ms", p95 >= 0, p95);
	return object;
}

static void reply_json(struct call *c, const struct reading *r, size_t bytes)
{
	cJSON *document = cJSON_CreateObject(), *rows;
	const struct group *g;

	json_add_time(document, "from", r->from_ms);
	json_add_time(document, "to", r->to_ms);
	json_add(document, "stepMs", r->step_ms);
	cJSON_AddStringToObject(document, "by", by_words[r->by]);
	json_add(document, "memoryBytes", (int64_t)bytes);
	rows = cJSON_AddArrayToObject(document, "rows");
	for (g = r->groups; g; g = g->hh.next) {
		cJSON *row = counts_json(&g->counts);

		json_add_time(row, "at", g->from_ms);
		if (r->by != BY_TOTAL)
			json_add_text(row, "accountId", g->account);
		if (r->by == BY_SHARE)
			json_add_text(row, "share", g->share);
		cJSON_AddItemToObject(row, "observed", counts_json(&g->observed));
		cJSON_AddItemToArray(rows, row);
	}
	call_reply(c, 200, document);
}

static void put_counts(const struct history_counts *c, struct buf *to)
{
	buf_printf(to, ",%lld,%lld,%lld,%lld", (long long)c->turns, (long long)c->refused,
		   (long long)c->left, (long long)c->held_ms);
	for (int percent = 50; percent <= 95; percent += 45) {
		int64_t ms = history_wait_ms(c, percent);

		buf_puts(to, ",");
		if (ms >= 0)
			buf_printf(to, "%lld", (long long)ms);
	}
}

/* Names have no comma, quote or line end (request/account.h), so nothing needs quoting. RFC 4180. */
static void reply_csv(struct call *c, const struct reading *r)
{
	CLEANUP(buf_clear) struct buf text = { 0 };
	const struct group *g;

	buf_puts(&text, "at,account,share,turns,refused,left,held_ms,wait_p50_ms,wait_p95_ms,"
			"observed_turns,observed_refused,observed_left,observed_held_ms,"
			"observed_wait_p50_ms,observed_wait_p95_ms\r\n");
	for (g = r->groups; g; g = g->hh.next) {
		json_time_text(g->from_ms, &text);
		buf_printf(&text, ",%s,%s", g->account, g->share);
		put_counts(&g->counts, &text);
		put_counts(&g->observed, &text);
		buf_puts(&text, "\r\n");
	}
	call_reply_text(c, 200, "text/csv; charset=utf-8", buf_span(&text));
}

/* --- the question ----------------------------------------------------------------------------- */

/* The number of the query's word in a list; the first where it isn't given; -1: the call failed. */
static int query_word(struct call *c, const char *name, const char *const *words, int count)
{
	struct span text = route_query(http_request_head(c->request)->target, span_of(name));

	if (!text.ptr)
		return 0;
	for (int i = 0; i < count; i++) {
		if (span_eq(text, span_of(words[i])))
			return i;
	}
	call_fail(c, 400, "bad_query", "%s: allowed: %s, %s%s%s", name, words[0], words[1],
		  count > 2 ? ", " : "", count > 2 ? words[2] : "");
	return -1;
}

static bool read_question(struct call *c, struct reading *ret)
{
	struct span account = route_query(http_request_head(c->request)->target, SPAN("account"));
	int64_t hours = call_query_number(c, "hours", 6, 1, HOURS_MAX);
	int by = hours < 0 ? -1 : query_word(c, "by", by_words, BY_COUNT);

	if (by < 0)
		return false;
	*ret = (struct reading){ .by = (enum by)by, .to_ms = clock_wall_ms() };
	ret->step_ms = hours <= 6 ? HISTORY_MINUTE_MS : HISTORY_QUARTER_MS;
	ret->from_ms = ret->to_ms - hours * 60 * HISTORY_MINUTE_MS;
	ret->from_ms -= ret->from_ms % ret->step_ms;
	if (account.ptr && !route_decode(account, ret->account)) {
		call_fail(c, 400, "bad_account", "no account can be called so");
		return false;
	}
	return true;
}

void serve_history(struct call *c)
{
	static const char *const formats[] = { "json", "csv" };
	const struct history *h = proxy_history(c->admin->parts.proxy);
	struct reading r;
	int format = query_word(c, "format", formats, ARRAY_SIZE(formats));

	if (format < 0 || !read_question(c, &r))
		return;
	history_each(h, r.step_ms, r.from_ms, r.to_ms, add_cell, &r);
	HASH_SORT(r.groups, by_time_and_name);
	if (r.count > ROWS_MAX)
		call_fail(c, 400, "too_many_rows",
			  "%zu rows are more than %d: ask for fewer hours, one account, or "
			  "another by",
			  r.count, ROWS_MAX);
	else if (format)
		reply_csv(c, &r);
	else
		reply_json(c, &r, history_bytes(h));
	clear(&r);
}
