/*
 * tickets.c - places and turns in Redis, by id.
 *
 * The truth is in Redis, where the scripts (lua/) keep it. Whatever Redis says names an id, over
 * one of three ways, in any order; an id that is unknown here has been given back meanwhile, and
 * its give_back is on its way.
 *
 *      enter, give_back ──> cmd link ──answers──────┐
 *      other processes' give_back ──PUBLISH──> sub ─┼──> by_id ──> place ──post──> ticket
 *      keeper: renewals, touches ──uv_async─────────┘
 *
 *          ┌──────────┬─ granted, used at once ──┐
 *          │          │                          v
 *      ENTERING ──> WAITING ──> CONFIRMING ──> HELD ──> UNSURE (lost; removed; full, failed)
 *          │          │  ^──────────┘ lost
 *          └──────────┴──> NONE (full; failed before it joined)
 *
 * A turn that was handed over may be news of long ago: this process may have been stopped, or the
 * message late, and the lease over. No clock here can tell, so it is used only when Redis has
 * confirmed it, which also begins its whole lease. Where a delay is left, that costs no time.
 * The answer to a give_back of our own is no old news: the lease began after we had asked. While
 * that is not long ago, a turn without a delay is used at once, and the keeper confirms it soon.
 */
#include "queue/redis/tickets.h"

#include "base/clock.h"
#include "queue/redis/keepers.h"
#include "queue/redis/ticket.h"

enum {
	LAST_MIN_S = 60,   /* how long `last` is kept at least: the relay's own */
	CONFIRM_MS = 2000, /* the lease of a turn that was handed over; lua/prelude.lua has it */
	CONFIRM_SOON_MS = 50,
	FRESH_MS = 500, /* an answer that took longer is not relied on */
};

static void send_enter(struct redis_ticket *p);

static struct redis_tickets *tickets_of(const struct ticket_call *e)
{
	return container_of(e->calls, struct redis_tickets, calls);
}

/* --- grants ------------------------------------------------------------------------------ */

static void confirm(struct redis_ticket *p);

/*
 * `sent_ms`: when the call was sent that got the turn for its whole ttl. If that is longer ago than
 * the ttl, the answer is no news; nor is it if it was overtaken by a message that the turn is lost.
 */
static void grant(struct redis_ticket *p, int64_t elapsed_ms, int64_t sent_ms)
{
	const struct lock_terms *terms = &p->box.ticket->terms;
	int64_t delay_ms = elapsed_ms < 0 ? 0 : MAX(terms->delay_ms - elapsed_ms, 0);

	if (p->doubted || clock_ms() >= sent_ms + terms->ttl_ms)
		confirm(p);
	else
		ticket_hold(p, delay_ms, sent_ms, terms->ttl_ms, keeper_interval_ms(terms->ttl_ms));
}

static void confirmed(struct redis_call *call, const redisReply *reply)
{
	struct ticket_call *e = container_of(call, struct ticket_call, call);
	struct redis_tickets *r = tickets_of(e);
	struct redis_ticket *p = ticket_find_str(r, e->id);
	struct script_answer a = { 0 };
	bool answered = script_answer_read(reply, &a);

	r->calls.open--;
	if (reply && !answered)
		redis_node_refuses(e->call.node, reply->str);
	if (p && p->state == TURN_CONFIRMING) {
		p->state = TURN_WAITING;
		if (answered && span_eq(a.what, SPAN("renewed")))
			grant(p, a.elapsed_ms, e->sent_ms);
		else if (answered)
			send_enter(p); /* too late: to the end of the line */
	}
	if (answered)
		redis_tickets_answer(r, &a); /* who has it then may be ours, too */
	ticket_call_free(e); /* without an answer: the next touch hears of it again */
}

/* A renewal behind the give-back could restore the turn. */
static bool is_there(const struct redis_call *call)
{
	const struct ticket_call *e = container_of(call, struct ticket_call, call);

	return ticket_find_str(tickets_of(e), e->id);
}

static void confirm(struct redis_ticket *p)
{
	struct ticket_call *e =
		ticket_call_new(&p->tickets->calls, SCRIPT_RENEW, p->box.ticket, confirmed);

	e->call.wanted = is_there;
	redis_arg_int(&e->call.command, e->ttl_ms);
	p->state = TURN_CONFIRMING;
	keeper_wait(keeper_of(p->node), e->account, e->id);
	if (ticket_call_send(e) == 0) {
		p->doubted = false;
		return;
	}
	p->state = TURN_WAITING;
	ticket_call_free(e);
}

/* Redis says, or said some time ago, that it has the turn; maybe before the answer to its enter. */
static void handed_over(struct redis_ticket *p)
{
	if (p->state == TURN_ENTERING || p->state == TURN_WAITING)
		confirm(p);
}

/* What every answer may tell: a ticket of ours got the turn. */
void redis_tickets_answer(struct redis_tickets *r, const struct script_answer *a)
{
	struct redis_ticket *p =
		a->granted.len ? ticket_find(r, a->granted.ptr, a->granted.len) : NULL;

	r->dropped += a->dropped;
	if (p)
		handed_over(p);
}

/*
 * The answer to a give_back. It is relied on only where the keeper can confirm it soon: at the
 * place's own node, and not while its slot is on its way to another.
 */
static void handed_on(struct redis_tickets *r, const struct script_answer *a,
		      const struct ticket_call *e)
{
	struct redis_ticket *p =
		a->granted.len ? ticket_find(r, a->granted.ptr, a->granted.len) : NULL;
	bool fresh = p && !p->doubted && !e->again && clock_ms() < e->sent_ms + FRESH_MS;

	if (fresh && p->state == TURN_WAITING && !p->box.ticket->terms.delay_ms &&
	    e->call.node == p->node && !e->call.asking)
		ticket_hold(p, 0, e->sent_ms, CONFIRM_MS, CONFIRM_SOON_MS);
	redis_tickets_answer(r, a);
}

/* "<ticket> granted", "<ticket> removed", "<ticket> lost": from tell() in prelude.lua. */
void redis_tickets_message(struct redis_tickets *r, struct span payload)
{
	const char *blank = payload.len ? memchr(payload.ptr, ' ', payload.len) : NULL;
	struct redis_ticket *p =
		blank ? ticket_find(r, payload.ptr, (size_t)(blank - payload.ptr)) : NULL;

	if (!p)
		return;
	if (!strcmp(blank, " removed")) /* hiredis terminates strings */
		ticket_remove(p);
	else if (!strcmp(blank, " lost"))
		ticket_lose(p);
	else
		handed_over(p);
}

/* --- giving back ------------------------------------------------------------------------- */

static void given_back(struct redis_call *call, const redisReply *reply)
{
	struct ticket_call *e = container_of(call, struct ticket_call, call);
	struct redis_tickets *r = tickets_of(e);
	struct script_answer a;

	r->calls.open--;
	if (script_answer_read(reply, &a)) {
		handed_on(r, &a, e);
		r->lost += e->completed && !a.number && !e->again;
		if (a.number)
			histogram_add(&r->hand_offs, clock_us() - e->sent_us);
		ticket_call_free(e);
		return;
	}
	if (reply)
		redis_node_refuses(e->call.node, reply->str);
	else
		e->again = true;
	ticket_call_retry_later(e);
}

static void send_give_back(struct redis_ticket *p, bool completed)
{
	struct redis_tickets *r = p->tickets;
	struct ticket_call *e =
		ticket_call_new(&r->calls, SCRIPT_GIVE_BACK, p->box.ticket, given_back);

	e->completed = completed;
	redis_arg_int(&e->call.command, completed);
	redis_arg_int(&e->call.command, MAX(LAST_MIN_S, 2 * e->delay_ms / 1000));
	redis_arg_int(&e->call.command, p->starts_ms - p->entered_ms);
	redis_arg_int(&e->call.command, MAX(clock_ms() - p->starts_ms, 0));
	if (ticket_call_send(e) < 0)
		ticket_call_retry_later(e);
}

/* See KEEPER_STRAY. If it was only late, this does nothing. */
static void give_back_stray(struct redis_tickets *r, const struct keeper_news *news)
{
	struct lock_ticket stray = { .terms.ttl_ms = REDIS_LEASE_MS };
	struct ticket_call *e;

	memcpy(stray.account, news->account, sizeof stray.account);
	memcpy(stray.id, news->id, sizeof stray.id);
	e = ticket_call_new(&r->calls, SCRIPT_GIVE_BACK, &stray, given_back);
	for (int i = 0; i < 4; i++) /* not completed, so that nothing is remembered of it */
		redis_arg_int(&e->call.command, 0);
	if (ticket_call_send(e) < 0)
		ticket_call_retry_later(e);
}

void redis_tickets_give_back(struct lock_ticket *t, enum lock_end end)
{
	struct redis_ticket *p = t->entry;

	if (!p)
		return;
	if (p->state != TURN_NONE) {
		ticket_unkeep(p);
		send_give_back(p, end == LOCK_USED && p->state == TURN_HELD);
	}
	ticket_free(p);
}

int64_t redis_tickets_position(const struct lock_ticket *t)
{
	const struct redis_ticket *p = t->entry;

	return p && (p->state == TURN_WAITING || p->state == TURN_CONFIRMING) ? p->position : 0;
}

bool redis_tickets_holds(struct lock_ticket *t)
{
	struct redis_ticket *p = t->entry;

	if (p && p->state == TURN_HELD && !keeper_lease_lasts(keeper_of(p->node), t->id))
		ticket_lose(p);
	return p && p->state == TURN_HELD;
}

/*
 * A renewal that is under way may restore what has just been given back: that is waited for, and
 * undone.
 */
void redis_tickets_settle(struct redis_tickets *r, struct job *when_settled)
{
	post_close(&r->post);
	while (r->by_id)
		redis_tickets_give_back(r->by_id->box.ticket, LOCK_UNUSED);
	for (size_t i = 0; i < r->nodes->count; i++) {
		keeper_rest(keeper_of(r->nodes->node[i]));
		r->calls.open++;
	}
	ticket_calls_settle(&r->calls, when_settled);
}

/* --- entering ---------------------------------------------------------------------------- */

static void take_place(struct redis_ticket *p, const struct script_answer *a, int64_t sent_ms)
{
	if (span_eq(a->what, SPAN("granted"))) {
		if (p->state == TURN_ENTERING || p->state == TURN_WAITING)
			grant(p, a->elapsed_ms, sent_ms);
	} else if (span_eq(a->what, SPAN("waiting")) && p->state == TURN_ENTERING) {
		p->state = TURN_WAITING;
		keeper_wait(keeper_of(p->node), p->box.ticket->account, p->box.ticket->id);
		p->position = a->number;
		ticket_tell(p, (struct lock_news){ LOCK_WAITING, .position = a->number });
	} else if (span_eq(a->what, SPAN("removed"))) {
		ticket_remove(p);
	} else if (span_eq(a->what, SPAN("full"))) {
		ticket_turn_away(p);
	}
}

static void entered(struct redis_call *call, const redisReply *reply)
{
	struct ticket_call *e = container_of(call, struct ticket_call, call);
	struct redis_tickets *r = tickets_of(e);
	struct redis_ticket *p = ticket_find_str(r, e->id);
	struct script_answer a;

	r->calls.open--;
	if (script_answer_read(reply, &a)) {
		redis_node_accepts(e->call.node);
		if (p)
			take_place(p, &a, e->sent_ms);
		redis_tickets_answer(r, &a);
	} else if (reply) {
		redis_node_refuses(e->call.node, reply->str);
		if (p && p->state == TURN_ENTERING)
			ticket_fail(p, TURN_NONE);
	} else if (p && p->state == TURN_ENTERING) {
		ticket_fail(p, TURN_NONE);
		send_give_back(p, false); /* it may have been heard */
	}
	ticket_call_free(e);
}

static void send_enter(struct redis_ticket *p)
{
	struct ticket_call *e =
		ticket_call_new(&p->tickets->calls, SCRIPT_ENTER, p->box.ticket, entered);

	e->call.wanted = is_there;
	redis_arg_int(&e->call.command, e->ttl_ms);
	redis_arg_int(&e->call.command, p->box.ticket->terms.max_waiting);
	redis_arg_str(&e->call.command, p->box.ticket->client);
	redis_arg_int(&e->call.command, p->box.ticket->terms.delay_ms);
	if (ticket_call_send(e) == 0)
		return;
	ticket_call_free(e);
	if (p->state == TURN_ENTERING && !p->node->patient)
		ticket_fail(p, TURN_NONE);
}

void redis_tickets_enter(struct redis_tickets *r, struct lock_ticket *t)
{
	struct redis_ticket *p;

	must(!t->entry);
	lock_ticket_name(t, r->names.owner);
	t->entry = p = xcalloc(1, sizeof *p);
	p->box.ticket = t;
	p->tickets = r;
	p->entered_ms = clock_ms();
	p->node = redis_nodes_at(r->nodes, redis_account_slot(&r->names, t->account));
	HASH_ADD_KEYPTR(hh, r->by_id, t->id, strlen(t->id), p);
	if (redis_node_is_up(p->node))
		redis_presence_show(&r->presence, t->account);
	send_enter(p);
}

/* --- a slot between two nodes -------------------------------------------------------------- */

/*
 * An account's keys are on their way to another node, so that the scripts on all of them are done
 * nowhere. But a script on one key is done where that key is. So the leases are renewed by
 * themselves, each key for itself, and all else waits until the slot has arrived. This follows ASK,
 * which the keeper doesn't.
 */
static void extended(struct redis_call *call, const redisReply *reply)
{
	struct ticket_call *e = container_of(call, struct ticket_call, call);
	struct redis_tickets *r = tickets_of(e);
	struct redis_ticket *p = ticket_find_str(r, e->id);
	struct script_answer a;

	r->calls.open--;
	if (!p || !script_answer_read(reply, &a) || span_eq(a.what, SPAN("gone"))) {
		/* The keeper asks on, until the lease is over. */
	} else if (span_eq(a.what, SPAN("lost"))) {
		ticket_lose(p);
	} else if (p->state == TURN_HELD) {
		keeper_renewed(keeper_of(p->node), e->id, e->sent_ms);
	} else if (p->state == TURN_CONFIRMING) {
		/* After the whole delay, as the last completion is in another key. */
		p->state = TURN_WAITING;
		grant(p, 0, e->sent_ms);
	}
	ticket_call_free(e);
}

static void extend(struct redis_ticket *p)
{
	struct ticket_calls *calls = &p->tickets->calls;
	const struct lock_ticket *t = p->box.ticket;
	struct ticket_call *e;

	if (ticket_call_is_open(calls, SCRIPT_EXTEND, t->account, t->id))
		return;
	e = ticket_call_on_key(calls, SCRIPT_EXTEND, "lock", t, extended);
	e->call.wanted = is_there;
	redis_arg_str(&e->call.command, e->id);
	redis_arg_int(&e->call.command, e->ttl_ms);
	if (ticket_call_send(e) < 0)
		ticket_call_free(e);
}

/*
 * Those who wait fail if no node has their places for as long as they would wait for one that is
 * down.
 */
static void stayed(struct redis_call *call, const redisReply *reply)
{
	struct ticket_call *e = container_of(call, struct ticket_call, call);
	struct redis_tickets *r = tickets_of(e);
	struct script_answer a;
	bool over = !script_answer_read(reply, &a) && (reply || clock_ms() >= call->until_ms);

	r->calls.open--;
	if (reply && over)
		redis_node_refuses(call->node, reply->str);
	for (struct redis_ticket *p = r->by_id; p && over; p = p->hh.next) {
		if (p->state == TURN_WAITING && !strcmp(p->box.ticket->account, e->account))
			ticket_fail(p, TURN_UNSURE);
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

static void adrift(struct redis_tickets *r, const struct keeper_news *news)
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

/* --- what else happens ------------------------------------------------------------------- */

/*
 * Its lease can't be renewed, so that it would lose its place; unless the link finds a better
 * server.
 */
static void refused(struct redis_ticket *p, const char *error)
{
	if (redis_redirect_of(error) == REDIRECT_MOVED && p->tickets->names.cluster) {
		redis_nodes_redirect(p->tickets->nodes, p->node, error);
		return;
	}
	redis_node_refuses(p->node, error);
	if (p->state == TURN_WAITING && !redis_error_is_unusable(error))
		ticket_fail(p, TURN_UNSURE);
}

void redis_tickets_keeper_news(struct redis_tickets *r, const struct keeper_news *news)
{
	struct redis_ticket *p = ticket_find_str(r, news->id);

	if (!p && news->kind == KEEPER_STRAY)
		give_back_stray(r, news);
	else if (news->kind == KEEPER_RESTS)
		ticket_calls_count_off(&r->calls);
	else if (news->kind == KEEPER_ADRIFT)
		adrift(r, news);
	else if (news->kind == KEEPER_DROPPED)
		r->dropped += news->count;
	else if (p && news->kind == KEEPER_LOST)
		ticket_lose(p);
	else if (p && news->kind == KEEPER_HAS)
		handed_over(p);
	else if (p && news->kind == KEEPER_REFUSED)
		refused(p, news->refusal);
	else if (p && news->kind == KEEPER_UNKNOWN && p->state == TURN_WAITING)
		send_enter(p);
}

/*
 * Scripts and data may be gone as well, if the server was started anew. Enters that had been sent
 * failed with the old link; those that are still to be sent go in the order in which they came.
 */
void redis_tickets_link_up(struct redis_tickets *r, struct redis_node *node)
{
	redis_presence_reset(&r->presence);
	ticket_calls_retry(&r->calls);
	for (struct redis_ticket *p = r->by_id; p; p = p->hh.next) {
		if (p->node != node || p->state != TURN_ENTERING)
			continue;
		redis_presence_show(&r->presence, p->box.ticket->account);
		send_enter(p);
	}
	keeper_refresh(keeper_of(node));
}

void redis_tickets_lose_patience(struct redis_tickets *r, struct redis_node *node)
{
	for (struct redis_ticket *p = r->by_id; p; p = p->hh.next) {
		if (p->node != node)
			continue;
		if (p->state == TURN_WAITING || p->state == TURN_CONFIRMING)
			ticket_fail(p, TURN_UNSURE);
		else if (p->state == TURN_ENTERING)
			ticket_fail(p, TURN_NONE);
	}
}

/* What had been asked for where it was is followed by call.c, or has failed there. */
static void move(struct redis_ticket *p, struct redis_node *to)
{
	const struct lock_ticket *t = p->box.ticket;
	struct redis_node *from = p->node;
	struct keeper_turn turn;

	p->node = to;
	if (keeper_take(keeper_of(from), t->id, &turn)) {
		keeper_hold(keeper_of(to), t->account, t->id, &turn);
	} else if (p->state == TURN_WAITING || p->state == TURN_CONFIRMING) {
		keeper_drop(keeper_of(from), t->id);
		keeper_wait(keeper_of(to), t->account, t->id);
	} else if (p->state == TURN_ENTERING && !redis_node_is_up(from)) {
		if (redis_node_is_up(to))
			redis_presence_show(&p->tickets->presence, t->account);
		send_enter(p);
	}
}

void redis_tickets_moved(struct redis_tickets *r)
{
	bool some = false;

	for (struct redis_ticket *p = r->by_id; p; p = p->hh.next) {
		const char *account = p->box.ticket->account;
		struct redis_node *to =
			redis_nodes_at(r->nodes, redis_account_slot(&r->names, account));

		if (to == p->node)
			continue;
		move(p, to);
		some = true;
	}
	for (size_t i = 0; some && i < r->nodes->count; i++)
		keeper_refresh(keeper_of(r->nodes->node[i]));
	ticket_calls_retry(&r->calls);
}

void redis_tickets_open(struct redis_tickets *r, struct loop *loop, struct redis_nodes *nodes,
			struct redis_names names)
{
	r->names = names;
	r->nodes = nodes;
	r->hand_offs.scale = &histogram_quick;
	post_open(&r->post, loop);
	ticket_calls_open(&r->calls, loop, nodes, &r->names);
	redis_presence_open(&r->presence, &r->calls.caller, &r->names);
}

void redis_tickets_close(struct redis_tickets *r)
{
	r->calls.when_settled = NULL;
	post_close(&r->post);
	while (r->by_id)
		ticket_free(r->by_id);
	ticket_calls_close(&r->calls);
	redis_presence_reset(&r->presence);
	free(steal(&r->names.prefix));
	free(steal(&r->names.owner));
}
