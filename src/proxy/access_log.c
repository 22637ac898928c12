/* access_log.c - one line in the log, and every counter that an exchange counts in. */
#include "proxy/access_log.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/shares.h"

/* Of those that were in line, or would have been. */
static bool has_account(const struct exchange *x)
{
	return x->verdict.gated || x->verdict.kind == KIND_EXEMPT;
}

static void keep_refusal(const struct exchange *x, int64_t wait_ms)
{
	struct refusal r = {
		.at_ms = clock_wall_ms(),
		.outcome = x->outcome,
		.reason = x->verdict.reason,
		.waited_ms = wait_ms,
	};

	if (x->told != TOLD_ERROR || x->line)
		return;
	snprintf(r.account, sizeof r.account, "%s", has_account(x) ? x->verdict.account : "");
	snprintf(r.client, sizeof r.client, "%s", x->client_address);
	snprintf(r.id, sizeof r.id, "%s", x->id);
	refusals_add(&x->proxy->refusals, &r);
}

static void remember(const struct exchange *x, int64_t wait_ms)
{
	bool refused = outcome_info[x->outcome].type;
	enum history_end end = x->turn_used ? HISTORY_TURN
			       : refused    ? HISTORY_REFUSED
					    : HISTORY_LEFT;

	history_add(x->proxy->history,
		    &(struct history_event){ .at_ms = clock_wall_ms(),
					     .account = x->verdict.account,
					     .share = x->place.standing.share,
					     .end = end,
					     .wait_ms = wait_ms,
					     .hold_ms = x->turn_used ? x->hold_ms : -1 });
}

void access_log_shadow(void *arg, const struct shadow_report *report)
{
	struct proxy *p = arg;
	enum history_end end = report->end == SHADOW_TURN ? HISTORY_TURN : HISTORY_REFUSED;

	if (report->end == SHADOW_UNKNOWN)
		return;
	history_add(p->history, &(struct history_event){ .at_ms = clock_wall_ms(),
							 .account = report->account,
							 .share = report->share,
							 .end = end,
							 .wait_ms = report->wait_ms,
							 .observed = true });
}

/* From the client's last byte to the answer's first one; -1: there was none. */
static int64_t ttfb_ms(const struct exchange *x)
{
	if (!x->answered_ms)
		return -1;
	return x->received_ms ? MAX(x->answered_ms - x->received_ms, 0) : 0;
}

/* The upstream's part of that: also of an answer that it owed, so that it became an error of ours. */
static int64_t upstream_ms(const struct exchange *x)
{
	return x->answered_ms && x->sent_ms ? x->answered_ms - x->sent_ms : -1;
}

static void count_first_byte(const struct exchange *x)
{
	if (!x->upstream_status || !x->answered_ms)
		return;
	histogram_add(&x->proxy->counters.ttfb, ttfb_ms(x) * 1000);
	histogram_add(&x->proxy->counters.upstream_ttfb, upstream_ms(x) * 1000);
	first_bytes_add(&x->proxy->first_bytes,
			&(struct first_byte){ .at_ms = clock_ms(),
					      .ttfb_ms = ttfb_ms(x),
					      .upstream_ms = upstream_ms(x) });
}

/* Names that clients make up are nobody's, and too many for metrics. */
static void count_person(const struct exchange *x, int64_t wait_us, int64_t hold_us)
{
	const struct config *c = x->proxy->config;
	const char *name = share_of_name(c, span_of(x->place.standing.share));

	if (c->queue.shares)
		tally_add(x->proxy->people, name ? name : TALLY_OTHER, wait_us, hold_us);
}

static void count_end(const struct exchange *x, bool gated, int64_t wait_ms)
{
	struct proxy_counters *c = &x->proxy->counters;

	c->requests[x->verdict.kind][x->outcome]++;
	c->reasons[x->verdict.why]++;
	c->bytes_in += x->bytes_in;
	c->bytes_out += x->bytes_out;
	keep_refusal(x, wait_ms);
	if (!gated)
		return;
	histogram_add(&c->wait, wait_ms * 1000);
	count_first_byte(x);
	if (x->turn_used)
		histogram_add(&c->hold, x->hold_ms * 1000);
	remember(x, wait_ms);
	tally_add(x->proxy->tally, x->verdict.account, wait_ms * 1000,
		  x->turn_used ? x->hold_ms * 1000 : -1);
	count_person(x, wait_ms * 1000, x->turn_used ? x->hold_ms * 1000 : -1);
}

/* Fields that lines of few exchanges have, at the end. */
struct extra {
	struct log_field fields[6]; /* the first one without a key ends the line */
	size_t count;
};

static void add_known(struct extra *e, const char *key, bool is_known, int64_t n)
{
	if (is_known)
		e->fields[e->count++] = LOG_INT(key, n);
}

static struct extra extra_of(const struct exchange *x)
{
	struct extra e = { 0 };

	add_known(&e, "event_status", x->event_status, x->event_status);
	add_known(&e, "retries", x->retries, x->retries);
	add_known(&e, "abandoned_ms", x->abandoned_ms, clock_ms() - x->abandoned_ms);
	add_known(&e, "would_position", x->would_position >= 0, x->would_position);
	add_known(&e, "would_wait_ms", x->would_wait_ms >= 0, x->would_wait_ms);
	return e;
}

static const char *text_or_none(const char *s)
{
	return s[0] ? s : NULL;
}

static struct log_field known(const char *key, int64_t n)
{
	return n >= 0 ? LOG_INT(key, n) : LOG_STR(key, NULL);
}

/* Of one that had a place in the line. */
static struct log_field rank(const struct queue_place *p)
{
	return p->position ? LOG_REAL("rank", p->rank) : LOG_STR("rank", NULL);
}

/* One line an exchange, when all is over: so the bytes are those that really went out. */
void access_log_exchange(const struct exchange *x)
{
	const struct queue_place *p = &x->place;
	bool gated = p->joined_ms != 0;
	int64_t now = clock_ms();
	struct extra extra = extra_of(x);
	int64_t wait = !gated ? 0 : x->wait_ms >= 0 ? x->wait_ms : now - p->joined_ms;

	/* Status lines ask about their line every few seconds. */
	log_at(x->line ? LOG_DEBUG : LOG_INFO, "exchange", LOG_STR("request_id", x->id),
	       LOG_STR("outcome", outcome_info[x->outcome].word), LOG_INT("status", x->status),
	       LOG_STR("method", x->method), LOG_STR("path", x->path),
	       LOG_STR("client", x->client_address),
	       LOG_STR("kind", request_kind_name(x->verdict.kind)),
	       LOG_STR("reason", x->verdict.reason),
	       LOG_STR("account", has_account(x) ? x->verdict.account : NULL),
	       LOG_STR("share", text_or_none(p->standing.share)),
	       LOG_STR("mark", text_or_none(p->standing.mark)),
	       LOG_STR("ticket", gated ? p->ticket.id : NULL), LOG_INT("position", p->position),
	       rank(p), LOG_INT("wait_ms", wait), known("upstream_ms", upstream_ms(x)),
	       known("ttfb_ms", ttfb_ms(x)), LOG_INT("hold_ms", MAX(x->hold_ms, 0)),
	       LOG_INT("total_ms", now - x->started_ms), LOG_INT("bytes_in", x->bytes_in),
	       LOG_INT("bytes_out", x->bytes_out), LOG_STR("upstream_request_id", x->upstream_id),
	       LOG_STR("error", x->error), extra.fields[0], extra.fields[1], extra.fields[2],
	       extra.fields[3], extra.fields[4]);
	count_end(x, gated, wait);
}
