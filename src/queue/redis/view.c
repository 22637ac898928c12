/*
 * view.c - reads a view of lua/view.lua: look.lua's reply, and in survey.lua's that of each account.
 */
#include "queue/redis/view.h"

#include <inttypes.h>
#include <stdlib.h>

#include "queue/redis/record.h"

/* As view.lua has them. */
enum {
	LAST,
	PAUSE,
	WAITING,
	KEPT,
	TURNS,
	NOW,
	HOLDERS,
	WAITERS,
	SAMPLES,
	SHARES,
	LIMIT,
	FAMILY_LIMITS,
	VIEW_FIELDS
};

struct span redis_text(const redisReply *r)
{
	return r->type == REDIS_REPLY_STRING ? (struct span){ r->str, r->len }
					     : (struct span){ "", 0 };
}

static int64_t number_of(const redisReply *r)
{
	if (r->type == REDIS_REPLY_INTEGER)
		return r->integer;
	return redis_text(r).len ? strtoll(r->str, NULL, 10) : 0; /* hiredis terminates strings */
}

/* Between two times that anybody may have written. */
static int64_t from_to(int64_t from, int64_t to)
{
	int64_t d;

	if (__builtin_sub_overflow(to, from, &d))
		return to > from ? INT64_MAX : INT64_MIN;
	return d;
}

static void read_holder(redisReply **e, int64_t now, struct lock_view *v)
{
	struct lock_holder *h = query_view_holder(v);
	struct record record;
	bool known = record_read(redis_text(e[2]), &record) && record.start_ms;

	h->who = record.waiter;
	record_copy(redis_text(e[0]), h->who.ticket, sizeof h->who.ticket);
	h->ttl_raw_ms = number_of(e[1]);
	if (!known)
		return;
	h->held_known = true;
	h->held_ms = from_to(record.start_ms, now);
	h->who.waited_ms = from_to(record.joined_ms, record.start_ms);
}

/* The longest first; who of another program is there has the relay's lock, and comes before all. */
static int by_turn(const void *a, const void *b)
{
	const struct lock_holder *x = a, *y = b;

	if (x->held_known != y->held_known)
		return x->held_known ? 1 : -1;
	return (x->held_ms < y->held_ms) - (x->held_ms > y->held_ms);
}

static void read_holders(const redisReply *list, int64_t now, struct lock_view *v)
{
	for (size_t i = 0; i + 2 < list->elements; i += 3)
		read_holder(&list->element[i], now, v);
	if (v->holder_count)
		qsort(v->holders, v->holder_count, sizeof *v->holders, by_turn);
}

static void read_waiters(const redisReply *list, int64_t now, struct lock_view *v)
{
	v->waiters = xcalloc(list->elements / 2 + 1, sizeof *v->waiters);
	for (size_t i = 0; i + 1 < list->elements; i += 2) {
		struct lock_waiter *w = &v->waiters[v->waiter_count++];
		struct record record;

		if (record_read(redis_text(list->element[i + 1]), &record))
			record.waiter.waited_ms = from_to(record.joined_ms, now);
		*w = record.waiter;
		record_copy(redis_text(list->element[i]), w->ticket, sizeof w->ticket);
	}
	v->oldest_wait_ms = v->waiter_count ? v->waiters[0].waited_ms : 0;
}

static struct lock_share *share_of(struct lock_view *v, struct span name)
{
	char text[LOCK_SHARE_MAX];

	record_copy(name, text, sizeof text);
	return query_view_share(v, text);
}

/* Samples of a version before shares are of "-". */
static void read_sample(struct span text, int64_t now, struct lock_view *v)
{
	struct lock_sample *s = &v->samples[v->sample_count];
	struct span share = SPAN("-");
	int64_t at;
	int end = 0;

	if (sscanf(text.ptr, "%15" SCNd64 " %15" SCNd64 " %15" SCNd64 " %n", &at, &s->wait_ms,
		   &s->hold_ms, &end) != 3)
		return;
	s->ago_ms = MAX(from_to(at, now), 0);
	if (s->ago_ms > LOCK_RECENT_MS)
		return;
	v->sample_count++;
	if (end && (size_t)end < text.len)
		share = (struct span){ text.ptr + end, text.len - (size_t)end };
	share_of(v, share)->turns += s->hold_ms >= 0;
	share_of(v, share)->held_ms += MAX(s->hold_ms, 0);
	share_of(v, share)->left += s->hold_ms < 0;
}

static void read_shares(redisReply **e, int64_t now, struct lock_view *v)
{
	const redisReply *samples = e[SAMPLES], *waiting = e[SHARES];

	for (size_t i = 0; i + 1 < waiting->elements; i += 2)
		share_of(v, redis_text(waiting->element[i]))->waiting +=
			number_of(waiting->element[i + 1]);
	v->samples = xcalloc(samples->elements + 1, sizeof *v->samples);
	for (size_t i = 0; i < samples->elements; i++)
		read_sample(redis_text(samples->element[i]), now, v);
}

/* Another version's kind: it is held all the same. */
static enum hold_kind kind_of(struct span name)
{
	if (!name.len)
		return HOLD_NONE;
	return span_eq(name, span_of(hold_kind_name(HOLD_QUOTA))) ? HOLD_QUOTA : HOLD_THROTTLE;
}

enum { LIMIT_TEXTS = 5 };

static struct lock_view_hold limit_of(redisReply **e)
{
	return (struct lock_view_hold){
		.kind = kind_of(redis_text(e[0])),
		.since_ms = number_of(e[1]),
		.left_ms = number_of(e[2]),
		.probe_ms = number_of(e[3]),
		.refusals = number_of(e[4]),
	};
}

static void read_limits(redisReply **e, struct lock_view *v)
{
	const redisReply *own = e[LIMIT], *families = e[FAMILY_LIMITS];

	if (own->elements == LIMIT_TEXTS)
		v->hold = limit_of(own->element);
	for (size_t i = 0; i < LIMIT_FAMILIES && families->elements >= LIMIT_TEXTS * (i + 1); i++)
		v->family_holds[i] = limit_of(&families->element[LIMIT_TEXTS * i]);
}

bool redis_view_read(const redisReply *reply, struct lock_view *v)
{
	redisReply **e;
	int64_t now;

	if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != VIEW_FIELDS)
		return false;
	e = reply->element;
	for (int i = HOLDERS; i <= FAMILY_LIMITS; i++) {
		if (e[i]->type != REDIS_REPLY_ARRAY)
			return false;
	}
	now = number_of(e[NOW]);
	v->last_at_ms = number_of(e[LAST]);
	v->paused_at_ms = number_of(e[PAUSE]);
	v->waiting = number_of(e[WAITING]);
	v->kept = number_of(e[KEPT]);
	v->turns = number_of(e[TURNS]);
	read_holders(e[HOLDERS], now, v);
	read_waiters(e[WAITERS], now, v);
	read_shares(e, now, v);
	read_limits(e, v);
	return true;
}

static bool read_accounts(const redisReply *list, struct query_reply *r)
{
	for (size_t i = 0; i + 1 < list->elements; i += 2) {
		struct span name = redis_text(list->element[i]);
		char text[LOCK_ACCOUNT_MAX];

		record_copy(name, text, sizeof text);
		if (!redis_view_read(list->element[i + 1], query_reply_view(r, text)))
			return false;
	}
	return true;
}

bool redis_survey_read(const redisReply *reply, struct query_reply *r)
{
	const redisReply *beacons;

	if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 ||
	    reply->element[1]->type != REDIS_REPLY_ARRAY ||
	    reply->element[2]->type != REDIS_REPLY_ARRAY)
		return false;
	r->answer.known = number_of(reply->element[0]);
	beacons = reply->element[2];
	for (size_t i = 0; i + 1 < beacons->elements; i += 2)
		query_reply_beacon(r, number_of(beacons->element[i]),
				   redis_text(beacons->element[i + 1]));
	return read_accounts(reply->element[1], r);
}
