#include "queue/redis_turn.h"

#include "base/clock.h"

struct place *place_find(struct redis_turns *r, const char *id, size_t len)
{
	struct place *p;

	HASH_FIND(hh, r->by_id, id, len, p);
	return p;
}

struct place *place_find_str(struct redis_turns *r, const char *id)
{
	return place_find(r, id, strlen(id));
}

void place_free(struct place *p)
{
	HASH_DEL(p->turns->by_id, p);
	p->box.ticket->entry = NULL;
	post_cancel(&p->box);
	free(p);
}

void place_tell(struct place *p, struct lock_news news)
{
	post_send(&p->turns->post, &p->box, news);
}

void place_unkeep(struct place *p)
{
	keeper_drop(p->node->keeper, p->box.ticket->id);
}

void place_fail(struct place *p, enum turn_state state)
{
	place_unkeep(p);
	p->state = state;
	place_tell(p, (struct lock_news){ LOCK_FAILED });
}

void place_lose(struct place *p)
{
	p->doubted = true;
	if (p->state != TURN_HELD)
		return;
	place_unkeep(p);
	p->state = TURN_UNSURE;
	p->turns->lost++;
	place_tell(p, (struct lock_news){ LOCK_LOST });
}

/* By an operator. Another enter may be on its way; and there is a note of it in Redis. */
void place_remove(struct place *p)
{
	if (p->state != TURN_ENTERING && p->state != TURN_WAITING)
		return;
	place_unkeep(p);
	p->state = TURN_UNSURE;
	place_tell(p, (struct lock_news){ LOCK_REMOVED });
}

/* Who had a place may have asked twice: what the second enter got is given back. */
void place_turn_away(struct place *p)
{
	if (p->state != TURN_ENTERING && p->state != TURN_WAITING)
		return;
	place_unkeep(p);
	p->state = p->state == TURN_ENTERING ? TURN_NONE : TURN_UNSURE;
	place_tell(p, (struct lock_news){ LOCK_FULL });
}

/* It has the turn, for `lease_ms` from when Redis was asked, at `sent_ms`. */
void place_hold(struct place *p, int64_t delay_ms, int64_t sent_ms, int64_t lease_ms,
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
	place_tell(p, (struct lock_news){ LOCK_GRANTED, .delay_ms = delay_ms });
	keeper_hold(p->node->keeper, t->account, t->id, &turn);
}
