#include "queue/redis/ticket.h"

#include "base/alert.h"
#include "base/clock.h"
#include "base/log.h"
#include "queue/redis/keepers.h"

struct redis_ticket *ticket_find(struct redis_tickets *r, const char *id, size_t len)
{
	struct redis_ticket *p;

	HASH_FIND(hh, r->by_id, id, len, p);
	return p;
}

struct redis_ticket *ticket_find_str(struct redis_tickets *r, const char *id)
{
	return ticket_find(r, id, strlen(id));
}

void ticket_free(struct redis_ticket *p)
{
	HASH_DEL(p->tickets->by_id, p);
	p->box.ticket->entry = NULL;
	post_cancel(&p->box);
	free(p->refusal);
	free(p);
}

void ticket_tell(struct redis_ticket *p, struct lock_news news)
{
	post_send(&p->tickets->post, &p->box, news);
}

void ticket_unkeep(struct redis_ticket *p)
{
	keeper_drop(keeper_of(p->node), p->box.ticket->id);
}

void ticket_fail(struct redis_ticket *p, enum turn_state state)
{
	ticket_unkeep(p);
	p->state = state;
	ticket_tell(p, (struct lock_news){ LOCK_FAILED });
}

/* Touches that succeed aren't told: the time counts anew if two were missing. */
void ticket_unkept(struct redis_ticket *p, int64_t tried_ms)
{
	int64_t now = clock_ms();

	if (p->state != TURN_WAITING)
		return;
	if (tried_ms - p->unkept_at_ms > 2 * KEEPER_TOUCH_MS + KEEPER_TOUCH_MS / 2)
		p->unkept_ms = tried_ms;
	p->unkept_at_ms = now;
	if (now - p->unkept_ms >= p->tickets->nodes->terms.config->redis.outage_ms)
		ticket_fail(p, TURN_UNSURE);
}

/* Of what happened to one turn one thing is told. */
static bool count_loss(struct redis_ticket *p)
{
	bool first = !p->counted;

	p->counted = true;
	p->tickets->lost += first;
	return first;
}

void ticket_lose(struct redis_ticket *p, enum loss loss)
{
	p->doubted = true;
	if (p->state != TURN_HELD)
		return;
	ticket_unkeep(p);
	p->state = TURN_UNSURE;
	count_loss(p);
	ticket_tell(p, (struct lock_news){ LOCK_LOST, .cause = loss_cause(loss) });
}

void ticket_doubt(struct redis_ticket *p, enum loss loss)
{
	const struct lock_ticket *t = p->box.ticket;

	if (p->state != TURN_HELD || !loss || !count_loss(p))
		return;
	log_warn("a turn goes on, but may not have been alone", LOG_STR("account", t->account),
		 LOG_STR("ticket", t->id), LOG_STR("cause", loss_cause(loss)));
	alert(ALERT_TURN_LOST, t->account, 0);
}

/* By an operator. Another enter may be on its way; and there is a record of it in Redis. */
void ticket_remove(struct redis_ticket *p)
{
	if (p->state != TURN_ENTERING && p->state != TURN_WAITING)
		return;
	ticket_unkeep(p);
	p->state = TURN_UNSURE;
	ticket_tell(p, (struct lock_news){ LOCK_REMOVED });
}

/* Who had a place may have asked twice: what the second enter got is given back. */
void ticket_turn_away(struct redis_ticket *p)
{
	if (p->state != TURN_ENTERING && p->state != TURN_WAITING)
		return;
	ticket_unkeep(p);
	p->state = p->state == TURN_ENTERING ? TURN_NONE : TURN_UNSURE;
	ticket_tell(p, (struct lock_news){ LOCK_FULL });
}

/* It has the turn, for `lease_ms` from when Redis was asked, at `sent_ms`. */
void ticket_hold(struct redis_ticket *p, int64_t delay_ms, int64_t sent_ms, int64_t lease_ms,
		 int64_t renew_in_ms)
{
	const struct lock_ticket *t = p->box.ticket;
	struct keeper_turn turn = {
		.ttl_ms = t->terms.ttl_ms,
		.lease_until_ms = sent_ms + lease_ms,
		.renew_at_ms = sent_ms + renew_in_ms,
	};

	p->state = TURN_HELD;
	p->starts_ms = clock_ms() + delay_ms;
	turn.hold_until_ms = p->starts_ms + t->terms.max_hold_ms;
	ticket_tell(p, (struct lock_news){ LOCK_GRANTED, .delay_ms = delay_ms, .probe = p->probe });
	keeper_hold(keeper_of(p->node), t->account, t->id, &turn);
}
