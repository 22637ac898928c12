/*
 * metrics.c - the list of metrics, and how each is written.
 *
 *      ONE     a number without labels: its value is an expression over `s` and `p`
 *      MANY    whatever has labels or buckets: a function writes its samples
 */
#include "admin/metrics.h"

#include <inttypes.h>

#include "admin/process.h"
#include "base/clock.h"
#include "base/log.h"

#define SECONDS(ms) ((double)(ms) / 1e3)

/* clang-format off */
#define METRICS(ONE, MANY)                                                                         \
	MANY("turnstile_info", "gauge", "Version and backend; always 1.", put_info)                \
	MANY("turnstile_requests_total", "counter",                                                \
	     "Requests that have ended, by what they were and how they ended.", put_requests)      \
	MANY("turnstile_verdicts_total", "counter", "The same requests, by the verdict's reason.",  \
	     put_reasons)                                                                          \
	MANY("turnstile_observed_total", "counter",                                                \
	     "User messages observed (queue.mode = observe), by how their wait would have ended.", \
	     put_observed)                                                                         \
	ONE("turnstile_observed_waited_total", "counter",                                          \
	    "Of those that would have had a turn: that would have waited for another one.",        \
	    proxy_observed(s->proxy)->waited)                                                      \
	ONE("turnstile_observed_wait_seconds_total", "counter",                                    \
	    "How long these would have waited in sum.",                                            \
	    SECONDS(proxy_observed(s->proxy)->wait_ms))                                            \
	ONE("turnstile_shadows", "gauge", "Observed user messages whose turn isn't over yet.",     \
	    proxy_shadows(s->proxy))                                                               \
	MANY("turnstile_exchanges", "gauge", "Requests that have not ended, by state.",            \
	     put_states)                                                                           \
	ONE("turnstile_waiting", "gauge", "Requests that wait for a turn.", s->gauges.waiting)     \
	ONE("turnstile_holding", "gauge", "Requests that have a turn.", s->gauges.holding)         \
	ONE("turnstile_oldest_waiter_seconds", "gauge",                                            \
	    "For how long the oldest waiter has waited; 0 if nobody waits.",                       \
	    SECONDS(s->gauges.oldest_wait_ms))                                                     \
	MANY("turnstile_wait_seconds", "histogram",                                                \
	     "How long user messages waited, the pause between turns included.", put_wait)         \
	MANY("turnstile_hold_seconds", "histogram", "How long turns were held.", put_hold)         \
	MANY("turnstile_ttfb_seconds", "histogram",                                                \
	     "User messages that the upstream answered: from the client's last byte to the answer's first.", put_ttfb) \
	MANY("turnstile_upstream_ttfb_seconds", "histogram",                                       \
	     "The upstream's part of that: from when it was asked to the answer's first byte.", put_upstream_ttfb)        \
	MANY("turnstile_handoff_seconds", "histogram",                                             \
	     "From giving a turn back to knowing that the next has it.", put_hand_offs)            \
	ONE("turnstile_active_renewals", "gauge", "Turns that are kept alive.",                    \
	    s->lock.active_renewals)                                                               \
	ONE("turnstile_renewals_total", "counter", "Leases of turns that were renewed.",           \
	    s->lock.renewals)                                                                      \
	ONE("turnstile_lost_turns_total", "counter",                                               \
	    "Turns that were lost while they were held, or may not have been alone.",              \
	    s->lock.lost)                                                                          \
	ONE("turnstile_dropped_waiters_total", "counter",                                          \
	    "Waiters of any process that were taken for dead.", s->lock.dropped_waiters)           \
	ONE("turnstile_places_kept", "gauge",                                                      \
	    "Places kept for requests that were refused or cut before their turn.", s->lock.kept)  \
	ONE("turnstile_places_returned_total", "counter",                                          \
	    "Requests that were sent again in time, and got the place kept for them.",             \
	    s->lock.returned)                                                                      \
	ONE("turnstile_accounts_forgotten_total", "counter",                                       \
	    "Idle accounts forgotten early, for want of room.", s->lock.forgotten)                 \
	ONE("turnstile_backend_up", "gauge", "Whether the backend can be asked.", s->lock.up)      \
	MANY("turnstile_backend_round_trip_seconds", "histogram",                                  \
	     "Round trips to the backend; none with the memory backend.", put_round_trips)         \
	MANY("turnstile_upstream_responses_total", "counter",                                      \
	     "Responses of the upstream, by class of status.", put_responses)                      \
	MANY("turnstile_upstream_limits_total", "counter",                                         \
	     "Refusals by the upstream of requests that had a turn, by kind of limit.", put_limits) \
	MANY("turnstile_upstream_retries_total", "counter",                                         \
	     "Of these, after which the request kept its turn to be sent again.", put_retries)         \
	ONE("turnstile_upstream_connect_failures_total", "counter",                                \
	    "Requests for which the upstream couldn't be reached.", connect_failures(s))           \
	ONE("turnstile_upstream_up", "gauge", "Whether the upstream can be reached, as far as known.", \
	    !s->gauges.upstream_down_since_ms)                                                     \
	ONE("turnstile_upstream_down_seconds", "gauge", "Since when it can't be; 0: it can.",      \
	    SECONDS(down_ms(s)))                                                                   \
	ONE("turnstile_upstream_connect_retries_total", "counter",                                 \
	    "Requests that asked again when the upstream was back.",                               \
	    proxy_counters(s->proxy)->connect_retries)                                             \
	ONE("turnstile_upstream_abandoned_total", "counter",                                        \
	    "Requests that went on after their client had left.",                                 \
	    proxy_counters(s->proxy)->abandoned)                                                   \
	ONE("turnstile_upstream_resent_total", "counter",                                          \
	    "Requests sent again, as the upstream had closed a kept connection.",                  \
	    s->gauges.upstream_resent)                                                             \
	ONE("turnstile_received_bytes_total", "counter", "Bytes of bodies from clients.",          \
	    proxy_counters(s->proxy)->bytes_in)                                                    \
	ONE("turnstile_sent_bytes_total", "counter", "Bytes of bodies to clients.",                \
	    proxy_counters(s->proxy)->bytes_out)                                                   \
	ONE("turnstile_heartbeat_responses_total", "counter",                              \
	    "Responses that began with pings, before the turn (queue.heartbeat_after_ms).",\
	    proxy_counters(s->proxy)->heartbeat_responses)                                 \
	ONE("turnstile_heartbeats_total", "counter", "Pings in these responses.",          \
	    proxy_counters(s->proxy)->heartbeats)                                          \
	ONE("turnstile_buffered_bytes", "gauge", "Bytes of bodies that wait with their request.",  \
	    s->gauges.buffered_bytes)                                                              \
	ONE("turnstile_bodies_displaced_total", "counter",                                         \
	    "Bodies that came too slowly and made room for others.",                               \
	    proxy_counters(s->proxy)->displaced)                                                   \
	ONE("turnstile_connections", "gauge", "Open connections of clients.",                      \
	    s->gauges.listener.connections.acceptor.open)                                          \
	ONE("turnstile_connections_max", "gauge",                                                  \
	    "How many there are at most: listen.max_connections, or what descriptors allow.",      \
	    s->max_clients)                                                                        \
	ONE("turnstile_connections_total", "counter", "Connections of clients since start.",       \
	    s->gauges.listener.connections.acceptor.accepted)                                      \
	ONE("turnstile_connections_refused_total", "counter",                                      \
	    "Connections refused for listen.max_connections_per_address.",                         \
	    s->gauges.listener.connections.acceptor.refused)                                       \
	ONE("turnstile_accept_pauses_total", "counter",                                            \
	    "How often accepting rested: too many connections, or no descriptors.",                \
	    s->gauges.listener.connections.acceptor.full +                                         \
	    s->gauges.listener.connections.acceptor.out_of_resources)                              \
	ONE("turnstile_head_timeouts_total", "counter",                                            \
	    "Connections closed for listen.header_timeout_ms.",                                    \
	    s->gauges.listener.connections.header_timeouts)                                        \
	ONE("turnstile_idle_timeouts_total", "counter",                                            \
	    "Connections closed for listen.idle_timeout_ms.",                                      \
	    s->gauges.listener.connections.idle_timeouts)                                          \
	ONE("turnstile_tls_handshakes_total", "counter", \
	    "TLS handshakes of clients that were completed.", \
	    s->gauges.listener.connections.tls.handshakes)                                         \
	ONE("turnstile_tls_failures_total", "counter", \
	    "Those that failed, plain HTTP included.", \
	    s->gauges.listener.connections.tls.failures)                                           \
	ONE("turnstile_log_lines_dropped_total", "counter",                                        \
	    "Lines of the log that were dropped, as nobody read them.", log_dropped())             \
	MANY("turnstile_webhook_events_total", "counter",                                          \
	     "Events for admin.webhook, by what became of them.", put_webhook)                     \
	ONE("turnstile_draining", "gauge", "Whether this process is shutting down.",               \
	    s->gauges.draining)                                                                    \
	MANY("turnstile_loop_delay_seconds", "histogram",                                          \
	     "How late a timer of the event loop ran that is due four times a second.",            \
	     put_delays)                                                                           \
	ONE("turnstile_loop_lag_seconds", "gauge",                                                 \
	    "The longest such delay of the last 10 to 20 s.",                                      \
	    (double)lag_longest_us(s->lag) / 1e6)                                                  \
	MANY("turnstile_account_turns_total", "counter",                                           \
	     "Turns by account; with admin.metrics_accounts only.", put_account_turns)             \
	MANY("turnstile_account_refused_total", "counter",                                         \
	     "User messages that had no turn, by account.", put_account_refused)                   \
	MANY("turnstile_account_wait_seconds_total", "counter",                                    \
	     "How long user messages waited in sum, by account.", put_account_wait)                \
	MANY("turnstile_account_hold_seconds_total", "counter",                                    \
	     "How long turns were held in sum, by account.", put_account_hold)                     \
	MANY("turnstile_account_answers_total", "counter",                                         \
	     "Answers of the upstream, by account and kind.", put_account_answers)                 \
	MANY("turnstile_share_turns_total", "counter",                                             \
	     "Turns by share; those that no [share] section names are `other`.", put_share_turns)  \
	MANY("turnstile_share_refused_total", "counter",                                           \
	     "User messages that had no turn, by share.", put_share_refused)                       \
	MANY("turnstile_share_wait_seconds_total", "counter",                                      \
	     "How long user messages waited in sum, by share.", put_share_wait)                    \
	MANY("turnstile_share_hold_seconds_total", "counter",                                      \
	     "How long turns were held in sum, by share.", put_share_hold)                         \
	MANY("turnstile_account_quota_used_ratio", "gauge",                                        \
	     "How much of a window the account has used, as the upstream told last.",              \
	     put_account_used)                                                                     \
	MANY("turnstile_account_quota_reset_timestamp_seconds", "gauge",                           \
	     "When that window ends, in seconds since 1970.", put_account_resets)                  \
	ONE("process_cpu_seconds_total", "counter", "User and system CPU time.", p->cpu_seconds)   \
	ONE("process_resident_memory_bytes", "gauge", "Resident memory.", p->resident_bytes)       \
	ONE("process_virtual_memory_bytes", "gauge", "Virtual memory.", p->virtual_bytes)          \
	ONE("process_threads", "gauge", "Threads.", p->threads)                                    \
	ONE("process_open_fds", "gauge", "Open file descriptors.", p->open_fds)                    \
	ONE("process_max_fds", "gauge", "Most file descriptors.", p->max_fds)                      \
	ONE("process_start_time_seconds", "gauge", "Start, in seconds since 1970.",                \
	    SECONDS(s->started_wall_ms))
/* clang-format on */

/* Label values are words of our own tables, or account names: nothing to escape in either. */
static void put_sample(struct buf *to, const char *name, const char *labels, double value)
{
	buf_printf(to, "%s%s %.17g\n", name, labels, value);
}

static void put_info(struct buf *to, const char *name, const struct metrics_source *s)
{
	buf_printf(to, "%s{version=\"%s\",backend=\"%s\"} 1\n", name, TURNSTILE_VERSION,
		   s->backend);
}

/* A pair that has never been is left out, but for those that alerts are made of. */
static void put_requests(struct buf *to, const char *name, const struct metrics_source *s)
{
	const struct proxy_counters *c = proxy_counters(s->proxy);

	for (int kind = 0; kind < KIND_COUNT; kind++) {
		for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++) {
			if (c->requests[kind][outcome] || kind == KIND_USER_MESSAGE)
				buf_printf(to, "%s{kind=\"%s\",outcome=\"%s\"} %" PRId64 "\n", name,
					   request_kind_name(kind), outcome_info[outcome].word,
					   c->requests[kind][outcome]);
		}
	}
}

static void put_reasons(struct buf *to, const char *name, const struct metrics_source *s)
{
	for (int i = 0; i < REQUEST_REASON_COUNT; i++)
		buf_printf(to, "%s{reason=\"%s\"} %" PRId64 "\n", name,
			   request_reason_info((enum request_reason)i)->code,
			   proxy_counters(s->proxy)->reasons[i]);
}

static void put_observed(struct buf *to, const char *name, const struct metrics_source *s)
{
	for (int i = 0; i < SHADOW_ENDS; i++)
		buf_printf(to, "%s{would_end=\"%s\"} %" PRId64 "\n", name,
			   shadow_end_name((enum shadow_end)i), proxy_observed(s->proxy)->ends[i]);
}

static void put_states(struct buf *to, const char *name, const struct metrics_source *s)
{
	for (size_t i = 0; i < PROXY_STATES; i++)
		buf_printf(to, "%s{state=\"%s\"} %" PRId64 "\n", name, s->gauges.states[i].name,
			   s->gauges.states[i].count);
}

static void put_histogram(struct buf *to, const char *name, const struct histogram *h)
{
	int64_t count = 0;

	if (!h)
		return;
	for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
		count += h->buckets[i];
		buf_printf(to, "%s_bucket{le=\"%g\"} %" PRId64 "\n", name,
			   (double)h->scale->le_us[i] / 1e6, count);
	}
	count += h->buckets[HISTOGRAM_BOUNDS];
	buf_printf(to, "%s_bucket{le=\"+Inf\"} %" PRId64 "\n", name, count);
	buf_printf(to, "%s_sum %.6f\n%s_count %" PRId64 "\n", name, (double)h->sum_us / 1e6, name,
		   count);
}

static void put_wait(struct buf *to, const char *name, const struct metrics_source *s)
{
	put_histogram(to, name, &proxy_counters(s->proxy)->wait);
}

static void put_hold(struct buf *to, const char *name, const struct metrics_source *s)
{
	put_histogram(to, name, &proxy_counters(s->proxy)->hold);
}

static void put_ttfb(struct buf *to, const char *name, const struct metrics_source *s)
{
	put_histogram(to, name, &proxy_counters(s->proxy)->ttfb);
}

static void put_upstream_ttfb(struct buf *to, const char *name, const struct metrics_source *s)
{
	put_histogram(to, name, &proxy_counters(s->proxy)->upstream_ttfb);
}

static void put_hand_offs(struct buf *to, const char *name, const struct metrics_source *s)
{
	put_histogram(to, name, s->lock.hand_offs);
}

static void put_round_trips(struct buf *to, const char *name, const struct metrics_source *s)
{
	put_histogram(to, name, s->lock.round_trips);
}

static void put_delays(struct buf *to, const char *name, const struct metrics_source *s)
{
	put_histogram(to, name, lag_delays(s->lag));
}

static void put_responses(struct buf *to, const char *name, const struct metrics_source *s)
{
	for (int first_digit = 1; first_digit < STATUS_CLASSES; first_digit++)
		buf_printf(to, "%s{class=\"%dxx\"} %" PRId64 "\n", name, first_digit,
			   proxy_counters(s->proxy)->upstream_responses[first_digit]);
}

static void put_limits(struct buf *to, const char *name, const struct metrics_source *s)
{
	for (int kind = LIMIT_NONE + 1; kind < LIMIT_KIND_COUNT; kind++)
		buf_printf(to, "%s{kind=\"%s\"} %" PRId64 "\n", name, limit_kind_names[kind],
			   proxy_counters(s->proxy)->limits[kind]);
}

/* Only what queue.retry can name. */
static void put_retries(struct buf *to, const char *name, const struct metrics_source *s)
{
	static const enum limit_kind kinds[] = { LIMIT_THROTTLE, LIMIT_OVERLOADED };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		buf_printf(to, "%s{kind=\"%s\"} %" PRId64 "\n", name, limit_kind_names[kinds[i]],
			   proxy_counters(s->proxy)->retries[kinds[i]]);
}

static void put_webhook(struct buf *to, const char *name, const struct metrics_source *s)
{
	const struct {
		const char *result;
		int64_t count;
	} rows[] = { { "sent", s->webhook->sent },
		     { "failed", s->webhook->failed },
		     { "dropped", s->webhook->dropped },
		     { "claimed", s->webhook->claimed } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		buf_printf(to, "%s{result=\"%s\"} %" PRId64 "\n", name, rows[i].result,
			   rows[i].count);
}

static int64_t down_ms(const struct metrics_source *s)
{
	int64_t since = s->gauges.upstream_down_since_ms;

	return since ? clock_ms() - since : 0;
}

static int64_t connect_failures(const struct metrics_source *s)
{
	int64_t n = 0;

	for (int kind = 0; kind < KIND_COUNT; kind++)
		n += proxy_counters(s->proxy)->requests[kind][OUTCOME_UPSTREAM_UNREACHABLE];
	return n;
}

/* --- by account, by share ------------------------------------------------------------------------------- */

struct account_column {
	struct buf *to;
	const char *name;
	const char *label;
	size_t offset; /* of an int64_t in struct tally_row */
	double unit;
};

static void put_account(void *arg, const struct tally_row *row)
{
	const struct account_column *c = arg;
	int64_t value = *(const int64_t *)((const char *)row + c->offset);

	buf_printf(c->to, "%s{%s=\"%s\"} %.17g\n", c->name, c->label, row->account,
		   (double)value * c->unit);
}

#define COLUMN(fn, label, tally, member, unit)                                                   \
	static void fn(struct buf *to, const char *name, const struct metrics_source *s)         \
	{                                                                                        \
		struct account_column c = { to, name, label, offsetof(struct tally_row, member), \
					    unit };                                              \
                                                                                                 \
		tally_each(tally(s->proxy), put_account, &c);                                    \
	}
COLUMN(put_account_turns, "account", proxy_tally, turns, 1)
COLUMN(put_account_refused, "account", proxy_tally, refused, 1)
COLUMN(put_account_wait, "account", proxy_tally, wait_us, 1e-6)
COLUMN(put_account_hold, "account", proxy_tally, hold_us, 1e-6)
COLUMN(put_share_turns, "share", proxy_people, turns, 1)
COLUMN(put_share_refused, "share", proxy_people, refused, 1)
COLUMN(put_share_wait, "share", proxy_people, wait_us, 1e-6)
COLUMN(put_share_hold, "share", proxy_people, hold_us, 1e-6)

static void put_answers_of(void *arg, const struct tally_row *row)
{
	static const char *const words[] = {
#define X(name, word, json) word,
		QUOTA_ANSWERS(X)
#undef X
	};
	const struct account_column *c = arg;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (row->answers[i])
			buf_printf(c->to, "%s{account=\"%s\",kind=\"%s\"} %" PRId64 "\n", c->name,
				   row->account, words[i], row->answers[i]);
	}
}

static void put_account_answers(struct buf *to, const char *name, const struct metrics_source *s)
{
	struct account_column c = { .to = to, .name = name };

	tally_each(proxy_tally(s->proxy), put_answers_of, &c);
}

struct quota_column {
	struct buf *to;
	const char *name;
	const struct quotas *quotas;
	bool resets;
};

static void put_quota_of(void *arg, const struct tally_row *row)
{
	const struct quota_column *c = arg;
	struct quota q;

	quotas_get(c->quotas, row->account, clock_wall_ms(), &q);
	for (size_t i = 0; i < q.reading.count; i++) {
		const struct limit_window *w = &q.reading.windows[i];

		if (c->resets ? w->reset_ms > 0 : w->utilisation >= 0)
			buf_printf(c->to, "%s{account=\"%s\",window=\"%s\"} %.17g\n", c->name,
				   row->account, w->name,
				   c->resets ? SECONDS(w->reset_ms) : w->utilisation);
	}
}

static void put_quota(struct buf *to, const char *name, const struct metrics_source *s, bool resets)
{
	struct quota_column c = { to, name, proxy_quotas(s->proxy), resets };

	tally_each(proxy_tally(s->proxy), put_quota_of, &c);
}

static void put_account_used(struct buf *to, const char *name, const struct metrics_source *s)
{
	put_quota(to, name, s, false);
}

static void put_account_resets(struct buf *to, const char *name, const struct metrics_source *s)
{
	put_quota(to, name, s, true);
}

static void put_head(struct buf *to, const char *name, const char *type, const char *help)
{
	buf_printf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A metric without a sample is left out whole. */
static void put_many(struct buf *to, const struct metrics_source *s, const char *const head[3],
		     void (*put)(struct buf *, const char *, const struct metrics_source *))
{
	CLEANUP(buf_clear) struct buf samples = { 0 };

	put(&samples, head[0], s);
	if (!samples.len)
		return;
	put_head(to, head[0], head[1], head[2]);
	buf_append(to, samples.data, samples.len);
}

void metrics_put(const struct metrics_source *s, struct buf *to)
{
	struct process_facts facts;
	const struct process_facts *p = &facts;

	process_look(&facts);
#define ONE(name, type, help, value)    \
	put_head(to, name, type, help); \
	put_sample(to, name, "", (double)(value));
#define MANY(name, type, help, put) put_many(to, s, (const char *const[]){ name, type, help }, put);
	METRICS(ONE, MANY)
#undef ONE
#undef MANY
}
