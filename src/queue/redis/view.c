/*
 * view.c - reads look.lua's reply; survey.lua has the same one for each account.
 */
#include "queue/redis/view.h"

#include <inttypes.h>

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

/* Other programs may put anything there: what isn't printable ASCII becomes "?". */
static void copy_text(struct span from, char *to, size_t size)
{
	size_t n = MIN(from.len, size - 1);

	for (size_t i = 0; i < n; i++)
		to[i] = from.ptr[i] > ' ' && from.ptr[i] <= '~' ? from.ptr[i] : '?';
	to[n] = '\0';
}

/*
 * "<joined> <client> <start>", see enter.lua: a waiter's start is 0. False: nobody recorded who it is.
 */
static bool read_who(const redisReply *r, int64_t *ret_joined, struct lock_waiter *waiter,
		     int64_t *ret_start)
{
	struct span rest = redis_text(r), joined, client, start = { 0 };

	if (!rest.len || !span_next(&rest, ' ', &joined) || !span_next(&rest, ' ', &client))
		return false;
	span_next(&rest, ' ', &start);
	*ret_joined = strtoll(joined.ptr, NULL, 10);
	*ret_start = start.len ? strtoll(start.ptr, NULL, 10) : 0;
	copy_text(client, waiter->client, sizeof waiter->client);
	return *ret_joined > 0;
}

static void read_holder(redisReply **e, int64_t now, struct lock_view *v)
{
	struct span id = redis_text(e[0]);
	int64_t joined, start;

	struct lock_holder *h;

	if (!id.len)
		return;
	h = query_view_holder(v);
	h->ttl_raw_ms = number_of(e[1]);
	copy_text(id, h->who.ticket, sizeof h->who.ticket);
	h->who.waited_ms = h->who.rank = -1;
	if (!read_who(e[5], &joined, &h->who, &start) || !start)
		return;
	h->held_known = true;
	h->held_ms = from_to(start, now);
	h->who.waited_ms = from_to(joined, start);
}

static void read_waiters(const redisReply *list, int64_t now, struct lock_view *v)
{
	v->waiters = xcalloc(list->elements / 2 + 1, sizeof *v->waiters);
	for (size_t i = 0; i + 1 < list->elements; i += 2) {
		struct lock_waiter *w = &v->waiters[v->waiter_count++];
		struct span id = redis_text(list->element[i]);
		int64_t joined, start;

		copy_text(id, w->ticket, sizeof w->ticket);
		w->rank = -1;
		w->waited_ms = read_who(list->element[i + 1], &joined, w, &start)
				       ? from_to(joined, now)
				       : -1;
	}
	v->oldest_wait_ms = v->waiter_count ? v->waiters[0].waited_ms : 0;
}

static void read_samples(const redisReply *list, int64_t now, struct lock_view *v)
{
	v->samples = xcalloc(list->elements + 1, sizeof *v->samples);
	for (size_t i = 0; i < list->elements; i++) {
		struct lock_sample *s = &v->samples[v->sample_count];
		int64_t at;

		if (sscanf(redis_text(list->element[i]).ptr, "%" SCNd64 " %" SCNd64 " %" SCNd64,
			   &at, &s->wait_ms, &s->hold_ms) != 3)
			continue;
		s->ago_ms = MAX(from_to(at, now), 0);
		v->sample_count += s->ago_ms <= LOCK_RECENT_MS;
	}
}

bool redis_view_read(const redisReply *reply, struct lock_view *v)
{
	redisReply **e;
	int64_t now;

	if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 9 ||
	    reply->element[7]->type != REDIS_REPLY_ARRAY ||
	    reply->element[8]->type != REDIS_REPLY_ARRAY)
		return false;
	e = reply->element;
	now = number_of(e[6]);
	read_holder(e, now, v);
	v->last_at_ms = number_of(e[2]);
	v->paused_at_ms = number_of(e[3]);
	v->waiting = number_of(e[4]);
	read_waiters(e[7], now, v);
	read_samples(e[8], now, v);
	return true;
}

static bool read_accounts(const redisReply *list, struct query_reply *r)
{
	for (size_t i = 0; i + 1 < list->elements; i += 2) {
		struct span name = redis_text(list->element[i]);
		char text[LOCK_ACCOUNT_MAX];

		copy_text(name, text, sizeof text);
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
