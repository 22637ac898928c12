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
#include "request/account.h"
#include "request/share.h"

#define uthash_fatal(msg) must_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

enum { HOURS_MAX = HISTORY_QUARTERS_MS / (60 * HISTORY_MINUTE_MS), ROWS_MAX = 10000 };

enum by { BY_TOTAL, BY_ACCOUNT, BY_SHARE, BY_COUNT };

static const char *const by_words[BY_COUNT] = { "total", "account", "share" };

enum step { STEP_AUTO, STEP_HOUR, STEP_RANGE, STEP_COUNT };

static const char *const step_words[STEP_COUNT] = { "auto", "hour", "range" };

struct sums {
	struct history_counts counts, observed;
};

struct group {
	UT_hash_handle hh;
	int64_t from_ms;
	struct sums sums;
	char *account, *share; /* within `key`; "" where they aren't told apart */
	char key[];
};

enum { KEY_MAX = sizeof(int64_t) + ACCOUNT_NAME_MAX + SHARE_NAME_MAX };

/* What was asked for, and what is found. */
struct reading {
	enum by by;
	enum step step;
	char account[ROUTE_PARAM_MAX]; /* empty: all */
	int64_t step_ms, from_ms, to_ms;
	struct sums total;
	struct group *groups;
	size_t count;
};

/* --- adding up -------------------------------------------------------------------------------- */

/* When the group's step begins, the account and the share, each of these with its NUL. */
static size_t put_key(int64_t from_ms, const char *account, const char *share, char ret[KEY_MAX])
{
	size_t account_len = strlen(account) + 1, share_len = strlen(share) + 1;

	must(account_len <= ACCOUNT_NAME_MAX && share_len <= SHARE_NAME_MAX);
	memcpy(ret, &from_ms, sizeof from_ms);
	memcpy(ret + sizeof from_ms, account, account_len);
	memcpy(ret + sizeof from_ms + account_len, share, share_len);
	return sizeof from_ms + account_len + share_len;
}

static int64_t from_of(const struct reading *r, const struct history_cell *cell)
{
	static const int64_t hour_ms = 60 * HISTORY_MINUTE_MS;

	if (r->step == STEP_RANGE)
		return r->from_ms;
	return r->step == STEP_HOUR ? cell->from_ms - cell->from_ms % hour_ms : cell->from_ms;
}

static struct group *group_get(struct reading *r, const struct history_cell *cell)
{
	const char *account = r->by == BY_TOTAL ? "" : cell->account;
	const char *share = r->by == BY_SHARE ? cell->share : "";
	int64_t from_ms = from_of(r, cell);
	char key[KEY_MAX];
	size_t len = put_key(from_ms, account, share, key);
	struct group *g;

	HASH_FIND(hh, r->groups, key, len, g);
	if (g)
		return g;
	g = xcalloc(1, sizeof *g + len);
	memcpy(g->key, key, len);
	g->account = g->key + sizeof from_ms;
	g->share = g->account + strlen(account) + 1;
	g->from_ms = from_ms;
	HASH_ADD_KEYPTR(hh, r->groups, g->key, len, g);
	r->count++;
	return g;
}

static void add_to(struct sums *sums, const struct history_cell *cell)
{
	history_sum(cell->observed ? &sums->observed : &sums->counts, &cell->counts);
}

static void add_cell(void *arg, const struct history_cell *cell)
{
	struct reading *r = arg;

	if (r->account[0] && strcmp(r->account, cell->account) != 0)
		return;
	add_to(&r->total, cell);
	if (r->count <= ROWS_MAX) /* one more tells that there are too many */
		add_to(&group_get(r, cell)->sums, cell);
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

/* Numbers of a row: what both have that really happened and that was observed. X(name, column, number) */
#define COUNTS(X, c)                                          \
	X("turns", "turns", (c)->turns)                       \
	X("refused", "refused", (c)->refused)                 \
	X("left", "left", (c)->left)                          \
	X("heldMs", "held_ms", (c)->held_ms)                  \
	X("waitP50Ms", "wait_p50_ms", history_wait_ms(c, 50)) \
	X("waitP95Ms", "wait_p95_ms", history_wait_ms(c, 95)) \
	X("waited", "waited", history_waited(c))

static const char *const answer_names[] = {
#define X(name, word, json) json,
	QUOTA_ANSWERS(X)
#undef X
};

/* Less than 0: not known, as a percentile of nothing. Half a million may be asked for: no printf(). */
static void put_number(struct buf *to, int64_t number, const char *unknown)
{
	char digits[20], *at = digits + sizeof digits;
	uint64_t rest = (uint64_t)number;

	if (number < 0) {
		buf_puts(to, unknown);
		return;
	}
	do
		*--at = (char)('0' + rest % 10);
	while (rest /= 10);
	buf_append(to, at, (size_t)(digits + sizeof digits - at));
}

static void put_member(struct buf *to, const char *name, int64_t number)
{
	buf_puts(to, "\"");
	buf_puts(to, name);
	buf_puts(to, "\":");
	put_number(to, number, "null");
	buf_puts(to, ",");
}

static void put_counts(struct buf *to, const struct history_counts *c)
{
#define X(name, column, number) put_member(to, name, number);
	COUNTS(X, c)
#undef X
}

static void end_object(struct buf *to)
{
	to->data[to->len - 1] = '}'; /* its last comma */
}

/* Members of a row, with a comma behind each. */
static void put_sums(struct buf *to, const struct sums *s)
{
	put_counts(to, &s->counts);
	put_member(to, "holds", s->counts.holds);
	buf_puts(to, "\"answers\":{");
	for (size_t i = 0; i < ARRAY_SIZE(answer_names); i++)
		put_member(to, answer_names[i], s->counts.answers[i]);
	end_object(to);
	buf_puts(to, ",\"observed\":{");
	put_counts(to, &s->observed);
	end_object(to);
	buf_puts(to, ",");
}

static void put_name(struct buf *to, const char *member, const char *name)
{
	buf_printf(to, "\"%s\":", member);
	if (name[0])
		buf_json(to, span_of(name));
	else
		buf_puts(to, "null");
	buf_puts(to, ",");
}

static void put_row(struct buf *to, const struct reading *r, const struct group *g)
{
	buf_puts(to, "{\"at\":\"");
	json_time_text(g->from_ms, to);
	buf_puts(to, "\",");
	if (r->by != BY_TOTAL)
		put_name(to, "accountId", g->account);
	if (r->by == BY_SHARE)
		put_name(to, "share", g->share);
	put_sums(to, &g->sums);
	end_object(to);
	buf_puts(to, ",");
}

static cJSON *head_of(const struct admin *a, const struct reading *r)
{
	cJSON *head = cJSON_CreateObject();

	cJSON_AddStringToObject(head, "instance", a->parts.config->redis.instance);
	json_add_time(head, "since", a->started_wall_ms);
	json_add_time(head, "from", r->from_ms);
	json_add_time(head, "to", r->to_ms);
	json_add(head, "stepMs", r->step_ms);
	cJSON_AddStringToObject(head, "by", by_words[r->by]);
	json_add(head, "memoryBytes", (int64_t)history_bytes(proxy_history(a->parts.proxy)));
	return head;
}

/* Rows as text at once: a document of 10,000 of them would take the loop a quarter of a second. */
static void reply_json(struct call *c, const struct reading *r)
{
	CLEANUP(buf_clear) struct buf text = { 0 };
	cJSON *head = head_of(c->admin, r);
	CLEANUP(freep) char *printed = cJSON_PrintUnformatted(head);

	must(printed);
	cJSON_Delete(head);
	buf_append(&text, printed, strlen(printed) - 1);
	buf_puts(&text, ",\"total\":{");
	put_sums(&text, &r->total);
	end_object(&text);
	buf_puts(&text, ",\"rows\":[");
	for (const struct group *g = r->groups; g; g = g->hh.next)
		put_row(&text, r, g);
	if (r->count)
		text.len--;
	buf_puts(&text, "]}\n");
	call_reply_text(c, 200, "application/json", buf_span(&text));
}

static void put_column(struct buf *to, int64_t number)
{
	buf_puts(to, ",");
	put_number(to, number, "");
}

static void put_columns(struct buf *to, const struct history_counts *c)
{
	const int64_t numbers[] = {
#define X(name, column, number) number,
		COUNTS(X, c)
#undef X
	};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		put_column(to, numbers[i]);
}

static void put_column_names(struct buf *to)
{
	buf_puts(to, "at,account,share");
#define X(name, column, number) "," column
	buf_puts(to, COUNTS(X, 0));
#undef X
	buf_puts(to, ",holds");
#define X(name, word, json) ",answers_" word
	buf_puts(to, QUOTA_ANSWERS(X));
#undef X
#define X(name, column, number) ",observed_" column
	buf_puts(to, COUNTS(X, 0) "\r\n");
#undef X
}

/* Names have no comma, quote or line end (request/account.h), so nothing needs quoting. RFC 4180. */
static void reply_csv(struct call *c, const struct reading *r)
{
	CLEANUP(buf_clear) struct buf text = { 0 };

	put_column_names(&text);
	for (const struct group *g = r->groups; g; g = g->hh.next) {
		json_time_text(g->from_ms, &text);
		buf_printf(&text, ",%s,%s", g->account, g->share);
		put_columns(&text, &g->sums.counts);
		put_column(&text, g->sums.counts.holds);
		for (size_t i = 0; i < QUOTA_ANSWER_COUNT; i++)
			put_column(&text, g->sums.counts.answers[i]);
		put_columns(&text, &g->sums.observed);
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
	int step = by < 0 ? -1 : query_word(c, "step", step_words, STEP_COUNT);

	if (step < 0)
		return false;
	*ret = (struct reading){ .by = (enum by)by,
				 .step = (enum step)step,
				 .to_ms = clock_wall_ms() };
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
	struct reading r;
	int format = query_word(c, "format", formats, ARRAY_SIZE(formats));

	if (format < 0 || !read_question(c, &r))
		return;
	history_each(proxy_history(c->admin->parts.proxy), r.step_ms, r.from_ms, r.to_ms, add_cell,
		     &r);
	HASH_SORT(r.groups, by_time_and_name);
	if (r.count > ROWS_MAX)
		call_fail(c, 400, "too_many_rows",
			  "there are more than %d rows: ask for fewer hours, one account, another "
			  "by, or step=range",
			  ROWS_MAX);
	else if (format)
		reply_csv(c, &r);
	else
		reply_json(c, &r);
	clear(&r);
}
