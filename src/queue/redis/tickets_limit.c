/*
 * tickets_limit.c - holds by the upstream's limits: what is said of one, and what is heard.
 *
 *      lock_hold ──> hold.lua ──"held"──> a process with waiters ─┐
 *      touch.lua: the end of a window that is spent ──> keeper ───┴──> enter.lua again ──> LOCK_HELD
 *
 * Both are hints: what the upstream said is in the answer to an enter, as it is for those who join
 * later. One who waits asks; what is heard is for all of the account.
 */
#include "base/log.h"
#include "queue/redis/ticket.h"

/* --- what is said ------------------------------------------------------------------------------ */

static void said(struct redis_call *call, const redisReply *reply)
{
	struct ticket_call *e = container_of(call, struct ticket_call, call);
	struct redis_tickets *r = tickets_of(e);
	struct script_answer a;

	r->calls.open--;
	if (script_answer_read(reply, &a)) {
		redis_tickets_answer(r, &a);
		ticket_call_free(e);
		return;
	}
	if (reply)
		redis_node_refuses(e->call.node, reply->str);
	ticket_call_retry_later(e);
}

/* Before the give-back of that turn, which comes right behind. */
static void say(struct ticket_call *e)
{
	e->call.in_order = true;
	if (ticket_call_send(e) < 0)
		ticket_call_retry_later(e);
}

void redis_tickets_limit(struct redis_tickets *r, const char *account,
			 const struct lock_limit *limit)
{
	struct ticket_call *e = ticket_call_of_account(&r->calls, SCRIPT_HOLD, account, said);
	bool fits = strlen(limit->refusal) < LOCK_REFUSAL_MAX;

	redis_arg_str(&e->call.command, hold_kind_name(limit->kind));
	redis_arg_int(&e->call.command, limit->for_ms);
	redis_arg_str(&e->call.command, fits ? limit->refusal : "");
	say(e);
}

void redis_tickets_unlimit(struct redis_tickets *r, const char *account)
{
	say(ticket_call_of_account(&r->calls, SCRIPT_RELEASE, account, said));
}

/* --- what is heard ----------------------------------------------------------------------------- */

static bool waits_in(const struct redis_ticket *p, const char *account)
{
	return p->state == TURN_WAITING && !strcmp(p->box.ticket->account, account);
}

static void hear(struct redis_ticket *p, int64_t limit_until, int64_t left_ms, struct span refusal)
{
	if (p->limit_until == limit_until)
		return;
	p->limit_until = limit_until;
	free(p->refusal);
	p->refusal = xstrndup(refusal.ptr, refusal.len);
	ticket_tell(p, (struct lock_news){ LOCK_HELD, .held_ms = left_ms, .refusal = p->refusal });
}

void ticket_limited(struct redis_ticket *p, const struct script_answer *a)
{
	const char *account = p->box.ticket->account;
	int64_t limit_until = script_number(a, 3), left_ms = script_number(a, 4);
	bool asked = p->asks_of_limit;

	p->asks_of_limit = false;
	if (limit_until <= 0 || left_ms <= 0)
		return;
	hear(p, limit_until, left_ms, script_text(a, 5));
	for (struct redis_ticket *q = p->tickets->by_id; q && asked; q = q->hh.next) {
		if (waits_in(q, account))
			hear(q, limit_until, left_ms, script_text(a, 5));
	}
}

void ticket_hear_of_limit(struct redis_ticket *p, int64_t limit_until)
{
	const struct lock_ticket *t = p->box.ticket;

	if (p->state != TURN_WAITING || (limit_until && p->limit_until == limit_until) ||
	    ticket_call_is_open(&p->tickets->calls, SCRIPT_ENTER, t->account, t->id))
		return;
	p->asks_of_limit = true;
	ticket_send_enter(p);
}

void tickets_hear_of_limit(struct redis_tickets *r, const char *account, int64_t limit_until)
{
	for (struct redis_ticket *p = r->by_id; p; p = p->hh.next) {
		if (waits_in(p, account) && p->limit_until != limit_until) {
			ticket_hear_of_limit(p, limit_until);
			return;
		}
	}
}
