/*
 * tickets_end.c - giving back: turns, places, and what Redis has of them though they have ended.
 *
 * What was given back may be there again: a renewal came late, or a server took over that lags behind.
 * So on each new link, and with each sweep, Redis is asked what it has of this process; what is
 * unknown here is given back.
 */
#include "base/alert.h"
#include "base/clock.h"
#include "base/log.h"
#include "queue/redis/keepers.h"
#include "queue/redis/ticket.h"

enum {
	LAST_MIN_S = 60, /* how long `last` is kept at least: the relay's own */
	USED_MAX = 4096, /* accounts that are asked about; the sweep finds what is in others */
};

/* An account in which this process had something, for as long as that may be in Redis. */
struct used_account {
	char name[LOCK_ACCOUNT_MAX];
	int64_t until_ms;
	struct list link; /* in r->used, in the order of use */
	UT_hash_handle hh;
};

struct kept_place {
	struct list link; /* in r->kept */
	int64_t until_ms;
};

/* --- losses ---------------------------------------------------------------------------------- */

/* It had ended when that was found out, and nobody else says so any more. */
static void count_late_loss(struct redis_tickets *r, const struct ticket_call *e, enum loss loss)
{
	if (!loss || !e->used || e->again || e->counted)
		return;
	r->lost++;
	log_warn("a turn ended, but may not have been alone", LOG_STR("account", e->account),
		 LOG_STR("ticket", e->id), LOG_STR("cause", loss_cause(loss)));
	alert(ALERT_TURN_LOST, e->account, 0);
}

/* --- giving back ------------------------------------------------------------------------------ */

static void given_back(struct redis_call *call, const redisReply *reply)
{
	struct ticket_call *e = container_of(call, struct ticket_call, call);
	struct redis_tickets *r = tickets_of(e);
	struct script_answer a;

	r->calls.open--;
	if (script_answer_read(reply, &a)) {
		count_late_loss(r, e, loss_of(script_text(&a, 0)));
		tickets_hand_on(r, &a, e);
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

static struct ticket_call *new_give_back(struct redis_tickets *r, const struct lock_ticket *t,
					 const char *how)
{
	struct ticket_call *e = ticket_call_new(&r->calls, SCRIPT_GIVE_BACK, t, given_back);

	redis_arg_str(&e->call.command, how);
	redis_arg_int(&e->call.command, MAX(LAST_MIN_S, 2 * e->delay_ms / 1000));
	return e;
}

/* `waited_ms`, `held_ms`: of a turn that was used. */
static void send_give_back(struct ticket_call *e, int64_t waited_ms, int64_t held_ms,
			   const struct lock_ticket *t)
{
	const char *key = t->standing.keep_key;

	redis_arg_int(&e->call.command, waited_ms);
	redis_arg_int(&e->call.command, held_ms);
	redis_arg_int(&e->call.command, t->terms.keep_place_ms);
	redis_arg_str(&e->call.command, *key ? key : "-");
	redis_arg_int(&e->call.command, t->terms.max_waiting);
	if (ticket_call_send(e) < 0)
		ticket_call_retry_later(e);
}

void tickets_give_back_stray(struct redis_tickets *r, const char *account, const char *id)
{
	struct lock_ticket stray = { .terms.ttl_ms = REDIS_LEASE_MS };

	snprintf(stray.account, sizeof stray.account, "%s", account);
	snprintf(stray.id, sizeof stray.id, "%s", id);
	send_give_back(new_give_back(r, &stray, "unused"), 0, 0, &stray);
}

static void forget_oldest_kept(struct redis_tickets *r)
{
	struct kept_place *k = list_first(&r->kept, struct kept_place, link);

	if (!k)
		return;
	list_remove(&k->link);
	free(k);
}

/* Those that are over don't count any more; that others took some back isn't known here. */
static void keep(struct redis_tickets *r, const struct lock_ticket *t)
{
	int64_t now = clock_ms();
	struct kept_place *k;

	if (!t->standing.keep_key[0] || t->terms.keep_place_ms <= 0)
		return;
	while ((k = list_first(&r->kept, struct kept_place, link)) && now >= k->until_ms)
		forget_oldest_kept(r);
	k = xcalloc(1, sizeof *k);
	k->until_ms = now + t->terms.keep_place_ms;
	list_append(&r->kept, &k->link);
}

void tickets_came_back(struct redis_tickets *r)
{
	r->returned++;
	forget_oldest_kept(r);
}

int64_t redis_tickets_kept(const struct redis_tickets *r)
{
	const struct kept_place *k;
	int64_t count = 0;

	list_for_each (k, &r->kept, link)
		count += clock_ms() < k->until_ms;
	return count;
}

void tickets_end(struct redis_ticket *p, enum lock_end end)
{
	const struct lock_ticket *t = p->box.ticket;
	bool used = end == LOCK_USED && p->state == TURN_HELD;
	struct ticket_call *e = new_give_back(p->tickets, t,
					      used               ? "used"
					      : end == LOCK_KEEP ? "keep"
								 : "unused");

	e->used = used;
	e->counted = p->counted;
	if (end == LOCK_KEEP)
		keep(p->tickets, t);
	tickets_used(p->tickets, t->account, MAX(t->terms.ttl_ms, REDIS_LEASE_MS));
	send_give_back(e, p->starts_ms - p->entered_ms, MAX(clock_ms() - p->starts_ms, 0), t);
}

void redis_tickets_give_back(struct lock_ticket *t, enum lock_end end)
{
	struct redis_ticket *p = t->entry;

	if (!p)
		return;
	if (p->state != TURN_NONE) {
		ticket_unkeep(p);
		tickets_end(p, end);
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
		ticket_lose(p, LOSS_OVER);
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

/* --- what Redis has of this process ------------------------------------------------------------ */

void tickets_used(struct redis_tickets *r, const char *account, int64_t for_ms)
{
	struct used_account *u;

	HASH_FIND_STR(r->used_by_name, account, u);
	if (u) {
		list_remove(&u->link);
	} else {
		u = xcalloc(1, sizeof *u);
		snprintf(u->name, sizeof u->name, "%s", account);
		HASH_ADD_STR(r->used_by_name, name, u);
	}
	u->until_ms = MAX(u->until_ms, clock_ms() + for_ms);
	list_append(&r->used, &u->link);
	while ((u = list_first(&r->used, struct used_account, link)) &&
	       (HASH_COUNT(r->used_by_name) > USED_MAX || clock_ms() >= u->until_ms)) {
		list_remove(&u->link);
		HASH_DEL(r->used_by_name, u);
		free(u);
	}
}

void tickets_forget_used(struct redis_tickets *r)
{
	struct used_account *u, *next_u;
	struct kept_place *k, *next_k;

	HASH_ITER (hh, r->used_by_name, u, next_u) {
		HASH_DEL(r->used_by_name, u);
		free(u);
	}
	list_init(&r->used);
	list_for_each_safe (k, next_k, &r->kept, link)
		free(k);
	list_init(&r->kept);
}

void redis_tickets_known(struct redis_tickets *r, const char *account,
			 const struct script_answer *a)
{
	const redisReply *mine = a->more[2];
	int64_t unknown = 0;

	for (size_t i = 0; i < mine->elements; i++) {
		const redisReply *id = mine->element[i];

		if (id->len >= LOCK_TICKET_MAX || ticket_find(r, id->str, id->len))
			continue;
		tickets_give_back_stray(r, account, id->str);
		unknown++;
	}
	if (unknown)
		log_warn("redis had tickets that have ended: given back",
			 LOG_STR("account", account), LOG_INT("tickets", unknown));
}

static void reconciled(struct redis_call *call, const redisReply *reply)
{
	struct ticket_call *e = container_of(call, struct ticket_call, call);
	struct redis_tickets *r = tickets_of(e);
	struct script_answer a;

	r->calls.open--;
	if (script_answer_read(reply, &a)) {
		redis_tickets_known(r, e->account, &a);
		redis_tickets_answer(r, &a);
	}
	ticket_call_free(e); /* without an answer: a new link asks again */
}

static void reconcile(struct redis_tickets *r, const char *account)
{
	struct ticket_call *e =
		ticket_call_of_account(&r->calls, SCRIPT_SWEEP, account, reconciled);

	redis_arg_str(&e->call.command, ""); /* nobody else's */
	if (ticket_call_send(e) < 0)
		ticket_call_free(e);
}

void tickets_reconcile(struct redis_tickets *r, struct redis_node *node)
{
	struct used_account *u;

	list_for_each (u, &r->used, link) {
		unsigned slot = redis_account_slot(&r->names, u->name);

		if (clock_ms() < u->until_ms && redis_nodes_at(r->nodes, slot) == node)
			reconcile(r, u->name);
	}
}

/* --- the account's turns ---------------------------------------------------------------------- */

static void retuned(struct redis_call *call, const redisReply *reply)
{
	struct ticket_call *e = container_of(call, struct ticket_call, call);
	struct redis_tickets *r = tickets_of(e);
	struct script_answer a;

	r->calls.open--;
	if (script_answer_read(reply, &a))
		redis_tickets_answer(r, &a);
	ticket_call_free(e); /* without an answer: whoever joins next says the same */
}

void redis_tickets_retune(struct redis_tickets *r, const char *account,
			  const struct lock_terms *terms)
{
	struct ticket_call *e;

	if (ticket_call_is_open(&r->calls, SCRIPT_RETUNE, account, ""))
		return;
	e = ticket_call_of_account(&r->calls, SCRIPT_RETUNE, account, retuned);
	redis_arg_int(&e->call.command, terms->turns);
	redis_arg_int(&e->call.command, terms->interval_ms);
	if (ticket_call_send(e) < 0)
		ticket_call_free(e);
}
