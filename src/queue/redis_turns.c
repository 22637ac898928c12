/*
 * redis_turns.c - places and turns in Redis, by id.
 *
 * The truth is in Redis, where the scripts (lua/) keep it. Whatever Redis says names an id, over
 * one of three ways, in any order; an id that is unknown here has been given back meanwhile, and
 * its give_back is on its way.
 *
 *      enter, give_back ──> cmd link ──answers──────┐
 *      other processes' give_back ──PUBLISH──> sub ─┼──> by_id ──> place ──post──> ticket
 *      keeper: renewals, touches ──uv_async─────────┘
 *
 *      ENTERING ──> WAITING ──> CONFIRMING ──> HELD ──> UNSURE (lost; failed while waiting)
 *          │          │  ^──────────┘ lost      │
 *          └──────────┴─────────────────────────┴──> NONE (full; failed before it joined)
 *
 * A turn that was handed over may be news of long ago: this process may have been stopped, or the
 * message late, and the lease over. No clock here can tell, so it is used only when Redis has
 * confirmed it, which also begins its whole lease. Where a delay is left, that costs no time.
 */
#include "queue/redis_turns.h"

#include "base/clock.h"
#include "base/log.h"

#define uthash_fatal(msg) must_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

enum {
	LAST_MIN_S = 60, /* how long `last` is kept at least: the relay's own */
	PAY_EVERY_MS = 1000,
};

enum turn_state {
	TURN_ENTERING, /* no answer yet */
	TURN_WAITING,
	TURN_CONFIRMING, /* handed over to us; the keeper still takes it for a waiter */
	TURN_HELD,
	TURN_UNSURE, /* told that it is over; Redis may still have it */
	TURN_NONE,   /* Redis doesn't have it */
};

/* What `ticket->entry` points to. */
struct place {
	struct postbox box;
	struct redis_turns *turns;
	enum turn_state state;
	int64_t entered_ms, starts_ms; /* starts_ms: of the turn, the delay included */
	int64_t hold_until_ms;
	UT_hash_handle hh; /* by box.ticket->id */
};

/* A call about a ticket, which it may outlive. As a debt it is on redis.debts. */
struct errand {
	struct redis_call call;
	struct redis_turns *turns;
	char account[LOCK_ACCOUNT_MAX], id[LOCK_TICKET_MAX];
	int64_t sent_ms, sent_us, ttl_ms, delay_ms;
	int64_t until_ms; /* a debt is forgotten then */
	bool completed;
	bool again; /* sent before, and maybe done then */
};

static void send_enter(struct place *p);

/* --- places ------------------------------------------------------------------------------ */

static struct place *find(struct redis_turns *r, const char *id, size_t len)
{
	struct place *p;

	HASH_FIND(hh, r->by_id, id, len, p);
	return p;
}

static struct place *find_str(struct redis_turns *r, const char *id)
{
	return find(r, id, strlen(id));
}

static void place_free(struct place *p)
{
	HASH_DEL(p->turns->by_id, p);
	p->box.ticket->entry = NULL;
	post_cancel(&p->box);
	free(p);
}

static void tell(struct place *p, struct lock_news news)
{
	post_send(&p->turns->post, &p->box, news);
}

static void fail(struct place *p, enum turn_state state)
{
	keeper_drop(p->turns->keeper, p->box.ticket->id);
	p->state = state;
	tell(p, (struct lock_news){ LOCK_FAILED });
}

static void lose(struct place *p)
{
	if (p->state != TURN_HELD)
		return;
	keeper_drop(p->turns->keeper, p->box.ticket->id);
	p->state = TURN_UNSURE;
	p->turns->lost++;
	tell(p, (struct lock_news){ LOCK_LOST });
}

/* By an operator. */
static void remove_place(struct place *p)
{
	if (p->state != TURN_ENTERING && p->state != TURN_WAITING)
		return;
	keeper_drop(p->turns->keeper, p->box.ticket->id);
	p->state = TURN_NONE;
	tell(p, (struct lock_news){ LOCK_REMOVED });
}

/* The lease of a turn that was renewed for its whole ttl by a call sent at `sent_ms`. */
static void keep(struct place *p, int64_t sent_ms)
{
	const struct lock_ticket *t = p->box.ticket;
	struct keeper_turn turn = {
		.ttl_ms = t->terms.ttl_ms,
		.lease_until_ms = sent_ms + t->terms.ttl_ms,
		.renew_at_ms = sent_ms + keeper_interval_ms(t->terms.ttl_ms),
		.hold_until_ms = p->hold_until_ms,
	};

	keeper_hold(p->turns->keeper, t->account, t->id, &turn);
}

/* --- errands ----------------------------------------------------------------------------- */

static struct errand *new_errand(struct redis_turns *r, enum redis_script script,
				 const struct lock_ticket *t,
				 void (*done)(struct redis_call *, const redisReply *))
{
	struct errand *e = xcalloc(1, sizeof *e);

	e->call.script = script;
	e->call.done = done;
	e->turns = r;
	memcpy(e->account, t->account, sizeof e->account);
	memcpy(e->id, t->id, sizeof e->id);
	e->sent_ms = clock_ms();
	e->ttl_ms = t->terms.ttl_ms;
	e->delay_ms = t->terms.delay_ms;
	e->until_ms = e->sent_ms + MAX(e->ttl_ms, REDIS_LEASE_MS);
	redis_script_account(&e->call.command, &r->names, e->account);
	redis_arg_str(&e->call.command, e->id);
	return e;
}

/* Sends it; without a link it stays the caller's. */
static int send_errand(struct errand *e)
{
	int r = redis_call_send(&e->turns->cmd, &e->call);

	e->sent_us = clock_us();
	if (r == 0)
		e->turns->open++;
	return r;
}

static void check_settled(struct redis_turns *r)
{
	if (r->when_settled && !r->open && list_empty(&r->debts))
		loop_defer(r->post.loop, r->when_settled);
}

static void errand_free(struct errand *e)
{
	struct redis_turns *r = e->turns;

	redis_call_free(&e->call);
	check_settled(r);
}

/* Says once what it is that Redis answers instead of what was asked for. */
static void complain(struct redis_turns *r, const char *error)
{
	struct span word = { error, strcspn(error, " ") };

	word.len = MIN(word.len, sizeof r->error - 1);
	if (span_eq(word, span_of(r->error)))
		return;
	snprintf(r->error, sizeof r->error, "%.*s", SPAN_ARG(word));
	log_warn("redis refuses", LOG_STR("cause", error));
}

/* Errors that say the server is no use end the link, which logs. */
static void take_error(struct redis_turns *r, const redisReply *reply)
{
	if (redis_is_unusable(reply))
		redis_link_reset(r->cmd.link, reply->str);
	else
		complain(r, reply->str);
}

static void take_success(struct redis_turns *r)
{
	if (*r->error)
		log_info("redis accepts again");
	*r->error = '\0';
}

/* --- grants ------------------------------------------------------------------------------ */

static void confirm(struct place *p);

/*
 * `sent_ms`: when the call was sent that got the turn for its whole ttl. If that is longer ago than
 * the ttl, the answer is no news.
 */
static void grant(struct place *p, int64_t elapsed_ms, int64_t sent_ms)
{
	const struct lock_terms *terms = &p->box.ticket->terms;
	int64_t delay_ms = elapsed_ms < 0 ? 0 : MAX(terms->delay_ms - elapsed_ms, 0);
	int64_t now = clock_ms();

	if (now >= sent_ms + terms->ttl_ms) {
		confirm(p);
		return;
	}
	p->state = TURN_HELD;
	p->starts_ms = now + delay_ms;
	p->hold_until_ms = p->starts_ms + terms->max_hold_ms;
	keep(p, sent_ms);
	tell(p, (struct lock_news){ LOCK_GRANTED, .delay_ms = delay_ms });
}

static void confirmed(struct redis_call *call, const redisReply *reply)
{
	struct errand *e = container_of(call, struct errand, call);
	struct redis_turns *r = e->turns;
	struct place *p = find_str(r, e->id);
	struct redis_answer a = { 0 };
	bool answered = redis_answer_read(reply, &a);

	r->open--;
	if (reply && !answered)
		take_error(r, reply);
	if (p && p->state == TURN_CONFIRMING) {
		p->state = TURN_WAITING;
		if (answered && span_eq(a.what, SPAN("renewed")))
			grant(p, a.elapsed_ms, e->sent_ms);
		else if (answered)
			send_enter(p); /* too late: to the end of the line */
	}
	errand_free(e); /* without an answer: the next touch hears of it again */
}

static void confirm(struct place *p)
{
	struct errand *e = new_errand(p->turns, SCRIPT_RENEW, p->box.ticket, confirmed);

	redis_arg_int(&e->call.command, e->ttl_ms);
	p->state = TURN_CONFIRMING;
	keeper_wait(p->turns->keeper, e->account, e->id);
	if (send_errand(e) == 0)
		return;
	p->state = TURN_WAITING;
	errand_free(e);
}

/* Redis says, or said some time ago, that it has the turn; maybe before the answer to its enter. */
static void handed_over(struct place *p)
{
	if (p->state == TURN_ENTERING || p->state == TURN_WAITING)
		confirm(p);
}

/* What every answer may tell: a ticket of ours got the turn. */
void redis_turns_answer(struct redis_turns *r, const struct redis_answer *a)
{
	struct place *p = a->granted.len ? find(r, a->granted.ptr, a->granted.len) : NULL;

	r->dropped += a->dropped;
	if (p)
		handed_over(p);
}

/* "<ticket> granted", "<ticket> removed", "<ticket> lost": from tell() in prelude.lua. */
void redis_turns_message(struct redis_turns *r, struct span payload)
{
	const char *blank = payload.len ? memchr(payload.ptr, ' ', payload.len) : NULL;
	struct place *p = blank ? find(r, payload.ptr, (size_t)(blank - payload.ptr)) : NULL;

	if (!p)
		return;
	if (!strcmp(blank, " removed")) /* hiredis terminates strings */
		remove_place(p);
	else if (!strcmp(blank, " lost"))
		lose(p);
	else
		handed_over(p);
}

/* --- giving back ------------------------------------------------------------------------- */

static void owe(struct errand *e)
{
	struct redis_turns *r = e->turns;

	if (clock_ms() >= e->until_ms) {
		errand_free(e);
		return;
	}
	list_remove(&e->call.link);
	list_append(&r->debts, &e->call.link);
	timer_start(r->pay, PAY_EVERY_MS);
}

static void given_back(struct redis_call *call, const redisReply *reply)
{
	struct errand *e = container_of(call, struct errand, call);
	struct redis_turns *r = e->turns;
	struct redis_answer a;

	r->open--;
	if (redis_answer_read(reply, &a)) {
		redis_turns_answer(r, &a);
		r->lost += e->completed && !a.number && !e->again;
		if (a.number)
			histogram_add(&r->hand_offs, clock_us() - e->sent_us);
		errand_free(e);
		return;
	}
	if (reply)
		take_error(r, reply);
	else
		e->again = true;
	owe(e);
}

static void send_give_back(struct place *p, bool completed)
{
	struct redis_turns *r = p->turns;
	struct errand *e = new_errand(r, SCRIPT_GIVE_BACK, p->box.ticket, given_back);

	e->completed = completed;
	redis_arg_int(&e->call.command, completed);
	redis_arg_int(&e->call.command, MAX(LAST_MIN_S, 2 * e->delay_ms / 1000));
	redis_arg_int(&e->call.command, p->starts_ms - p->entered_ms);
	redis_arg_int(&e->call.command, MAX(clock_ms() - p->starts_ms, 0));
	if (send_errand(e) < 0)
		owe(e);
}

/* Sends the debts there are; those that fail come back to the list, so it is emptied first. */
static void pay_debts(struct redis_turns *r)
{
	struct list due;
	struct errand *e;

	list_init(&due);
	while ((e = list_first(&r->debts, struct errand, call.link))) {
		list_remove(&e->call.link);
		list_append(&due, &e->call.link);
	}
	while ((e = list_first(&due, struct errand, call.link))) {
		list_remove(&e->call.link);
		if (clock_ms() >= e->until_ms || send_errand(e) < 0)
			owe(e);
	}
}

static void pay_time(void *arg)
{
	pay_debts(arg);
}

void redis_turns_give_back(struct redis_turns *r, struct lock_ticket *t, bool completed)
{
	struct place *p = t->entry;

	if (!p)
		return;
	if (p->state != TURN_NONE) {
		keeper_drop(r->keeper, t->id);
		send_give_back(p, completed && p->state == TURN_HELD);
	}
	place_free(p);
}

bool redis_turns_holds(struct redis_turns *r, struct lock_ticket *t)
{
	struct place *p = t->entry;

	if (p && p->state == TURN_HELD && !keeper_lease_lasts(r->keeper, t->id))
		lose(p);
	return p && p->state == TURN_HELD;
}

void redis_turns_settle(struct redis_turns *r, struct job *when_settled)
{
	post_close(&r->post);
	while (r->by_id)
		redis_turns_give_back(r, r->by_id->box.ticket, false);
	r->when_settled = when_settled;
	check_settled(r);
}

/* --- entering ---------------------------------------------------------------------------- */

static void take_place(struct place *p, const struct redis_answer *a, int64_t sent_ms)
{
	if (span_eq(a->what, SPAN("granted"))) {
		if (p->state == TURN_ENTERING || p->state == TURN_WAITING)
			grant(p, a->elapsed_ms, sent_ms);
	} else if (span_eq(a->what, SPAN("waiting")) && p->state == TURN_ENTERING) {
		p->state = TURN_WAITING;
		keeper_wait(p->turns->keeper, p->box.ticket->account, p->box.ticket->id);
		tell(p, (struct lock_news){ LOCK_WAITING, .position = a->number });
	} else if (span_eq(a->what, SPAN("removed"))) {
		remove_place(p);
	} else if (span_eq(a->what, SPAN("full"))) {
		bool again =
			p->state == TURN_WAITING; /* it had lost its place, and gets no other */

		if (again)
			fail(p, TURN_NONE);
		else if (p->state == TURN_ENTERING)
			p->state = TURN_NONE, tell(p, (struct lock_news){ LOCK_FULL });
	}
}

static void entered(struct redis_call *call, const redisReply *reply)
{
	struct errand *e = container_of(call, struct errand, call);
	struct redis_turns *r = e->turns;
	struct place *p = find_str(r, e->id);
	struct redis_answer a;

	r->open--;
	if (redis_answer_read(reply, &a)) {
		take_success(r);
		if (p)
			take_place(p, &a, e->sent_ms);
		redis_turns_answer(r, &a);
	} else if (reply) {
		take_error(r, reply);
		if (p && p->state == TURN_ENTERING)
			fail(p, TURN_NONE);
	} else if (p && p->state == TURN_ENTERING) {
		fail(p, TURN_NONE);
		send_give_back(p, false); /* it may have been heard */
	}
	errand_free(e);
}

static bool enter_wanted(const struct redis_call *call)
{
	const struct errand *e = container_of(call, struct errand, call);

	return find_str(e->turns, e->id);
}

static void send_enter(struct place *p)
{
	struct errand *e = new_errand(p->turns, SCRIPT_ENTER, p->box.ticket, entered);

	e->call.wanted = enter_wanted;
	redis_arg_int(&e->call.command, e->ttl_ms);
	redis_arg_int(&e->call.command, p->box.ticket->terms.max_waiting);
	redis_arg_str(&e->call.command, p->box.ticket->client);
	if (send_errand(e) == 0)
		return;
	errand_free(e);
	if (p->state == TURN_ENTERING && !p->turns->patient)
		fail(p, TURN_NONE);
}

void redis_turns_enter(struct redis_turns *r, struct lock_ticket *t)
{
	struct place *p;

	must(!t->entry);
	lock_ticket_name(t, r->names.owner);
	t->entry = p = xcalloc(1, sizeof *p);
	p->box.ticket = t;
	p->turns = r;
	p->entered_ms = clock_ms();
	HASH_ADD_KEYPTR(hh, r->by_id, t->id, strlen(t->id), p);
	if (redis_link_is_up(r->cmd.link))
		redis_presence_note(&r->presence, t->account);
	send_enter(p);
}

/* --- what else happens ------------------------------------------------------------------- */

/* Its lease can't be renewed, so that it would lose its place; unless the link finds a better server. */
static void refused(struct place *p, const char *error)
{
	if (redis_error_is_unusable(error)) {
		redis_link_reset(p->turns->cmd.link, error);
		return;
	}
	complain(p->turns, error);
	if (p->state == TURN_WAITING)
		fail(p, TURN_UNSURE);
}

void redis_turns_keeper_news(struct redis_turns *r, const struct keeper_news *news)
{
	struct place *p = find_str(r, news->id);

	if (news->kind == KEEPER_DROPPED)
		r->dropped += news->count;
	else if (p && news->kind == KEEPER_LOST)
		lose(p);
	else if (p && news->kind == KEEPER_HAS)
		handed_over(p);
	else if (p && news->kind == KEEPER_REFUSED)
		refused(p, news->refusal);
	else if (p && news->kind == KEEPER_UNKNOWN && p->state == TURN_WAITING)
		send_enter(p);
}

void redis_turns_link_down(struct redis_turns *r)
{
	r->patient = true;
}

/*
 * Scripts and data may be gone as well, if the server was started anew. Enters that had been sent
 * failed with the old link; those that are still to be sent go in the order in which they came.
 */
void redis_turns_link_up(struct redis_turns *r)
{
	r->patient = false;
	redis_presence_reset(&r->presence);
	pay_debts(r);
	for (struct place *p = r->by_id; p; p = p->hh.next) {
		if (p->state != TURN_ENTERING)
			continue;
		redis_presence_note(&r->presence, p->box.ticket->account);
		send_enter(p);
	}
	keeper_refresh(r->keeper);
}

void redis_turns_lose_patience(struct redis_turns *r)
{
	r->patient = false;
	for (struct place *p = r->by_id; p; p = p->hh.next) {
		if (p->state == TURN_WAITING || p->state == TURN_CONFIRMING)
			fail(p, TURN_UNSURE);
		else if (p->state == TURN_ENTERING)
			fail(p, TURN_NONE);
	}
}

void redis_turns_open(struct redis_turns *r, struct loop *loop, struct redis_names names)
{
	r->names = names;
	r->hand_offs.scale = &histogram_quick;
	list_init(&r->cmd.open);
	list_init(&r->debts);
	post_open(&r->post, loop);
	r->pay = timer_new(loop, pay_time, r);
	redis_presence_open(&r->presence, &r->cmd, &r->names);
}

void redis_turns_close(struct redis_turns *r)
{
	struct errand *e;

	r->when_settled = NULL;
	post_close(&r->post);
	timer_clear(&r->pay);
	while (r->by_id)
		place_free(r->by_id);
	redis_caller_clear(&r->cmd);
	while ((e = list_first(&r->debts, struct errand, call.link)))
		redis_call_free(&e->call);
	redis_presence_reset(&r->presence);
	free(steal(&r->names.prefix));
	free(steal(&r->names.owner));
}
