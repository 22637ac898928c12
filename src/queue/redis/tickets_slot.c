/*
 * tickets_slot.c - a slot between two nodes.
 *
 * An account's keys are on their way to another node, so that the scripts on all of them are done
 * nowhere. But a script on one key is done where that key is. So the leases are renewed by
 * themselves, each key for itself, and all else waits until the slot has arrived. This follows ASK,
 * which the keeper doesn't.
 */
#include "base/clock.h"
#include "queue/redis/keepers.h"
#include "queue/redis/ticket.h"

static void extended(struct redis_call *call, const redisReply *reply)
{
	struct ticket_call *e = container_of(call, struct ticket_call, call);
	struct redis_tickets *r = tickets_of(e);
	struct redis_ticket *p = ticket_find_str(r, e->id);
	struct script_answer a;

	r->calls.open--;
	if (!p || !script_answer_read(reply, &a) || span_eq(a.what, SPAN("gone"))) {
		/* The keeper asks on, until the lease is over. */
	} else if (p->state == TURN_HELD) {
		keeper_renewed(keeper_of(p->node), e->id, e->sent_ms);
	} else if (p->state == TURN_CONFIRMING) {
		/* After all that may be left, as completions and starts are in other keys. */
		const struct lock_terms *terms = &p->box.ticket->terms;

		p->state = TURN_WAITING;
		ticket_grant(p, terms->delay_ms + terms->interval_ms, e->sent_ms);
	}
	ticket_call_free(e);
}

/* Where its turn may be: the lock, or one of the other seats. */
static void extend_at(struct redis_ticket *p, const char *kind)
{
	struct ticket_calls *calls = &p->tickets->calls;
	struct ticket_call *e =
		ticket_call_on_key(calls, SCRIPT_EXTEND, kind, p->box.ticket, extended);

	e->call.wanted = ticket_is_there;
	redis_arg_str(&e->call.command, e->id);
	redis_arg_int(&e->call.command, e->ttl_ms);
	redis_arg_str(&e->call.command, kind);
	if (ticket_call_send(e) < 0)
		ticket_call_free(e);
}

static void extend(struct redis_ticket *p)
{
	const struct lock_ticket *t = p->box.ticket;

	if (ticket_call_is_open(&p->tickets->calls, SCRIPT_EXTEND, t->account, t->id))
		return;
	extend_at(p, "lock");
	extend_at(p, "seats");
}

/* No node may have their places: they wait as for one that is down. */
static void stayed(struct redis_call *call, const redisReply *reply)
{
	struct ticket_call *e = container_of(call, struct ticket_call, call);
	struct redis_tickets *r = tickets_of(e);
	struct script_answer a;
	bool kept = script_answer_read(reply, &a);
	bool missed = !kept && (reply || clock_ms() >= call->until_ms);

	r->calls.open--;
	if (reply && missed)
		redis_node_refuses(call->node, reply->str);
	for (struct redis_ticket *p = r->by_id; p && (kept || missed); p = p->hh.next) {
		if (strcmp(p->box.ticket->account, e->account) != 0)
			continue;
		if (kept)
			p->unkept_at_ms = 0;
		else
			ticket_unkept(p, e->sent_ms);
	}
	ticket_call_free(e);
}

/* The waiters' leases, or if `key` is "wait", their places. */
static void stay(struct redis_tickets *r, const char *account, const char *key)
{
	struct lock_ticket nobody = { .terms.ttl_ms = REDIS_LEASE_MS };
	struct ticket_call *e;

	memcpy(nobody.account, account, sizeof nobody.account);
	e = ticket_call_on_key(&r->calls, SCRIPT_STAY, key, &nobody, stayed);
	redis_arg_int(&e->call.command, REDIS_LEASE_MS);
	for (struct redis_ticket *p = r->by_id; p && strcmp(key, "wait"); p = p->hh.next) {
		if (p->state == TURN_WAITING && !strcmp(p->box.ticket->account, account))
			redis_arg_str(&e->call.command, p->box.ticket->id);
	}
	if (ticket_call_send(e) < 0)
		ticket_call_free(e);
}

void tickets_adrift(struct redis_tickets *r, const struct keeper_news *news)
{
	struct redis_ticket *p = ticket_find_str(r, news->id);

	if (p && p->state == TURN_HELD)
		extend(p);
	if (*news->id)
		return;
	for (p = r->by_id; p; p = p->hh.next) {
		if (p->state == TURN_CONFIRMING && !strcmp(p->box.ticket->account, news->account))
			extend(p);
	}
	if (ticket_call_is_open(&r->calls, SCRIPT_STAY, news->account, ""))
		return;
	stay(r, news->account, "wait");
	stay(r, news->account, "alive");
}
