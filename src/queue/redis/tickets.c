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
	CONFIRM_SOON_MS = 50,
	FRESH_MS = 500, /* an answer that took longer is not relied on */
};

struct redis_tickets *tickets_of(const struct ticket_call *e)
{
	return container_of(e->calls, struct redis_tickets, calls);
}

/* --- grants ------------------------------------------------------------------------------ */

static void confirm(struct redis_ticket *p);

/*
 * If the call was sent longer ago than the ttl, the answer is no news; nor is it if it was overtaken
 * by a message that the turn is lost.
 */
void ticket_grant(struct redis_ticket *p, int64_t start_in_ms, int64_t sent_ms)
{
	int64_t ttl_ms = p->box.ticket->terms.ttl_ms;

	if (p->doubted || clock_ms() >= sent_ms + ttl_ms)
		confirm(p);
	else
		ticket_hold(p, start_in_ms, sent_ms, ttl_ms, keeper_interval_ms(ttl_ms));
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
		p->probe = script_number(&a, 1);
		if (answered && span_eq(a.what, SPAN("renewed")))
			ticket_grant(p, a.number, e->sent_ms);
		else if (answered)
			ticket_send_enter(p); /* too late */
	}
	if (answered)
		redis_tickets_answer(r, &a); /* who has it then may be ours, too */
	ticket_call_free(e); /* without an answer: the next touch hears of it again */
}

/* A renewal behind the give-back could restore the turn. */
bool ticket_is_there(const struct redis_call *call)
{
	const struct ticket_call *e = container_of(call, struct ticket_call, call);

	return ticket_find_str(tickets_of(e), e->id);
}

static void confirm(struct redis_ticket *p)
{
	struct ticket_call *e =
		ticket_call_new(&p->tickets->calls, SCRIPT_RENEW, p->box.ticket, confirmed);

	e->call.wanted = ticket_is_there;
	redis_arg_int(&e->call.command, e->ttl_ms);
	redis_arg_int(&e->call.command, 0); /* not in use */
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

/* What every answer may tell: tickets of ours have got a turn. */
void redis_tickets_answer(struct redis_tickets *r, const struct script_answer *a)
{
	r->dropped += a->dropped;
	for (size_t i = 0; i < a->granted_count; i++) {
		struct span id = script_granted(a, i).id;
		struct redis_ticket *p = ticket_find(r, id.ptr, id.len);

		if (p)
			handed_over(p);
	}
}

/*
 * The answer to a give_back is relied on only where the keeper can confirm it soon: at the ticket's
 * own node, and not while its slot is on its way to another.
 */
static void hand_on(struct redis_ticket *p, const struct script_turn *turn,
		    const struct ticket_call *e)
{
	bool fresh = !p->doubted && !e->again && clock_ms() < e->sent_ms + FRESH_MS;

	if (!fresh || p->state != TURN_WAITING || turn->start_in_ms || e->call.node != p->node ||
	    e->call.asking)
		return;
	p->probe = turn->probe;
	ticket_hold(p, 0, e->sent_ms, REDIS_CONFIRM_MS, CONFIRM_SOON_MS);
}

void tickets_hand_on(struct redis_tickets *r, const struct script_answer *a,
		     const struct ticket_call *e)
{
	for (size_t i = 0; i < a->granted_count; i++) {
		struct script_turn turn = script_granted(a, i);
		struct redis_ticket *p = ticket_find(r, turn.id.ptr, turn.id.len);

		if (p)
			hand_on(p, &turn, e);
	}
	redis_tickets_answer(r, a);
}

/*
 * "<ticket> granted", "… removed", "… lost [why]", "… broken why", "… held": from tell() in prelude.lua.
 */
void redis_tickets_message(struct redis_tickets *r, struct span payload)
{
	struct span rest = payload, id, what, why = SPAN("");
	struct redis_ticket *p;

	if (!payload.len || !span_next(&rest, ' ', &id) || !span_next(&rest, ' ', &what) ||
	    !(p = ticket_find(r, id.ptr, id.len)))
		return;
	span_next(&rest, ' ', &why);
	if (span_eq(what, SPAN("removed")))
		ticket_remove(p);
	else if (span_eq(what, SPAN("lost")))
		ticket_lose(p, why.len ? loss_of(why) : LOSS_ENDED);
	else if (span_eq(what, SPAN("broken")))
		ticket_doubt(p, loss_of(why));
	else if (span_eq(what, SPAN("held")))
		ticket_hear_of_limit(p, 0);
	else
		handed_over(p);
}

/* --- entering ---------------------------------------------------------------------------- */

/* The rank is for whoever joins again, and the first word of the place. */
static void joined(struct redis_ticket *p, const struct script_answer *a)
{
	struct span place = script_text(a, 0);

	if (place.len && place.len < sizeof p->place)
		snprintf(p->place, sizeof p->place, "%.*s", SPAN_ARG(place));
	p->position = a->number;
	if (p->state == TURN_ENTERING) {
		p->state = TURN_WAITING;
		keeper_wait(keeper_of(p->node), p->box.ticket->account, p->box.ticket->id);
		ticket_tell(p, (struct lock_news){ LOCK_WAITING, .position = a->number,
						   .rank = strtod(p->place, NULL) });
	}
	if (p->state == TURN_WAITING)
		ticket_limited(p, a);
}

static void take_place(struct redis_ticket *p, const struct script_answer *a, int64_t sent_ms)
{
	if (span_eq(a->what, SPAN("granted"))) {
		if (p->state != TURN_ENTERING && p->state != TURN_WAITING)
			return;
		p->probe = script_number(a, 2);
		ticket_grant(p, a->number, sent_ms);
	} else if (span_eq(a->what, SPAN("waiting"))) {
		joined(p, a);
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
		if (a.more_count > 1 && a.more[1]->integer)
			tickets_came_back(r);
		if (p)
			take_place(p, &a, e->sent_ms);
		redis_tickets_answer(r, &a);
	} else if (reply) {
		redis_node_refuses(e->call.node, reply->str);
		if (p && p->state == TURN_ENTERING)
			ticket_fail(p, TURN_NONE);
	} else if (p && p->state == TURN_ENTERING) {
		ticket_fail(p, TURN_NONE);
		tickets_end(p, LOCK_KEEP); /* it may have been heard */
	}
	ticket_call_free(e);
}

static void put_word(struct redis_command *c, const char *word)
{
	redis_arg_str(c, *word ? word : "-");
}

static void put_double(struct redis_command *c, double number)
{
	char text[32];

	snprintf(text, sizeof text, "%.17g", number);
	redis_arg_str(c, text);
}

/* How it stands in line, see enter.lua. */
static void put_standing(struct redis_command *c, const struct redis_ticket *p)
{
	const struct lock_ticket *t = p->box.ticket;
	struct order_guest guest;
	CLEANUP(freep) char *as = NULL;

	lock_guest(t, &guest);
	as = xasprintf("%s%s", guest.share, guest.yields ? "~" : "");
	put_word(c, t->client);
	redis_arg_int(c, t->terms.delay_ms);
	put_word(c, t->standing.share);
	put_word(c, t->standing.mark);
	put_word(c, t->standing.session);
	redis_arg_str(c, as);
	put_double(c, MAX(ORDER_WEIGHT_MIN, MIN(ORDER_WEIGHT_MAX, guest.weight)));
	redis_arg_int(c, guest.yields);
	put_word(c, *p->place ? "" : t->standing.keep_key);
	put_word(c, p->place);
	redis_arg_int(c, t->standing.families);
}

void ticket_send_enter(struct redis_ticket *p)
{
	const struct lock_terms *terms = &p->box.ticket->terms;
	struct ticket_call *e =
		ticket_call_new(&p->tickets->calls, SCRIPT_ENTER, p->box.ticket, entered);

	e->call.wanted = ticket_is_there;
	redis_arg_int(&e->call.command, e->ttl_ms);
	redis_arg_int(&e->call.command, terms->max_waiting);
	redis_arg_int(&e->call.command, terms->max_waiting_per_share);
	redis_arg_int(&e->call.command, terms->turns);
	redis_arg_int(&e->call.command, terms->interval_ms);
	put_standing(&e->call.command, p);
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
	ticket_send_enter(p);
}

/* --- what else happens ------------------------------------------------------------------- */

/* Its lease can't be renewed; unless the link finds a better server. */
static void refused(struct redis_ticket *p, const char *error)
{
	if (redis_redirect_of(error) == REDIRECT_MOVED && p->tickets->names.cluster) {
		redis_nodes_redirect(p->tickets->nodes, p->node, error);
		return;
	}
	redis_node_refuses(p->node, error);
	if (!redis_error_is_unusable(error))
		ticket_unkept(p, clock_ms());
}

void redis_tickets_keeper_news(struct redis_tickets *r, const struct keeper_news *news)
{
	struct redis_ticket *p = ticket_find_str(r, news->id);

	if (!p && news->kind == KEEPER_STRAY)
		tickets_give_back_stray(r, news->account, news->id);
	else if (news->kind == KEEPER_RESTS)
		ticket_calls_count_off(&r->calls);
	else if (news->kind == KEEPER_ADRIFT)
		tickets_adrift(r, news);
	else if (news->kind == KEEPER_DROPPED)
		r->dropped += news->count;
	else if (p && news->kind == KEEPER_LOST)
		ticket_lose(p, loss_of(span_of(news->cause)));
	else if (p && news->kind == KEEPER_BROKEN)
		ticket_doubt(p, loss_of(span_of(news->cause)));
	else if (news->kind == KEEPER_LIMITED)
		tickets_hear_of_limit(r, news->account, news->count);
	else if (p && news->kind == KEEPER_HAS)
		handed_over(p);
	else if (p && news->kind == KEEPER_REFUSED)
		refused(p, news->refusal);
	else if (p && news->kind == KEEPER_UNKNOWN && p->state == TURN_WAITING)
		ticket_send_enter(p);
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
		ticket_send_enter(p);
	}
	keeper_refresh(keeper_of(node));
	tickets_reconcile(r, node);
}

void redis_tickets_lose_patience(struct redis_tickets *r, struct redis_node *node)
{
	for (struct redis_ticket *p = r->by_id; p; p = p->hh.next) {
		if (p->node == node && p->state == TURN_ENTERING)
			ticket_fail(p, TURN_NONE);
	}
}

void redis_tickets_give_up(struct redis_tickets *r, struct redis_node *node)
{
	for (struct redis_ticket *p = r->by_id; p; p = p->hh.next) {
		if (p->node == node && (p->state == TURN_WAITING || p->state == TURN_CONFIRMING))
			ticket_fail(p, TURN_UNSURE);
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
		ticket_send_enter(p);
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
	list_init(&r->used);
	list_init(&r->kept);
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
	tickets_forget_used(r);
	redis_presence_reset(&r->presence);
	free(steal(&r->names.prefix));
	free(steal(&r->names.owner));
}
