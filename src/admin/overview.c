/*
 * overview.c - the one survey behind all open pages, and each page's part of it as JSON.
 *
 * What is the same for all pages is made once a survey, as text; what a page has chosen (an order,
 * a search, a part of the list, an account) is put together for each.
 */
#include "admin/overview.h"

#include <errno.h>
#include <string.h>

#include "admin/account.h"
#include "admin/call.h"
#include "admin/fleet.h"
#include "admin/rows.h"
#include "admin/timeline.h"
#include "base/clock.h"
#include "config/runtime.h"
#include "proxy/stats.h"

enum {
	PAGE = 50,
	PAGE_MAX = 500,
	WATCH_MS = 5000, /* an account that no page has asked about for so long isn't shown whole */
};

/* An account that some page shows. */
struct watched {
	char account[LOCK_ACCOUNT_MAX];
	int64_t wanted_ms; /* clock_ms(); 0: a free place */
	bool asked;        /* the survey under way shows it whole */
	bool shown;        /* the last one did */
	char *whole;       /* as it was shown, in JSON; NULL: nobody uses it */
};

/* What a page asks for. In call->data. */
struct page {
	struct list link; /* in overview.calls while it waits */
	struct call *call;
	char account[LOCK_ACCOUNT_MAX]; /* empty: none */
	bool unwatched;                 /* there was no place for it */
	char search[ROUTE_PARAM_MAX];   /* empty: all; lower case */
	struct row_order order;
	int64_t offset, limit;
};

struct overview {
	struct admin_parts parts;
	struct list calls; /* pages that wait for the survey */
	struct lock_query query;
	bool asking;
	bool outdated;       /* an order was given since the last survey */
	struct timer *later; /* for the next survey, where one was just made */
	const char *names[LOCK_WATCHED_MAX];

	struct watched watched[LOCK_WATCHED_MAX];
	int64_t made_ms, made_wall_ms; /* the last survey; 0: none */
	int64_t asked_ms, took_ms;
	int error;
	struct row *rows;
	size_t row_count;
	int64_t known;
	char *fleet; /* totals, instances, rejections and what observing has seen, as JSON */
};

/* --- reading a survey ------------------------------------------------------------------------- */

static void add_number_or_null(cJSON *list, int64_t n)
{
	cJSON_AddItemToArray(list, n < 0 ? cJSON_CreateNull() : cJSON_CreateNumber((double)n));
}

static void add_timeline(const struct lock_view *v, int64_t now_ms, cJSON *document)
{
	cJSON *object = cJSON_AddObjectToObject(document, "timeline");
	cJSON *waiting = cJSON_CreateArray(), *turns = cJSON_CreateArray();
	cJSON *left = cJSON_CreateArray(), *p50 = cJSON_CreateArray(), *p95 = cJSON_CreateArray();
	struct timeline t;

	timeline_read(v, now_ms, &t);
	json_add_time(object, "from", t.from_ms);
	json_add_time(object, "knownFrom", t.known_from_ms);
	json_add(object, "stepMs", TIMELINE_STEP_MS);
	for (int i = 0; i < TIMELINE_STEPS; i++) {
		add_number_or_null(waiting, t.steps[i].waiting);
		add_number_or_null(turns, t.steps[i].turns);
		add_number_or_null(left, t.steps[i].left);
		add_number_or_null(p50, t.steps[i].p50_ms);
		add_number_or_null(p95, t.steps[i].p95_ms);
	}
	cJSON_AddItemToObject(object, "waiting", waiting);
	cJSON_AddItemToObject(object, "turns", turns);
	cJSON_AddItemToObject(object, "left", left);
	cJSON_AddItemToObject(object, "waitP50Ms", p50);
	cJSON_AddItemToObject(object, "waitP95Ms", p95);
}

static struct watched *find_watched(struct overview *o, const char *account)
{
	for (size_t i = 0; i < LOCK_WATCHED_MAX; i++) {
		if (o->watched[i].wanted_ms && !strcmp(o->watched[i].account, account))
			return &o->watched[i];
	}
	return NULL;
}

static char *whole(const struct overview *o, const struct row *row, const struct lock_view *v)
{
	cJSON *document = account_whole(v, proxy_quotas(o->parts.proxy), o->parts.proxy);
	char *text;

	row_add_state(row, document);
	add_timeline(v, o->made_wall_ms, document);
	text = cJSON_PrintUnformatted(document);
	must(text);
	cJSON_Delete(document);
	return text;
}

static void read_account(struct overview *o, const struct lock_view *v, const cJSON *beacons)
{
	struct watched *w = find_watched(o, v->account);
	struct row row;

	row_read(v, fleet_is_stalled(beacons, v->account), &row);
	if (w && w->asked && !w->whole)
		w->whole = whole(o, &row, v);
	if (account_is_of_interest(v))
		o->rows[o->row_count++] = row;
	else
		row_clear(&row);
}

static void forget_rows(struct overview *o)
{
	for (size_t i = 0; i < o->row_count; i++)
		row_clear(&o->rows[i]);
	o->row_count = 0;
}

/* --- what is the same for all pages ----------------------------------------------------------- */

static void add_totals(const struct overview *o, cJSON *document)
{
	cJSON *object = cJSON_AddObjectToObject(document, "totals");
	int64_t in_state[ACCOUNT_STATES] = { 0 }, held = 0, waiting = 0, longest = 0;

	for (size_t i = 0; i < o->row_count; i++) {
		const struct lock_view *v = &o->rows[i].view;

		in_state[o->rows[i].state]++;
		held += (int64_t)v->holder_count;
		waiting += v->waiting;
		longest = MAX(longest, v->oldest_wait_ms);
	}
	json_add(object, "accounts", (int64_t)o->row_count);
	json_add(object, "known", o->known);
	json_add(object, "held", held);
	json_add(object, "waiting", waiting);
	json_add(object, "oldestWaitMs", longest);
	for (int s = 0; s < ACCOUNT_STATES; s++)
		json_add(object, account_state_name[s], in_state[s]);
}

/* Consumes the beacons. */
static void make_fleet(struct overview *o, cJSON *beacons)
{
	cJSON *document = cJSON_CreateObject();

	add_totals(o, document);
	fleet_put(beacons, document);
	cJSON_free(o->fleet);
	o->fleet = cJSON_PrintUnformatted(document);
	must(o->fleet);
	cJSON_Delete(document);
}

/* --- the survey ------------------------------------------------------------------------------- */

static void serve_all(struct overview *o);
static void advance(struct overview *o);

static void forget_whole(struct overview *o)
{
	for (size_t i = 0; i < LOCK_WATCHED_MAX; i++)
		cJSON_free(steal(&o->watched[i].whole));
}

static void mark_shown(struct overview *o)
{
	for (size_t i = 0; i < LOCK_WATCHED_MAX; i++) {
		o->watched[i].shown = o->watched[i].asked;
		o->watched[i].asked = false;
	}
}

static void surveyed(struct lock_query *q, const struct lock_answer *answer)
{
	struct overview *o = container_of(q, struct overview, query);
	cJSON *beacons = fleet_read(o->parts.beacon, answer);

	o->asking = o->outdated = false;
	o->made_ms = clock_ms();
	o->took_ms = o->made_ms - o->asked_ms;
	o->made_wall_ms = clock_wall_ms();
	o->error = answer->error;
	o->known = answer->known;
	forget_rows(o);
	o->rows = xrealloc(o->rows, (answer->count + 1) * sizeof *o->rows);
	forget_whole(o);
	for (size_t i = 0; i < answer->count && !answer->error; i++)
		read_account(o, &answer->views[i], beacons);
	make_fleet(o, beacons);
	mark_shown(o);
	serve_all(o);
	advance(o);
}

/* Those that pages have asked about lately. */
static size_t name_watched(struct overview *o)
{
	int64_t since_ms = clock_ms() - WATCH_MS;
	size_t n = 0;

	for (size_t i = 0; i < LOCK_WATCHED_MAX; i++) {
		o->watched[i].asked = o->watched[i].wanted_ms > since_ms;
		if (o->watched[i].asked)
			o->names[n++] = o->watched[i].account;
	}
	return n;
}

static void ask(struct overview *o)
{
	o->asking = true;
	o->asked_ms = clock_ms();
	o->query = (struct lock_query){
		.verb = LOCK_SURVEY,
		.watched = o->names,
		.watched_count = name_watched(o),
		.answered = surveyed,
	};
	lock_query_send(queue_backend(o->parts.queue), &o->query);
}

/* Whoever waits is served by the survey that is asked for now, or as soon as one may be. */
static void advance(struct overview *o)
{
	int64_t soon_ms = o->made_ms ? o->made_ms + OVERVIEW_SOON_MS - clock_ms() : 0;

	if (o->asking || list_empty(&o->calls))
		return;
	if (soon_ms > 0)
		timer_start(o->later, soon_ms);
	else
		ask(o);
}

static void on_later(void *arg)
{
	advance(arg);
}

/* The place that was wanted last the longest ago; NULL: all are still wanted. */
static struct watched *free_place(struct overview *o)
{
	struct watched *oldest = &o->watched[0];

	for (size_t i = 1; i < LOCK_WATCHED_MAX; i++) {
		if (o->watched[i].wanted_ms < oldest->wanted_ms)
			oldest = &o->watched[i];
	}
	if (oldest->wanted_ms && clock_ms() - oldest->wanted_ms < WATCH_MS)
		return NULL;
	return oldest;
}

/* False: so many are shown by other pages that there is no place for it. */
static bool watch(struct overview *o, const char *account)
{
	struct watched *w = find_watched(o, account);

	if (!w) {
		w = free_place(o);
		if (!w)
			return false;
		cJSON_free(w->whole);
		*w = (struct watched){ 0 };
		memcpy(w->account, account, strlen(account) + 1);
	}
	w->wanted_ms = clock_ms();
	return true;
}

/* --- a page ----------------------------------------------------------------------------------- */

static void add_rows(const struct overview *o, struct page *p, cJSON *document)
{
	CLEANUP(freep) const struct row **found = xcalloc(o->row_count + 1, sizeof *found);
	cJSON *list = cJSON_AddArrayToObject(document, "queues");
	int64_t count = 0;

	for (size_t i = 0; i < o->row_count; i++) {
		if (row_has(&o->rows[i], p->search))
			found[count++] = &o->rows[i];
	}
	qsort_r(found, (size_t)count, sizeof *found, row_compare, &p->order);
	for (int64_t i = p->offset; i < MIN(count, p->offset + p->limit); i++) {
		cJSON *row = account_brief(&found[i]->view, proxy_quotas(o->parts.proxy));

		row_add_state(found[i], row);
		cJSON_AddItemToArray(list, row);
	}
	json_add(document, "matched", count);
	json_add(document, "offset", p->offset);
}

static void add_account(struct overview *o, const struct page *p, cJSON *document)
{
	const struct watched *w = p->account[0] ? find_watched(o, p->account) : NULL;
	struct lock_view nobody = { 0 };
	struct row row;
	char *idle;

	if (w && w->whole) {
		cJSON_AddRawToObject(document, "account", w->whole);
		return;
	}
	if (!w || o->error) {
		cJSON_AddNullToObject(document, "account");
		json_add_text(document, "accountError",
			      p->account[0] && !w
				      ? "other pages show so many accounts already that this "
					"one can't be shown; try again in some seconds"
				      : NULL);
		return;
	}
	snprintf(nobody.account, sizeof nobody.account, "%s", p->account);
	row_read(&nobody, false, &row);
	idle = whole(o, &row, &row.view);
	cJSON_AddRawToObject(document, "account", idle);
	cJSON_free(idle);
}

/* Who asks, and whether there is anything new in GET /api/changes for him. */
static void add_person(const struct call *c, cJSON *document)
{
	json_add_text(document, "who", c->person.name);
	cJSON_AddBoolToObject(document, "mayWrite", c->person.may_write);
	json_add(document, "changes", c->admin->changes.count);
}

static void reply(struct overview *o, struct page *p)
{
	cJSON *document = cJSON_CreateObject();

	json_add_time(document, "at", o->made_wall_ms);
	json_add(document, "ageMs", clock_ms() - o->made_ms);
	json_add_text(document, "error",
		      !o->error               ? NULL
		      : o->error == -ENOTCONN ? "Redis can't be reached"
					      : "Redis refuses; see the log");
	status_add(p->call->admin, cJSON_AddObjectToObject(document, "self"));
	add_person(p->call, document);
	settings_add(p->call->admin, NULL, cJSON_AddObjectToObject(document, "settings"));
	cJSON_AddRawToObject(document, "fleet", o->fleet);
	add_rows(o, p, document);
	add_account(o, p, document);
	list_remove(&p->link);
	call_reply(p->call, 200, document);
}

/* Those whose account isn't shown whole wait for the next survey. */
static bool can_serve(struct overview *o, const struct page *p)
{
	const struct watched *w = p->account[0] ? find_watched(o, p->account) : NULL;

	return o->error || p->unwatched || !w || w->shown;
}

static void serve_all(struct overview *o)
{
	struct page *p, *next;

	list_for_each_safe (p, next, &o->calls, link) {
		if (can_serve(o, p))
			reply(o, p);
	}
}

/* --- from the query --------------------------------------------------------------------------- */

static bool read_text(struct call *c, const char *name, size_t max, char ret[ROUTE_PARAM_MAX])
{
	struct span text = route_query(http_request_target(c->request), span_of(name));

	ret[0] = '\0';
	if (!text.len)
		return true;
	if (route_decode(text, ret) && strlen(ret) < max)
		return true;
	call_fail(c, 400, "bad_query", "%s: at most %zu bytes of text", name, max - 1);
	return false;
}

static bool read_sort(struct call *c, struct page *p)
{
	char name[ROUTE_PARAM_MAX], order[ROUTE_PARAM_MAX];

	if (!read_text(c, "sort", sizeof name, name) || !read_text(c, "order", sizeof order, order))
		return false;
	p->order.descending = strcmp(order, "asc") != 0;
	if (order[0] && p->order.descending && strcmp(order, "desc") != 0) {
		call_fail(c, 400, "bad_query", "order: allowed: desc, asc");
		return false;
	}
	p->order.by = row_order_find(name);
	if (p->order.by >= 0)
		return true;
	call_fail(c, 400, "bad_query", "sort: allowed: wait, account, state, held, waiting");
	return false;
}

static bool read_page(struct call *c, struct page *p)
{
	char account[ROUTE_PARAM_MAX];

	if (!read_text(c, "account", sizeof p->account, account) ||
	    !read_text(c, "q", sizeof p->search, p->search) || !read_sort(c, p))
		return false;
	memcpy(p->account, account, strlen(account) + 1);
	p->limit = call_query_number(c, "limit", PAGE, 1, PAGE_MAX);
	p->offset = p->limit < 0 ? -1 : call_query_number(c, "offset", 0, 0, INT32_MAX);
	return p->offset >= 0;
}

static bool is_fresh(const struct overview *o)
{
	int64_t lasts_ms =
		MIN(MAX(OVERVIEW_SHARE * o->took_ms, OVERVIEW_FRESH_MS), OVERVIEW_OLDEST_MS);

	return o->made_ms && !o->outdated && clock_ms() - o->made_ms < lasts_ms;
}

static void leave(struct call *c)
{
	struct page *p = c->data;

	list_remove(&p->link);
}

void serve_overview(struct call *c)
{
	struct overview *o = c->admin->overview;
	struct page *p = xcalloc(1, sizeof *p);

	c->data = p;
	c->leave = leave;
	p->call = c;
	if (!read_page(c, p))
		return;
	p->unwatched = p->account[0] && !watch(o, p->account);
	list_append(&o->calls, &p->link);
	if (is_fresh(o) && can_serve(o, p))
		reply(o, p);
	else
		advance(o);
}

/* --- life ------------------------------------------------------------------------------------- */

void overview_outdated(struct overview *o)
{
	o->outdated = true;
}

struct overview *overview_new(const struct admin_parts *parts)
{
	struct overview *o = xcalloc(1, sizeof *o);

	o->parts = *parts;
	list_init(&o->calls);
	o->later = timer_new(parts->loop, on_later, o);
	return o;
}

void overview_stop(struct overview *o)
{
	timer_stop(o->later);
	lock_query_cancel(queue_backend(o->parts.queue), &o->query);
	o->asking = true; /* and no other one */
}

void overview_free(struct overview *o)
{
	if (!o)
		return;
	timer_clear(&o->later);
	forget_whole(o);
	forget_rows(o);
	free(o->rows);
	cJSON_free(o->fleet);
	free(o);
}
