/*
 * account.c - one account as JSON, from what a backend says of it.
 *
 * The relays' field names where they have one: accountId, isLocked, lockHolder, lockTtlMs,
 * lockTtlRaw (Redis' PTTL: -1 no lease, -2 no lock), lastCompletedAt.
 */
#include "admin/account.h"

#include "admin/json.h"
#include "base/clock.h"

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

static const char *holder_state(const struct lock_view *v)
{
	if (!v->held_known)
		return v->ttl_raw_ms == -1 ? "orphan" : "unknown";
	return v->held_ms < 0 ? "pacing" : "running";
}

static cJSON *waiter_object(const struct lock_waiter *w)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "ticket", w->ticket);
	add_instance(object, w->ticket);
	json_add_text(object, "client", w->client);
	return object;
}

static void add_holder(const struct lock_view *v, cJSON *document)
{
	cJSON *object;

	if (!v->holder.ticket[0]) {
		cJSON_AddNullToObject(document, "holder");
		return;
	}
	object = waiter_object(&v->holder);
	cJSON_AddStringToObject(object, "state", holder_state(v));
	json_add_known(object, "heldMs", v->held_known, MAX(v->held_ms, 0));
	json_add_known(object, "waitedMs", v->holder.waited_ms >= 0, v->holder.waited_ms);
	cJSON_AddItemToObject(document, "holder", object);
}

static void add_waiters(const struct lock_view *v, cJSON *document)
{
	cJSON *list = cJSON_AddArrayToObject(document, "waiters");

	for (size_t i = 0; i < v->waiter_count; i++) {
		cJSON *object = waiter_object(&v->waiters[i]);

		json_add(object, "position", (int64_t)i + 1);
		json_add_known(object, "waitedMs", v->waiters[i].waited_ms >= 0,
			       v->waiters[i].waited_ms);
		cJSON_AddItemToArray(list, object);
	}
}

cJSON *account_brief(const struct lock_view *v)
{
	cJSON *document = cJSON_CreateObject();

	cJSON_AddStringToObject(document, "accountId", v->account);
	cJSON_AddBoolToObject(document, "isLocked", v->holder.ticket[0] != '\0');
	json_add_text(document, "lockHolder", v->holder.ticket);
	json_add(document, "lockTtlMs", MAX(v->ttl_raw_ms, 0));
	json_add(document, "lockTtlRaw", v->ttl_raw_ms);
	json_add_time(document, "lastCompletedAt", v->last_at_ms);
	json_add(document, "waiting", v->waiting);
	json_add_known(document, "oldestWaitMs", v->oldest_wait_ms >= 0, v->oldest_wait_ms);
	cJSON_AddBoolToObject(document, "paused", v->paused_at_ms != 0);
	json_add_time(document, "pausedAt", v->paused_at_ms);
	add_holder(v, document);
	return document;
}

static int ascending(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

int64_t percentile(int64_t *values, size_t count, size_t of_100)
{
	qsort(values, count, sizeof *values, ascending);
	return values[(count * of_100 + 99) / 100 - 1];
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
}

cJSON *account_whole(const struct lock_view *v)
{
	cJSON *document = account_brief(v);

	add_waiters(v, document);
	add_recent(v, document);
	return document;
}

bool account_is_of_interest(const struct lock_view *v)
{
	return v->holder.ticket[0] || v->waiting || v->paused_at_ms ||
	       clock_wall_ms() - v->last_at_ms <= LOCK_LATELY_MS;
}

/* --- states ----------------------------------------------------------------------------------- */

const char *const account_state_name[ACCOUNT_STATES] = {
	[ACCOUNT_FREE] = "free",     [ACCOUNT_PACING] = "pacing", [ACCOUNT_BUSY] = "busy",
	[ACCOUNT_PAUSED] = "paused", [ACCOUNT_STUCK] = "stuck",
};

enum account_state account_state(const struct lock_view *v, bool stalled, const char **ret_why)
{
	*ret_why = NULL;
	if (v->paused_at_ms)
		return ACCOUNT_PAUSED;
	if (v->holder.ticket[0] && v->ttl_raw_ms == -1)
		*ret_why = "the lock has no lease: nothing ends it by itself";
	else if (v->waiting && stalled)
		*ret_why = "the holder's response hasn't moved for listen.stall_timeout_ms";
	else if (v->waiting && !v->holder.ticket[0] && v->oldest_wait_ms > UNTAKEN_MS)
		*ret_why = "the turn is free, but the first in line doesn't take it";
	if (*ret_why)
		return ACCOUNT_STUCK;
	if (!v->holder.ticket[0])
		return ACCOUNT_FREE;
	return v->held_known && v->held_ms < 0 ? ACCOUNT_PACING : ACCOUNT_BUSY;
}
