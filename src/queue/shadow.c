/*
 * shadow.c - queue.mode = observe: requests that have gone on, but stand in line all the same.
 *
 *      JOINED ──turn──> HOLDING ── turn + d, and the request is over ──> gone
 *         └── timeout, full, failure ──> OVER ── the request is over ──> gone
 *
 * A shadow belongs to its request until that releases it, and in any case to the list of its
 * process, which ends it at shutdown.
 */
#include "queue/shadow.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"

enum { REQUEST_ID_MAX = 64 };

struct shadows {
	struct loop *loop;
	struct queue *queue;
	struct list all;
	int64_t present;
	struct shadow_counters counters;
	shadow_ended_fn ended;
	void *arg;
};

struct shadow {
	struct shadows *owner;
	struct list link; /* on owner->all */
	enum { JOINED, HOLDING, OVER } state;
	bool released;
	struct queue_place place;
	struct timer *timer; /* of the turn's end */
	int64_t held_ms;     /* how long the request had the upstream; from release on */
	int64_t wait_ms;     /* -1 while it waits */
	char request_id[REQUEST_ID_MAX];
};

const char *shadow_end_name(enum shadow_end end)
{
	static const char *const names[SHADOW_ENDS] = {
		[SHADOW_TURN] = "turn",
		[SHADOW_TIMED_OUT] = "queue_timeout",
		[SHADOW_FULL] = "queue_full",
		[SHADOW_UNKNOWN] = "unknown",
	};

	return names[end];
}

const char *shadow_account(const char *account)
{
	size_t prefix = strlen(SHADOW_ACCOUNT_PREFIX);

	return strncmp(account, SHADOW_ACCOUNT_PREFIX, prefix) ? NULL : account + prefix;
}

static void shadow_free(struct shadow *s, enum lock_end end)
{
	queue_leave(&s->place, end);
	timer_clear(&s->timer);
	list_remove(&s->link);
	s->owner->present--;
	free(s);
}

static void tell(struct shadow *s, enum shadow_end end)
{
	const struct shadow_report report = {
		.account = s->place.ticket.account + strlen(SHADOW_ACCOUNT_PREFIX),
		.share = s->place.standing.share,
		.end = end,
		.wait_ms = clock_ms() - s->place.joined_ms,
	};
	struct shadow_counters *c = &s->owner->counters;

	c->ends[end]++;
	if (end == SHADOW_TURN) {
		s->wait_ms = report.wait_ms;
		c->wait_ms += report.wait_ms;
		c->waited += s->place.position > 0;
	}
	log_info("observed", LOG_STR("request_id", s->request_id),
		 LOG_STR("account", report.account), LOG_STR("would_end", shadow_end_name(end)),
		 LOG_INT("would_position", s->place.position),
		 LOG_INT("would_wait_ms", report.wait_ms));
	if (s->owner->ended)
		s->owner->ended(s->owner->arg, &report);
}

/*
 * The turn is over when it was as long as the request's, which must be over for that to be known.
 */
static void end_turn_when_due(struct shadow *s)
{
	int64_t left = s->place.turn_ms + s->held_ms - clock_ms();

	if (!s->released)
		return;
	if (left > 0)
		timer_start(s->timer, left);
	else
		shadow_free(s, LOCK_USED);
}

static void on_timer(void *arg)
{
	end_turn_when_due(arg);
}

static void over(struct shadow *s, enum shadow_end end)
{
	if (s->state == JOINED)
		tell(s, end);
	s->state = OVER;
	if (s->released)
		shadow_free(s, LOCK_UNUSED);
	else
		queue_leave(&s->place, LOCK_UNUSED);
}

static void on_changed(void *arg)
{
	struct shadow *s = arg;

	switch (s->place.state) {
	case PLACE_NONE:
	case PLACE_WAITING:
	case PLACE_PACING:
		break;
	case PLACE_TURN:
		tell(s, SHADOW_TURN);
		s->state = HOLDING;
		end_turn_when_due(s);
		break;
	case PLACE_TIMED_OUT:
		over(s, SHADOW_TIMED_OUT);
		break;
	case PLACE_FULL:
		over(s, SHADOW_FULL);
		break;
	case PLACE_LOST:
	case PLACE_REMOVED:
	case PLACE_HELD:
	case PLACE_FAILED:
	case PLACE_PASS:
		over(s, SHADOW_UNKNOWN);
		break;
	}
}

struct shadow *shadow_join(struct shadows *owner, const char *account,
			   const struct account_terms *terms, const struct lock_standing *standing,
			   const char *request_id)
{
	CLEANUP(freep) char *name = xasprintf(SHADOW_ACCOUNT_PREFIX "%s", account);
	struct shadow *s = xcalloc(1, sizeof *s);

	s->owner = owner;
	s->wait_ms = -1;
	s->place.changed = on_changed;
	s->place.x = s;
	s->place.standing = *standing;
	s->place.standing.keep_key[0] = '\0'; /* its request isn't refused, nor sent again */
	s->place.configured_as = s->place.ticket.account + strlen(SHADOW_ACCOUNT_PREFIX);
	s->timer = timer_new(owner->loop, on_timer, s);
	snprintf(s->request_id, sizeof s->request_id, "%s", request_id);
	list_append(&owner->all, &s->link);
	owner->present++;
	owner->counters.joined++;
	queue_join(owner->queue, &s->place, name, terms);
	return s;
}

int64_t shadow_position(const struct shadow *shadow)
{
	return shadow->place.position;
}

int64_t shadow_wait_ms(const struct shadow *shadow)
{
	return shadow->wait_ms;
}

void shadow_release(struct shadow **shadow, bool used)
{
	struct shadow *s = steal(shadow);

	if (!s)
		return;
	s->released = true;
	s->held_ms = clock_ms() - s->place.joined_ms;
	if (s->state == HOLDING && used)
		end_turn_when_due(s);
	else if (s->state != JOINED || !used)
		over(s, SHADOW_UNKNOWN);
}

const struct shadow_counters *shadows_counters(const struct shadows *s)
{
	return &s->counters;
}

int64_t shadows_present(const struct shadows *s)
{
	return s->present;
}

struct shadows *shadows_new(struct loop *loop, struct queue *queue, shadow_ended_fn ended,
			    void *arg)
{
	struct shadows *s = xcalloc(1, sizeof *s);

	s->loop = loop;
	s->queue = queue;
	s->ended = ended;
	s->arg = arg;
	list_init(&s->all);
	return s;
}

void shadows_clear(struct shadows *s)
{
	struct shadow *shadow, *next;

	list_for_each_safe (shadow, next, &s->all, link) {
		must(shadow->released);
		over(shadow, SHADOW_UNKNOWN);
	}
}

void shadows_free(struct shadows *s)
{
	if (!s)
		return;
	shadows_clear(s);
	free(s);
}
