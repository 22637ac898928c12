/*
 * queues.c - queries and orders about accounts.
 */
#include <errno.h>

#include "admin/account.h"
#include "admin/call.h"
#include "base/alert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/typo.h"
#include "config/accounts.h"
#include "proxy/stats.h"

enum { PAGE = 100 };

/* --- queries -------------------------------------------------------------------------------- */

static void listed(struct call *c, const struct lock_answer *answer)
{
	cJSON *document = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(document, "queues");

	for (size_t i = 0; i < answer->count; i++) {
		if (account_is_of_interest(&answer->views[i]))
			cJSON_AddItemToArray(list,
					     account_brief(&answer->views[i],
							   proxy_quotas(c->admin->parts.proxy)));
	}
	json_add_known(document, "nextOffset", answer->next, answer->next);
	call_reply(c, 200, document);
}

void serve_queues(struct call *c)
{
	int64_t limit = call_query_number(c, "limit", PAGE, 1, LOCK_LIST_MAX);
	int64_t offset = limit < 0 ? -1 : call_query_number(c, "offset", 0, 0, INT32_MAX);

	if (offset < 0)
		return;
	c->query.verb = LOCK_LIST;
	c->query.limit = limit;
	c->query.offset = offset;
	call_ask(c, listed);
}

static void looked(struct call *c, const struct lock_answer *answer)
{
	call_reply(c, 200,
		   account_whole(&answer->views[0], proxy_quotas(c->admin->parts.proxy),
				 c->admin->parts.proxy));
}

void serve_queue(struct call *c)
{
	c->query.verb = LOCK_LOOK;
	c->query.account = call_account(c);
	if (c->query.account)
		call_ask(c, looked);
}

/* --- orders ----------------------------------------------------------------------------------- */

static const struct {
	const char *log, *done, *missing;
} orders[] = {
	[LOCK_FORCE] = { "operator: turn ended", "released", "nobody has the account's turn" },
	[LOCK_PAUSE] = { "operator: account paused", "paused", "" },
	[LOCK_RESUME] = { "operator: account resumed", "resumed", "the account isn't paused" },
	[LOCK_RELEASE] = { "operator: hold ended", "released",
			   "the account isn't held by a limit of the upstream" },
	[LOCK_REMOVE] = { "operator: waiter removed", "removed", "no such ticket waits" },
};

static void obeyed(struct call *c, const struct lock_answer *answer)
{
	enum lock_verb verb = c->query.verb;
	cJSON *document;

	if (answer->error == -EBUSY) {
		call_fail(c, 409, "has_turn",
			  "this ticket has the turn; DELETE the account's lock to end that");
		return;
	}
	if (answer->error) {
		call_fail(c, 404, "not_found", "%s",
			  verb == LOCK_FORCE && c->query.ticket ? "no such ticket has a turn"
								: orders[verb].missing);
		return;
	}
	call_changed(c, &(struct change){ .what = orders[verb].log,
					  .account = c->query.account,
					  .ticket = c->query.ticket });
	if (verb == LOCK_RELEASE)
		alert(ALERT_FREED, c->query.account, 0);
	document = cJSON_CreateObject();
	cJSON_AddStringToObject(document, "accountId", c->query.account);
	cJSON_AddBoolToObject(document, orders[verb].done, true);
	call_reply(c, 200, document);
}

static void order(struct call *c, enum lock_verb verb, const char *ticket)
{
	c->query.verb = verb;
	c->query.account = call_account(c);
	c->query.ticket = ticket;
	if (c->query.account)
		call_order(c, obeyed);
}

void serve_force(struct call *c)
{
	order(c, LOCK_FORCE, NULL);
}

void serve_force_one(struct call *c)
{
	order(c, LOCK_FORCE, c->params.text[1]);
}

static bool was_seen(const struct lock_view *v)
{
	return v->holder_count || v->waiting || v->paused_at_ms || v->last_at_ms || v->sample_count;
}

static const char *nearest(const struct lock_answer *answer, const char *account)
{
	int least = typo_limit(span_of(account)) + 1;
	const char *name = NULL;

	for (size_t i = 0; i < answer->count; i++) {
		int d = typo_distance(span_of(answer->views[i].account), span_of(account));

		if (d < least) {
			least = d;
			name = answer->views[i].account;
		}
	}
	return name;
}

/* It is none of the accounts in the answer. */
static void fail_unseen(struct call *c, const struct lock_answer *answer)
{
	const char *account = c->query.account;
	const char *owner = account_of_key_name(c->admin->parts.config, account);
	const char *near = owner ? owner : nearest(answer, account);
	CLEANUP(buf_clear) struct buf hint = { 0 };

	if (near)
		buf_printf(&hint, "; did you mean %s?", near);
	call_fail(c, 404, "not_found",
		  "nobody has used the account %s lately%s (To pause it all the same: ?unseen=1)",
		  account, buf_str(&hint));
}

static void looked_before_pause(struct call *c, const struct lock_answer *answer)
{
	if (was_seen(&answer->views[0])) {
		order(c, LOCK_PAUSE, NULL);
		return;
	}
	c->query.verb = LOCK_LIST;
	c->query.limit = LOCK_LIST_MAX;
	call_ask(c, fail_unseen);
}

/* A pause of an account whose name was misspelt would hold nobody, and look as if it did. */
void serve_pause(struct call *c)
{
	int64_t unseen = call_query_number(c, "unseen", 0, 0, 1);

	if (unseen < 0)
		return;
	c->query.account = call_account(c);
	if (!c->query.account)
		return;
	if (unseen || account_is_configured(c->admin->parts.config, c->query.account)) {
		order(c, LOCK_PAUSE, NULL);
		return;
	}
	c->query.verb = LOCK_LOOK;
	call_ask(c, looked_before_pause);
}

void serve_resume(struct call *c)
{
	order(c, LOCK_RESUME, NULL);
}

void serve_release(struct call *c)
{
	order(c, LOCK_RELEASE, NULL);
}

void serve_remove(struct call *c)
{
	order(c, LOCK_REMOVE, c->params.text[1]);
}
