#include "proxy/own_reply.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/mem.h"
#include "proxy/limited.h"
#include "proxy/line.h"

enum { RETRIED_MAX_S = 60 }; /* Claude Code and the SDKs wait no longer before they try again */

/* --- words ------------------------------------------------------------------------------------ */

static void put_running(const struct exchange *x, struct buf *to)
{
	int64_t running_ms = queue_running_ms(&x->place);

	if (running_ms < 0)
		return;
	buf_puts(to, ", the present turn began ");
	duration_put(to, running_ms);
	buf_puts(to, " ago");
}

static void put_before(const struct exchange *x, struct buf *to)
{
	int64_t before = x->place.before;

	if (!before) {
		buf_puts(to, ", nobody before it");
		return;
	}
	buf_printf(to, ", %" PRId64 " %s before it (about ", before,
		   before == 1 ? "request" : "requests");
	duration_put(to, queue_estimate_ms(&x->place));
	buf_puts(to, " more)");
}

/* Who waits sees this, at last: Claude Code and the SDKs show the message of an error they give up on. */
static void put_case(const struct exchange *x, struct buf *to)
{
	switch (x->outcome) {
	case OUTCOME_QUEUE_TIMEOUT:
		duration_put(to, clock_ms() - x->place.joined_ms);
		buf_puts(to, " so far");
		put_before(x, to);
		put_running(x, to);
		break;
	case OUTCOME_QUEUE_FULL:
		buf_puts(to, "room in about ");
		duration_put(to, queue_retry_after_s(x->proxy->queue, &x->place) * 1000);
		put_running(x, to);
		break;
	case OUTCOME_ACCOUNT_LIMITED:
		duration_put(to, MAX(x->held_until_ms - clock_ms(), 0));
		buf_puts(to, " more");
		break;
	default:
		break;
	}
	if (x->place.kept && x->outcome != OUTCOME_SHUTTING_DOWN) /* then the line may end too */
		buf_puts(to, to->len ? ", its place in line is kept" : "its place in line is kept");
}

/* --- fields ----------------------------------------------------------------------------------- */

static void add_retry(const struct exchange *x, struct own_reply *r)
{
	bool held = x->outcome == OUTCOME_ACCOUNT_LIMITED;
	int64_t held_s = (x->held_until_ms - clock_ms() + 999) / 1000;
	int64_t s = held ? MAX(held_s, 1) : queue_retry_after_s(x->proxy->queue, &x->place);

	if (!(outcome_info[x->outcome].flags & OUTCOME_RETRY))
		return;
	snprintf(r->retry_after, sizeof r->retry_after, "%" PRId64, s);
	field_list_add(&r->fields, SPAN("retry-after"), span_of(r->retry_after));
	/* Some clients don't obey so long a time, and would come again and again. */
	field_list_add(&r->fields, SPAN("x-should-retry"),
		       s > RETRIED_MAX_S ? SPAN("false") : SPAN("true"));
}

/* What the upstream said to the one whose turn it was: its words, with a time of now. */
static bool take_refusal(const struct exchange *x, struct own_reply *r)
{
	struct limited_refusal refusal;

	if (x->outcome != OUTCOME_ACCOUNT_LIMITED || !x->held_refusal ||
	    !limited_read(span_of(x->held_refusal), &refusal))
		return false;
	for (size_t i = 0; i < refusal.count; i++)
		field_list_add(&r->fields, refusal.fields[i].name, refusal.fields[i].value);
	field_list_add(&r->fields, SPAN("x-turnstile-held"), SPAN("quota"));
	r->status = refusal.status;
	buf_append(&r->body, refusal.body.ptr, refusal.body.len);
	return true;
}

static void make_own(const struct exchange *x, struct own_reply *r)
{
	const struct outcome_info *o = &outcome_info[x->outcome];
	CLEANUP(buf_clear) struct buf more = { 0 };

	put_case(x, &more);
	outcome_body(x->outcome, buf_str(&more), x->id, &r->body);
	field_list_add(&r->fields, SPAN("content-type"), SPAN("application/json"));
	if (o->flags & OUTCOME_QUEUE)
		field_list_add(&r->fields, SPAN("x-user-message-queue-error"), span_of(o->type));
	r->status = o->status;
}

/* What it asked for. */
static void take_line(const struct exchange *x, struct own_reply *r)
{
	struct span text = line_answer(x->line, &r->fields);

	r->status = outcome_info[x->outcome].status;
	buf_append(&r->body, text.ptr, text.len);
}

void own_reply_make(const struct exchange *x, struct own_reply *ret)
{
	if (x->outcome == OUTCOME_LINE_ASKED) {
		take_line(x, ret);
		return;
	}
	ret->is_upstreams = take_refusal(x, ret);
	if (!ret->is_upstreams)
		make_own(x, ret);
	add_retry(x, ret);
}

void own_reply_clear(struct own_reply *r)
{
	field_list_clear(&r->fields);
	buf_clear(&r->body);
}
