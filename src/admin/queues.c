/*
 * queues.c - accounts: who holds, who waits, how long it takes; and the orders about them.
 *
 * The relays' field names where they have one: accountId, isLocked, lockHolder, lockTtlMs,
 * lockTtlRaw (Redis' PTTL: -1 no lease, -2 no lock), lastCompletedAt.
 */
#include <errno.h>

#include "admin/call.h"
#include "base/clock.h"
#include "base/log.h"

enum { PAGE = 100 };

/* --- showing ---------------------------------------------------------------------------------- */

static void add_text(cJSON *object, const char *name, const char *text)
{
	if (text && text[0])
		cJSON_AddStringToObject(object, name, text);
	else
		cJSON_AddNullToObject(object, name);
}

static void add_known(cJSON *object, const char *name, bool known, int64_t number)
{
	if (known)
		json_add(object, name, number);
	else
		cJSON_AddNullToObject(object, name);
}

/* "<instance>.<boot>:<uuid>" -> instance; null for tickets of other programs. */
static void add_instance(cJSON *object, const char *ticket)
{
	const char *colon = strrchr(ticket, ':');
	const char *dot = colon ? memrchr(ticket, '.', (size_t)(colon - ticket)) : NULL;
	CLEANUP(freep) char *name = NULL;

	if (colon)
		name = xstrndup(ticket, (size_t)((dot ? dot : colon) - ticket));
	add_text(object, "instance", name);
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
	add_text(object, "client", w->client);
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
	add_known(object, "heldMs", v->held_known, MAX(v->held_ms, 0));
	add_known(object, "waitedMs", v->holder.waited_ms >= 0, v->holder.waited_ms);
	cJSON_AddItemToObject(document, "holder", object);
}

static void add_waiters(const struct lock_view *v, cJSON *document)
{
	cJSON *list = cJSON_AddArrayToObject(document, "waiters");

	for (size_t i = 0; i < v->waiter_count; i++) {
		cJSON *object = waiter_object(&v->waiters[i]);

		json_add(object, "position", (int64_t)i + 1);
		add_known(object, "waitedMs", v->waiters[i].waited_ms >= 0,
			  v->waiters[i].waited_ms);
		cJSON_AddItemToArray(list, object);
	}
}

static cJSON *brief(const struct lock_view *v)
{
	cJSON *document = cJSON_CreateObject();

	cJSON_AddStringToObject(document, "accountId", v->account);
	cJSON_AddBoolToObject(document, "isLocked", v->holder.ticket[0] != '\0');
	add_text(document, "lockHolder", v->holder.ticket);
	json_add(document, "lockTtlMs", MAX(v->ttl_raw_ms, 0));
	json_add(document, "lockTtlRaw", v->ttl_raw_ms);
	json_add_time(document, "lastCompletedAt", v->last_at_ms);
	json_add(document, "waiting", v->waiting);
	add_known(document, "oldestWaitMs", v->oldest_wait_ms >= 0, v->oldest_wait_ms);
	cJSON_AddBoolToObject(document, "paused", v->paused_at_ms != 0);
	json_add_time(document, "pausedAt", v->paused_at_ms);
	add_holder(v, document);
	return document;
}

/* --- percentiles ------------------------------------------------------------------------------ */

static int ascending(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* By nearest rank: the smallest value that at least p of 100 values don't exceed. */
static void add_percentiles(cJSON *document, const char *name, int64_t *values, size_t count)
{
	static const struct {
		const char *name;
		size_t of_100;
	} ranks[] = { { "p50", 50 }, { "p90", 90 }, { "p99", 99 }, { "max", 100 } };
	cJSON *object = cJSON_AddObjectToObject(document, name);

	qsort(values, count, sizeof *values, ascending);
	for (size_t i = 0; i < ARRAY_SIZE(ranks); i++)
		add_known(object, ranks[i].name, count,
			  count ? values[(count * ranks[i].of_100 + 99) / 100 - 1] : 0);
}

static void add_recent(const struct lock_view *v, cJSON *document)
{
	CLEANUP(freep) int64_t *values = xcalloc(v->sample_count + 1, sizeof *values);
	cJSON *object = cJSON_AddObjectToObject(document, "last5Minutes");

	json_add(object, "turns", (int64_t)v->sample_count);
	for (size_t i = 0; i < v->sample_count; i++)
		values[i] = v->samples[i].wait_ms;
	add_percentiles(object, "waitMs", values, v->sample_count);
	for (size_t i = 0; i < v->sample_count; i++)
		values[i] = v->samples[i].hold_ms;
	add_percentiles(object, "holdMs", values, v->sample_count);
}

/* --- questions -------------------------------------------------------------------------------- */

static bool is_of_interest(const struct lock_view *v)
{
	return v->holder.ticket[0] || v->waiting || v->paused_at_ms ||
	       clock_wall_ms() - v->last_at_ms <= LOCK_LATELY_MS;
}

static void listed(struct call *c, const struct lock_answer *answer)
{
	cJSON *document = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(document, "queues");

	for (size_t i = 0; i < answer->count; i++) {
		if (is_of_interest(&answer->views[i]))
			cJSON_AddItemToArray(list, brief(&answer->views[i]));
	}
	add_known(document, "nextOffset", answer->next, answer->next);
	call_reply(c, 200, document);
}

void serve_queues(struct call *c)
{
	int64_t limit = call_query_number(c, "limit", PAGE, 1, LOCK_LIST_MAX);
	int64_t offset = limit < 0 ? -1 : call_query_number(c, "offset", 0, 0, INT32_MAX);

	if (offset < 0)
		return;
	c->question.verb = LOCK_LIST;
	c->question.limit = limit;
	c->question.offset = offset;
	call_ask(c, listed);
}

static void looked(struct call *c, const struct lock_answer *answer)
{
	const struct lock_view *v = &answer->views[0];
	cJSON *document = brief(v);

	add_waiters(v, document);
	add_recent(v, document);
	call_reply(c, 200, document);
}

void serve_queue(struct call *c)
{
	c->question.verb = LOCK_LOOK;
	c->question.account = call_account(c);
	if (c->question.account)
		call_ask(c, looked);
}

/* --- orders ----------------------------------------------------------------------------------- */

static const struct {
	const char *log, *done, *missing;
} orders[] = {
	[LOCK_FORCE] = { "operator: turn ended", "released", "nobody has the account's turn" },
	[LOCK_PAUSE] = { "operator: account paused", "paused", "" },
	[LOCK_RESUME] = { "operator: account resumed", "resumed", "the account isn't paused" },
	[LOCK_REMOVE] = { "operator: waiter removed", "removed", "no such ticket waits" },
};

static void obeyed(struct call *c, const struct lock_answer *answer)
{
	enum lock_verb verb = c->question.verb;
	cJSON *document;

	if (answer->error == -EBUSY) {
		call_fail(c, 409, "has_turn",
			  "this ticket has the turn; DELETE the account's lock to end that");
		return;
	}
	if (answer->error) {
		call_fail(c, 404, "not_found", "%s", orders[verb].missing);
		return;
	}
	log_warn(orders[verb].log, LOG_STR("account", c->question.account),
		 LOG_STR("ticket", c->question.ticket),
		 LOG_STR("client", http_request_client(c->request)));
	document = cJSON_CreateObject();
	cJSON_AddStringToObject(document, "accountId", c->question.account);
	cJSON_AddBoolToObject(document, orders[verb].done, true);
	call_reply(c, 200, document);
}

static void order(struct call *c, enum lock_verb verb, const char *ticket)
{
	c->question.verb = verb;
	c->question.account = call_account(c);
	c->question.ticket = ticket;
	if (c->question.account)
		call_ask(c, obeyed);
}

void serve_force(struct call *c)
{
	order(c, LOCK_FORCE, NULL);
}

void serve_pause(struct call *c)
{
	order(c, LOCK_PAUSE, NULL);
}

void serve_resume(struct call *c)
{
	order(c, LOCK_RESUME, NULL);
}

void serve_remove(struct call *c)
{
	order(c, LOCK_REMOVE, c->params.text[1]);
}
