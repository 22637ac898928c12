/*
 * tickets_limit.c - holds by the upstream's limits: what is said of one, and what is heard.
 *
 *      lock_hold ──> hold.lua ──"held"──> a process with waiters ─┐
 *      touch.lua: windows that are spent ──> keeper ──────────────┴──> enter.lua again ──> LOCK_HELD
 *
 * Both are hints: what the upstream said is in the answer to an enter, as it is for those who join
 * later. One who waits asks; what is heard is for all of the account, each as it concerns it.
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
	redis_arg_int(&e->call.command, limit->families);
	say(e);
}

void redis_tickets_unlimit(struct redis_tickets *r, const char *account, unsigned families)
{
	struct ticket_call *e = ticket_call_of_account(&r->calls, SCRIPT_RELEASE, account, said);

	redis_arg_int(&e->call.command, families);
	say(e);
}

/* --- what is heard ----------------------------------------------------------------------------- */

static bool waits_in(const struct redis_ticket *p, const char *account)
{
	return p->state == TURN_WAITING && !strcmp(p->box.ticket->account, account);
}

/* One of enter.lua's answer. */
struct window {
	int64_t family, until, left_ms; /* family: its bit; 0: it is of all requests */
	struct span refusal;
};

enum { WINDOWS = 3, FIRST_WINDOW, WINDOW_WORDS = 4 }; /* behind the common part */

static bool read_window(const struct script_answer *a, size_t i, struct window *ret)
{
	size_t at = FIRST_WINDOW + WINDOW_WORDS * i;

	*ret = (struct window){ script_number(a, at), script_number(a, at + 1),
				script_number(a, at + 2), script_text(a, at + 3) };
	return at + WINDOW_WORDS <= a->more_count;
}

/* The one that ends last of those that concern it; its `until` is 0 if there is none. */
static struct window longest(const struct redis_ticket *p, const struct script_answer *a)
{
	struct window found = { 0 }, w;

	for (size_t i = 0; read_window(a, i, &w); i++) {
		if ((!w.family || w.family & p->box.ticket->standing.families) && w.left_ms > 0 &&
		    w.until > found.until)
			found = w;
	}
	return found;
}

static void hear(struct redis_ticket *p, const struct script_answer *a)
{
	struct window w = longest(p, a);

	p->windows = script_number(a, WINDOWS);
	if (!w.until || p->limit_until == w.until)
		return;
	p->limit_until = w.until;
	free(p->refusal);
	p->refusal = xstrndup(w.refusal.ptr, w.refusal.len);
	ticket_tell(p,
		    (struct lock_news){ LOCK_HELD, .held_ms = w.left_ms, .refusal = p->refusal });
}

void ticket_limited(struct redis_ticket *p, const struct script_answer *a)
{
	const char *account = p->box.ticket->account;
	bool asked = p->asks_of_limit;

	p->asks_of_limit = false;
	hear(p, a);
	for (struct redis_ticket *q = p->tickets->by_id; q && asked; q = q->hh.next) {
		if (waits_in(q, account))
			hear(q, a);
	}
}

void ticket_hear_of_limit(struct redis_ticket *p, int64_t windows)
{
	const struct lock_ticket *t = p->box.ticket;

	if (p->state != TURN_WAITING || (windows && p->windows == windows) ||
	    ticket_call_is_open(&p->tickets->calls, SCRIPT_ENTER, t->account, t->id))
		return;
	p->asks_of_limit = true;
	ticket_send_enter(p);
}

void tickets_hear_of_limit(struct redis_tickets *r, const char *account, int64_t windows)
{
	for (struct redis_ticket *p = r->by_id; p; p = p->hh.next) {
		if (waits_in(p, account) && p->windows != windows) {
			ticket_hear_of_limit(p, windows);
			return;
		}
	}
}
