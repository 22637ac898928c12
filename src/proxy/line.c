#include "proxy/line.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/mem.h"
#include "config/forms.h"
#include "queue/outlook.h"
#include "request/account.h"
#include "request/kept.h"
#include "request/keys.h"
#include "request/share.h"

enum {
	MINE_MAX = 50, /* places that one asker is told of */
	SESSION_ID_MAX = 200,
};

static const char script[] = {
#include "statusline.inc"
};

struct line {
	struct exchange *x;
	bool wants_script, wants_text;
	bool wants_leave; /* a browser asks first whether it may ask */
	char key[ACCOUNT_KEY_NAME_MAX], session[KEPT_SESSION_MAX]; /* "": it shows none */
	char account[ACCOUNT_NAME_MAX], share[SHARE_NAME_MAX];     /* "": not known */
	struct outlook_query query;
	bool asking, answered;
	int error;
	struct buf text;
};

/* --- what is asked ---------------------------------------------------------------------------- */

static struct span query_value(struct span target, struct span name)
{
	const char *query = memchr(target.ptr, '?', target.len);
	struct span rest, pair;

	if (!query)
		return (struct span){ 0 };
	rest = (struct span){ query + 1, target.len - (size_t)(query + 1 - target.ptr) };
	while (span_next(&rest, '&', &pair)) {
		if (pair.len > name.len && pair.ptr[name.len] == '=' &&
		    !memcmp(pair.ptr, name.ptr, name.len))
			return (struct span){ pair.ptr + name.len + 1, pair.len - name.len - 1 };
	}
	return (struct span){ 0 };
}

static struct span path_of(struct span target)
{
	const char *query = memchr(target.ptr, '?', target.len);

	return (struct span){ target.ptr, query ? (size_t)(query - target.ptr) : target.len };
}

struct line *line_asked(struct exchange *x)
{
	struct span path = span_of(x->proxy->config->listen.line_path);
	struct span target = http_request_target(x->request), method, rest;
	const struct headers *headers = http_request_headers(x->request);
	bool wants_leave;
	struct line *l;

	method = http_request_method(x->request);
	wants_leave = span_eq(method, SPAN("OPTIONS"));
	rest = path_of(target);
	if (!path.len || !span_starts(rest, path) || head_has_body(http_request_head(x->request)) ||
	    (!span_eq(method, SPAN("GET")) && !span_eq(method, SPAN("HEAD")) && !wants_leave))
		return NULL;
	rest = (struct span){ rest.ptr + path.len, rest.len - path.len };
	if (rest.len && !span_eq(rest, SPAN("/statusline")))
		return NULL;
	l = xcalloc(1, sizeof *l);
	l->x = x;
	l->wants_script = rest.len;
	l->wants_text = span_starts(headers_get(headers, SPAN("accept")), SPAN("text/plain"));
	l->wants_leave = wants_leave;
	return l;
}

/* --- whose line ------------------------------------------------------------------------------- */

static bool is_in_line(const struct exchange *x)
{
	return x->verdict.gated && x->state >= X_WAITING && x->state <= X_STREAMING;
}

/* Whether it is one of the asker's. */
static bool is_own(const struct line *l, const struct exchange *x)
{
	if (l->session[0])
		return !strcmp(x->verdict.session, l->session);
	return l->key[0] && !strcmp(x->verdict.key, l->key);
}

/* The asker's first one that is in a line here; NULL: there is none. */
static const struct exchange *find_own(const struct line *l)
{
	struct proxy *p = l->x->proxy;
	struct exchange *x;

	for (enum exchange_state s = X_WAITING; s <= X_STREAMING; s++) {
		list_for_each (x, &p->in_state[s], link) {
			if (is_in_line(x) && is_own(l, x))
				return x;
		}
	}
	return NULL;
}

static void find_session(struct line *l)
{
	struct span id = query_value(http_request_target(l->x->request), SPAN("session"));

	if (id.len && id.len <= SESSION_ID_MAX && form_is_name(id, "._-"))
		kept_session(id, l->session);
}

/* By the credential: its own account, and the share that it tells by itself. */
static void find_by_key(struct line *l)
{
	const struct headers *headers = http_request_headers(l->x->request);
	const struct config *c = l->x->proxy->config;
	CLEANUP(source_clear)
	struct source_evidence evidence = { .headers = headers,
					    .key_name = l->key,
					    .peer = l->x->peer_address };
	const struct account_source *from;
	char account[ACCOUNT_NAME_MAX];

	account_find(c, &evidence, account, &from);
	if (from && from->kind == ACCOUNT_API_KEY)
		strcpy(l->account, account);
	share_find(c, &evidence, account, from, l->share);
}

static void find_account(struct line *l)
{
	const struct exchange *own;
	struct keys keys;

	keys_find(http_request_headers(l->x->request), &keys);
	if (keys.first.len)
		account_of_key(keys.first, l->key);
	find_session(l);
	own = find_own(l);
	if (l->key[0])
		find_by_key(l);
	if (own)
		strcpy(l->account, own->verdict.account);
}

/* --- the answer ------------------------------------------------------------------------------- */

/* What the asker has in the account's line. */
struct mine {
	const struct exchange *waits[MINE_MAX]; /* here */
	size_t wait_count;
	int64_t turn_ms;            /* when the first turn began that it has here; 0: it has none */
	size_t at[MINE_MAX], count; /* places, in their order */
};

static void find_here(const struct line *l, struct mine *m)
{
	struct proxy *p = l->x->proxy;
	struct exchange *x;

	for (enum exchange_state s = X_WAITING; s <= X_STREAMING; s++) {
		list_for_each (x, &p->in_state[s], link) {
			if (!is_in_line(x) || !is_own(l, x) ||
			    strcmp(x->verdict.account, l->account))
				continue;
			if (s == X_WAITING && m->wait_count < MINE_MAX)
				m->waits[m->wait_count++] = x;
			else if (x->place.turn_ms && (!m->turn_ms || x->place.turn_ms < m->turn_ms))
				m->turn_ms = x->place.turn_ms;
		}
	}
}

/* In another process, only a session can be known again. */
static bool is_mine(const struct line *l, const struct mine *m, const struct outlook_place *p)
{
	if (l->session[0] && !strcmp(p->session, l->session))
		return true;
	for (size_t i = 0; i < m->wait_count; i++) {
		if (!strcmp(m->waits[i]->place.ticket.id, p->ticket))
			return true;
	}
	return false;
}

static void find_mine(const struct line *l, const struct outlook *o, struct mine *ret)
{
	*ret = (struct mine){ 0 };
	find_here(l, ret);
	for (size_t i = 0; i < o->count && ret->count < MINE_MAX; i++) {
		if (is_mine(l, ret, &o->places[i]))
			ret->at[ret->count++] = i;
	}
}

static int64_t from_now(int64_t ms, int64_t age_ms)
{
	return ms < 0 ? -1 : MAX(ms - age_ms, 0);
}

static void put_known(struct buf *to, const char *name, int64_t n)
{
	if (n < 0)
		buf_printf(to, ",\"%s\":null", name);
	else
		buf_printf(to, ",\"%s\":%" PRId64, name, n);
}

static void put_place(const struct line *l, const struct outlook *o, size_t i, int64_t age_ms,
		      struct buf *to)
{
	const struct outlook_place *p = &o->places[i];
	bool is_asked_for = l->session[0] || !strcmp(p->share, l->share);

	buf_printf(to, "{\"position\":%zu,\"of\":%" PRId64, i + 1, o->waiting);
	put_known(to, "waited_ms", p->waited_ms < 0 ? -1 : p->waited_ms + age_ms);
	put_known(to, "estimate_ms", from_now(p->estimate_ms, age_ms));
	buf_puts(to, ",\"share\":");
	if (is_asked_for && p->share[0])
		buf_json(to, span_of(p->share));
	else
		buf_puts(to, "null");
	buf_puts(to, "}");
}

static void put_held(const struct outlook *o, struct buf *to)
{
	time_t until_s = (time_t)(o->hold_until_ms / 1000);
	char until[32];
	struct tm tm;

	if (o->paused) {
		buf_puts(to, "{\"reason\":\"pause\",\"until\":null}");
	} else if (o->hold) {
		strftime(until, sizeof until, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&until_s, &tm));
		buf_printf(to, "{\"reason\":\"%s\",\"until\":\"%s\"}", hold_kind_name(o->hold),
			   until);
	} else {
		buf_puts(to, "null");
	}
}

static void put_json(const struct line *l, const struct outlook *o, const struct mine *mine,
		     int64_t age_ms, struct buf *to)
{
	buf_puts(to, "{\"account\":");
	if (l->account[0])
		buf_json(to, span_of(l->account));
	else
		buf_puts(to, "null");
	buf_printf(to,
		   ",\"turns\":%" PRId64 ",\"running\":%" PRId64 ",\"waiting\":%" PRId64
		   ",\"mine\":[",
		   o->turns, o->running, o->waiting);
	for (size_t i = 0; i < mine->count; i++) {
		buf_puts(to, i ? "," : "");
		put_place(l, o, mine->at[i], age_ms, to);
	}
	buf_puts(to, "],\"held\":");
	put_held(o, to);
	buf_puts(to, "}\n");
}

static void put_text_of_place(const struct outlook *o, const struct mine *mine, int64_t age_ms,
			      struct buf *to)
{
	const struct outlook_place *p = &o->places[mine->at[0]];

	buf_printf(to, "in line: %zu of %" PRId64, mine->at[0] + 1, o->waiting);
	if (p->estimate_ms >= 0) {
		buf_puts(to, ", about ");
		duration_put(to, from_now(p->estimate_ms, age_ms));
	}
	if (p->waited_ms >= 0) {
		buf_puts(to, " (waited ");
		duration_put(to, p->waited_ms + age_ms);
		buf_puts(to, ")");
	}
	if (mine->count > 1)
		buf_printf(to, ", and %zu more", mine->count - 1);
}

/* One line, for people. */
static void put_text(const struct outlook *o, const struct mine *mine, int64_t age_ms,
		     struct buf *to)
{
	if (mine->count) {
		put_text_of_place(o, mine, age_ms, to);
	} else if (mine->wait_count) {
		buf_puts(to, "in line, since a moment ago"); /* the outlook is older */
	} else if (mine->turn_ms) {
		buf_puts(to, "your turn, for ");
		duration_put(to, clock_ms() - mine->turn_ms);
	} else {
		buf_puts(to, "not in line");
	}
	if (o->paused) {
		buf_puts(to, "; the account is paused");
	} else if (o->hold) {
		buf_puts(to, "; the account is limited for ");
		duration_put(to, MAX(o->hold_until_ms - clock_wall_ms(), 0));
	}
	buf_puts(to, "\n");
}

static void answer(struct line *l, const struct outlook *o, int64_t age_ms)
{
	struct mine mine;

	find_mine(l, o, &mine);
	if (l->wants_text)
		put_text(o, &mine, age_ms, &l->text);
	else
		put_json(l, o, &mine, age_ms, &l->text);
	l->answered = true;
}

/* The base of the URL is the client's to know: its own environment has it. */
static void answer_script(struct line *l)
{
	const char *path = l->x->proxy->config->listen.line_path;
	const char *at = strstr(script, "LINE_PATH");

	buf_append(&l->text, script, (size_t)(at - script));
	buf_puts(&l->text, path);
	buf_puts(&l->text, at + strlen("LINE_PATH"));
	l->answered = true;
}

/* --- asking ----------------------------------------------------------------------------------- */

static void on_outlook(struct outlook_query *q, const struct outlook *o, int64_t age_ms, int error)
{
	struct line *l = container_of(q, struct line, query);

	l->asking = false;
	l->error = error;
	if (o)
		answer(l, o, age_ms);
	exchange_poke(l->x);
}

static void begin(struct line *l)
{
	static const struct outlook nothing = { .turns = 1 };

	find_account(l);
	if (!l->key[0] && !l->session[0]) {
		exchange_finish(l->x, OUTCOME_LINE_UNKNOWN);
	} else if (!l->account[0]) {
		answer(l, &nothing, 0);
	} else {
		l->query.account = l->account;
		l->query.answered = on_outlook;
		l->asking = true;
		outlooks_ask(l->x->proxy->outlooks, &l->query);
	}
}

void line_advance(struct exchange *x)
{
	struct line *l = x->line;

	if (l->wants_leave)
		l->answered = true;
	else if (l->wants_script)
		answer_script(l);
	else if (!l->answered && !l->asking && !l->error)
		begin(l);
	if (l->answered)
		exchange_finish(x, OUTCOME_LINE_ASKED);
	else if (l->error)
		exchange_finish(x, l->error == -EBUSY ? OUTCOME_LINE_BUSY : OUTCOME_BACKEND_ERROR);
}

/* A preflight (Fetch, "CORS protocol"): any page that has a key may ask with it. */
static void give_leave(const struct line *l, struct field_list *fields)
{
	struct span wanted = headers_get(http_request_headers(l->x->request),
					 SPAN("access-control-request-headers"));

	field_list_add(fields, SPAN("access-control-allow-methods"), SPAN("GET, HEAD"));
	if (wanted.len)
		field_list_add(fields, SPAN("access-control-allow-headers"), wanted);
	field_list_add(fields, SPAN("access-control-max-age"), SPAN("600"));
}

struct span line_answer(const struct line *l, struct field_list *fields)
{
	struct span type = l->wants_script ? SPAN("text/x-shellscript; charset=utf-8")
			   : l->wants_text ? SPAN("text/plain; charset=utf-8")
					   : SPAN("application/json");

	if (l->wants_leave) {
		give_leave(l, fields);
	} else {
		field_list_add(fields, SPAN("content-type"), type);
		field_list_add(fields, SPAN("cache-control"), SPAN("no-store"));
	}
	return buf_span(&l->text);
}

void line_free(struct line *l)
{
	if (!l)
		return;
	outlooks_cancel(&l->query);
	buf_clear(&l->text);
	free(l);
}
