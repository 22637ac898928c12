/*
 * account.c - one account as JSON, from what a backend says of it.
 *
 * The relays' field names where they have one: accountId, isLocked, lockHolder, lockTtlMs,
 * lockTtlRaw (Redis' PTTL: -1 no lease, -2 no lock), lastCompletedAt.
 */
#include "admin/account.h"

#include <stdlib.h>
#include <string.h>

#include "admin/json.h"
#include "base/clock.h"
#include "base/percentile.h"
#include "queue/shadow.h"

/* A free turn is handed on within a lease of waiters, even when a process dies in between. */
enum { UNTAKEN_MS = 5000 };

/* "<instance>.<boot>:<uuid>" -> instance; null for tickets of other programs. */
static void add_instance(cJSON *object, const char *ticket)
{
	const char *colon = strrchr(ticket, ':');
	const char *dot = colon ? memrchr(ticket, '.', (size_t)(colon - ticket)) : NULL;
	CLEANUP(freep) char *name = NULL;

	if (colon)
		name = xstrndup(ticket, (size_t)((dot ? dot : colon) - ticket));
	json_add_text(object, "instance", name);
}

static const char *holder_state(const struct lock_holder *h)
{
	if (!h->held_known)
		return h->ttl_raw_ms == -1 ? "orphan" : "unknown";
	return h->held_ms < 0 ? "pacing" : "running";
}

static cJSON *waiter_object(const struct lock_waiter *w)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "ticket", w->ticket);
	add_instance(object, w->ticket);
	json_add_text(object, "client", w->client);
	json_add_text(object, "share", w->share);
	json_add_text(object, "mark", w->mark);
	return object;
}

static cJSON *holder_object(const struct lock_holder *h)
{
	cJSON *object = waiter_object(&h->who);

	cJSON_AddStringToObject(object, "state", holder_state(h));
	json_add_known(object, "heldMs", h->held_known, MAX(h->held_ms, 0));
	json_add_known(object, "waitedMs", h->who.waited_ms >= 0, h->who.waited_ms);
	json_add(object, "ttlMs", MAX(h->ttl_raw_ms, 0));
	return object;
}

static void add_holders(const struct lock_view *v, cJSON *document)
{
	cJSON *list = cJSON_AddArrayToObject(document, "holders");

	if (v->holder_count)
		cJSON_AddItemToObject(document, "holder", holder_object(v->holders));
	else
		cJSON_AddNullToObject(document, "holder");
	for (size_t i = 0; i < v->holder_count; i++)
		cJSON_AddItemToArray(list, holder_object(&v->holders[i]));
}

static void add_waiters(const struct lock_view *v, cJSON *document)
{
	cJSON *list = cJSON_AddArrayToObject(document, "waiters");

	for (size_t i = 0; i < v->waiter_count; i++) {
		const struct lock_waiter *w = &v->waiters[i];
		cJSON *object = waiter_object(w);

		json_add(object, "position", (int64_t)i + 1);
		json_add_known(object, "waitedMs", w->waited_ms >= 0, w->waited_ms);
		if (w->rank >= 0)
			cJSON_AddNumberToObject(object, "rank", w->rank);
		else
			cJSON_AddNullToObject(object, "rank");
		cJSON_AddItemToArray(list, object);
	}
}

/* The one that had most comes first; all others together are "share": null. */
static int by_time_held(const void *a, const void *b)
{
	const struct lock_share *x = a, *y = b;

	if (x->held_ms != y->held_ms)
		return x->held_ms > y->held_ms ? -1 : 1;
	return (x->waiting < y->waiting) - (x->waiting > y->waiting);
}

static void add_shares(const struct lock_view *v, cJSON *object)
{
	size_t bytes = v->share_count * sizeof *v->shares;
	CLEANUP(freep) struct lock_share *sorted = xmalloc(bytes + 1);
	cJSON *list = cJSON_AddArrayToObject(object, "shares");

	if (bytes)
		memcpy(sorted, v->shares, bytes);
	qsort(sorted, v->share_count, sizeof *sorted, by_time_held);
	for (size_t i = 0; i < v->share_count; i++) {
		cJSON *row = cJSON_CreateObject();

		json_add_text(row, "share", sorted[i].name);
		json_add(row, "waiting", sorted[i].waiting);
		json_add(row, "turns", sorted[i].turns);
		json_add(row, "left", sorted[i].left);
		json_add(row, "heldMs", sorted[i].held_ms);
		cJSON_AddItemToArray(list, row);
	}
}

/* The upstream's limit; null: there is none. */
static cJSON *hold_json(const struct lock_view_hold *h)
{
	int64_t now = clock_wall_ms();
	cJSON *object;

	if (!h->kind)
		return cJSON_CreateNull();
	object = cJSON_CreateObject();
	cJSON_AddStringToObject(object, "reason", hold_kind_name(h->kind));
	json_add_time(object, "since", now - h->since_ms);
	json_add_time(object, "until", now + h->left_ms);
	json_add_time(object, "nextProbe", now + h->probe_ms);
	json_add(object, "refusals", h->refusals);
	return object;
}

static cJSON *window_json(const struct limit_window *w)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "window", w->name);
	if (w->utilisation >= 0)
		cJSON_AddNumberToObject(object, "used", w->utilisation);
	else
		cJSON_AddNullToObject(object, "used");
	json_add_text(object, "status", limit_status_names[w->status]);
	json_add_time(object, "resets", w->reset_ms);
	json_add_time(object, "readAt", w->at_ms);
	return object;
}

/* What the upstream says of its limits; null: it has said nothing that still counts. */
static cJSON *quota_json(const struct limit_reading *r)
{
	cJSON *object, *list;

	if (!r->count)
		return cJSON_CreateNull();
	object = cJSON_CreateObject();
	json_add_text(object, "status", limit_status_names[r->status]);
	json_add_text(object, "claim", r->claim);
	cJSON_AddBoolToObject(object, "onCredits", r->on_credits);
	list = cJSON_AddArrayToObject(object, "windows");
	for (size_t i = 0; i < r->count; i++)
		cJSON_AddItemToArray(list, window_json(&r->windows[i]));
	return object;
}

static void add_quota(const struct quotas *quotas, const char *account, cJSON *document)
{
	static const char *const names[] = {
#define X(name, word, json) json,
		QUOTA_ANSWERS(X)
#undef X
	};
	const char *shadow = shadow_account(account);
	cJSON *answers;
	struct quota q;

	quotas_get(quotas, shadow ? shadow : account, clock_wall_ms(), &q);
	cJSON_AddItemToObject(document, "quota", quota_json(&q.reading));
	answers = cJSON_AddObjectToObject(document, "answersLast24Hours");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		json_add(answers, names[i], q.answers[i]);
}

static bool has_held_family(const struct lock_view *v)
{
	for (size_t i = 0; i < LIMIT_FAMILIES; i++) {
		if (v->family_holds[i].kind)
			return true;
	}
	return false;
}

static void add_held_families(const struct lock_view *v, cJSON *document)
{
	cJSON *list = cJSON_AddArrayToObject(document, "heldFamilies");

	for (size_t i = 0; i < LIMIT_FAMILIES; i++) {
		cJSON *object = v->family_holds[i].kind ? hold_json(&v->family_holds[i]) : NULL;

		if (!object)
			continue;
		cJSON_AddStringToObject(object, "family", limit_family_names[i]);
		cJSON_AddItemToArray(list, object);
	}
}

cJSON *account_brief(const struct lock_view *v, const struct quotas *quotas)
{
	const struct lock_holder *lock = lock_view_first(v);
	cJSON *document = cJSON_CreateObject();

	cJSON_AddStringToObject(document, "accountId", v->account);
	json_add_text(document, "shadowOf", shadow_account(v->account));
	cJSON_AddBoolToObject(document, "isLocked", v->holder_count);
	json_add_text(document, "lockHolder", lock->who.ticket);
	json_add(document, "lockTtlMs", MAX(lock->ttl_raw_ms, 0));
	json_add(document, "lockTtlRaw", lock->ttl_raw_ms);
	json_add_time(document, "lastCompletedAt", v->last_at_ms);
	json_add(document, "waiting", v->waiting);
	json_add_known(document, "oldestWaitMs", v->oldest_wait_ms >= 0, v->oldest_wait_ms);
	cJSON_AddBoolToObject(document, "paused", v->paused_at_ms != 0);
	json_add_time(document, "pausedAt", v->paused_at_ms);
	cJSON_AddItemToObject(document, "held", hold_json(&v->hold));
	add_held_families(v, document);
	add_quota(quotas, v->account, document);
	json_add_known(document, "turns", v->turns, v->turns);
	json_add(document, "kept", v->kept);
	add_holders(v, document);
	return document;
}

static void add_percentiles(cJSON *document, const char *name, int64_t *values, size_t count)
{
	static const struct {
		const char *name;
		size_t of_100;
	} ranks[] = { { "p50", 50 }, { "p90", 90 }, { "p99", 99 }, { "max", 100 } };
	cJSON *object = cJSON_AddObjectToObject(document, name);

	for (size_t i = 0; i < ARRAY_SIZE(ranks); i++)
		json_add_known(object, ranks[i].name, count,
			       count ? percentile(values, count, ranks[i].of_100) : 0);
}

static void add_recent(const struct lock_view *v, cJSON *document)
{
	CLEANUP(freep) int64_t *waits = xcalloc(v->sample_count + 1, sizeof *waits);
	CLEANUP(freep) int64_t *holds = xcalloc(v->sample_count + 1, sizeof *holds);
	cJSON *object = cJSON_AddObjectToObject(document, "last5Minutes");
	size_t turns = 0;

	for (size_t i = 0; i < v->sample_count; i++) {
		if (v->samples[i].hold_ms < 0)
			continue; /* left without a turn */
		waits[turns] = v->samples[i].wait_ms;
		holds[turns++] = v->samples[i].hold_ms;
	}
	json_add(object, "turns", (int64_t)turns);
	json_add(object, "left", (int64_t)(v->sample_count - turns));
	add_percentiles(object, "waitMs", waits, turns);
	add_percentiles(object, "holdMs", holds, turns);
	add_shares(v, object);
}

/* --- what the process of a request knows of it ------------------------------------------------ */

/* Where to look for the next one: requests come about in the order in which the lists have them. */
struct seekers {
	cJSON *lists[2], *next[2];
	int left; /* rows that are no request of this process, as far as known */
};

static cJSON *find_in(cJSON *from, const cJSON *end, const char *ticket)
{
	for (; from && from != end; from = from->next) {
		if (!strcmp(cJSON_GetObjectItem(from, "ticket")->valuestring, ticket))
			return from;
	}
	return NULL;
}

static cJSON *seek(struct seekers *s, const char *ticket)
{
	for (size_t i = 0; s->left && i < ARRAY_SIZE(s->lists); i++) {
		cJSON *found = find_in(s->next[i], NULL, ticket);

		if (!found)
			found = find_in(s->lists[i]->child, s->next[i], ticket);
		if (found) {
			s->left--;
			s->next[i] = found->next;
			return found;
		}
	}
	return NULL;
}

static void add_request(void *arg, const struct proxy_request *r)
{
	cJSON *row = seek(arg, r->ticket), *object;

	if (!row)
		return;
	object = cJSON_AddObjectToObject(row, "request");
	cJSON_AddStringToObject(object, "requestId", r->id);
	json_add_text(object, "upstreamRequestId", r->upstream_id);
	cJSON_AddStringToObject(object, "state", r->state);
	json_add_time(object, "since", clock_wall_ms() - r->age_ms);
	json_add_text(object, "path", r->path);
	json_add_text(object, "model", r->model);
	json_add_text(object, "session", r->session);
	json_add(object, "bodyBytes", r->body_bytes);
	cJSON_AddBoolToObject(object, "stream", r->stream);
}

static void add_requests(const struct proxy *p, const char *account, cJSON *document)
{
	cJSON *holders = cJSON_GetObjectItem(document, "holders");
	cJSON *waiters = cJSON_GetObjectItem(document, "waiters");
	struct seekers s = { { holders, waiters },
			     { holders->child, waiters->child },
			     cJSON_GetArraySize(holders) + cJSON_GetArraySize(waiters) };

	proxy_each_request(p, account, add_request, &s);
}

cJSON *account_whole(const struct lock_view *v, const struct quotas *quotas, const struct proxy *p)
{
	cJSON *document = account_brief(v, quotas);

	add_waiters(v, document);
	add_recent(v, document);
	if (p)
		add_requests(p, v->account, document);
	return document;
}

bool account_is_of_interest(const struct lock_view *v)
{
	return v->holder_count || v->waiting || v->paused_at_ms || v->hold.kind ||
	       has_held_family(v) || clock_wall_ms() - v->last_at_ms <= LOCK_RECENT_MS;
}

/* --- states ----------------------------------------------------------------------------------- */

const char *const account_state_name[ACCOUNT_STATES] = {
	[ACCOUNT_FREE] = "free",     [ACCOUNT_PACING] = "pacing", [ACCOUNT_BUSY] = "busy",
	[ACCOUNT_PAUSED] = "paused", [ACCOUNT_HELD] = "limited",  [ACCOUNT_STUCK] = "stuck",
};

static bool has_orphan(const struct lock_view *v)
{
	for (size_t i = 0; i < v->holder_count; i++) {
		if (v->holders[i].ttl_raw_ms == -1)
			return true;
	}
	return false;
}

static bool all_are_pacing(const struct lock_view *v)
{
	for (size_t i = 0; i < v->holder_count; i++) {
		if (!v->holders[i].held_known || v->holders[i].held_ms >= 0)
			return false;
	}
	return v->holder_count;
}

enum account_state account_state(const struct lock_view *v, bool stalled, const char **ret_why)
{
	bool free_turn = (int64_t)v->holder_count < MAX(v->turns, 1);

	*ret_why = NULL;
	if (v->paused_at_ms)
		return ACCOUNT_PAUSED;
	if (has_orphan(v))
		*ret_why = "the lock has no lease: nothing ends it by itself";
	else if (v->waiting && stalled)
		*ret_why = "the holder's response hasn't moved for listen.stall_timeout_ms";
	else if (v->waiting && free_turn && v->oldest_wait_ms > UNTAKEN_MS && !v->hold.kind &&
		 !has_held_family(v))
		*ret_why = "the turn is free, but the first in line doesn't take it";
	if (*ret_why)
		return ACCOUNT_STUCK;
	if (v->hold.kind && !v->holder_count)
		return ACCOUNT_HELD;
	if (!v->holder_count)
		return ACCOUNT_FREE;
	return all_are_pacing(v) ? ACCOUNT_PACING : ACCOUNT_BUSY;
}
