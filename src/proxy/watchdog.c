#include "proxy/watchdog.h"

#include "base/clock.h"
#include "proxy/exchange.h"
#include "proxy/forwarding.h"
#include "proxy/reply.h"

enum {
	RATE_WINDOW_MS = 10 * 1000, /* over which listen.min_rate_bytes_s counts, at most */
	DAWDLE_MS = 1000,           /* nobody is slow before this */
};

void watchdog_moved(struct exchange *x)
{
	x->moved_ms = clock_ms();
}

void watchdog_rate_anew(struct exchange *x)
{
	x->rate_since_ms = clock_ms();
	x->rate_bytes = x->bytes_in;
}

enum mover { MOVER_CLIENT, MOVER_UPSTREAM, MOVER_QUEUE };

static enum mover who_must_move(const struct exchange *x)
{
	switch (x->state) {
	case X_WAITING:
	case X_PACING:
		return MOVER_QUEUE; /* which has a timeout of its own */
	case X_FORWARDING:
		if (forwarding_is_parked(x))
			return MOVER_QUEUE; /* likewise */
		return x->client == CLIENT_SENDING && !x->upload.len ? MOVER_CLIENT
								     : MOVER_UPSTREAM;
	case X_STREAMING:
		return x->download.len ? MOVER_CLIENT : MOVER_UPSTREAM;
	case X_ABANDONED:
		return MOVER_UPSTREAM;
	default:
		return MOVER_CLIENT;
	}
}

static int64_t limit_ms(const struct exchange *x)
{
	const struct config *c = x->proxy->config;

	return who_must_move(x) == MOVER_UPSTREAM ? c->upstream.request_timeout_ms
						  : c->listen.stall_timeout_ms;
}

static int64_t rate_window_ms(const struct exchange *x)
{
	return MIN(RATE_WINDOW_MS, x->proxy->config->listen.stall_timeout_ms);
}

/*
 * Whether the client sent too little in the window that ends now. Bytes that we don't take from it,
 * as the upstream takes none from us, aren't its fault; while an answer is under way, the client
 * may be busy with that; and one that fell silent isn't slow, but stalls. Nobody needs what comes
 * behind an answer, but the connection is kept for it.
 */
static bool is_slow(struct exchange *x)
{
	int64_t min = x->proxy->config->listen.min_rate_bytes_s, now = clock_ms();
	int64_t elapsed = now - x->rate_since_ms, came = x->bytes_in - x->rate_bytes;
	bool unanswered = x->state == X_READING || x->state == X_FORWARDING;
	bool answered = x->state >= X_DRAINING && !x->download.len && came;
	bool sends = (unanswered || answered) && x->client == CLIENT_SENDING && !x->upload.len;

	if (sends && elapsed < rate_window_ms(x))
		return false;
	watchdog_rate_anew(x);
	return sends && now - x->moved_ms < elapsed / 2 && came * 1000 < min * elapsed;
}

/* A body that is kept has a time as a whole, whatever its client sends at the moment. */
static int64_t time_for_body_ms(const struct exchange *x)
{
	const struct config *c = x->proxy->config;
	int64_t rate = c->listen.body_rate_bytes_s;

	if (x->state != X_READING || x->client != CLIENT_SENDING || !rate)
		return INT64_MAX;
	return x->started_ms + c->listen.body_timeout_ms + x->bytes_in * 1000 / rate - clock_ms();
}

bool watchdog_finds_dawdling(const struct exchange *x)
{
	int64_t rate = x->proxy->config->listen.body_rate_bytes_s, now = clock_ms();
	int64_t elapsed = now - x->rate_since_ms, came = x->bytes_in - x->rate_bytes;

	if (x->state != X_READING || x->client != CLIENT_SENDING || !rate)
		return false;
	return now - x->moved_ms > DAWDLE_MS ||
	       (elapsed > DAWDLE_MS && came * 1000 < rate * elapsed);
}

/* The one to move may change without the watchdog hearing of it: it looks often enough for both. */
static void look_again(struct exchange *x)
{
	const struct config *c = x->proxy->config;
	int64_t left = x->moved_ms + limit_ms(x) - clock_ms();

	if (x->client == CLIENT_SENDING)
		left = MIN(left, MIN(rate_window_ms(x), time_for_body_ms(x)));
	timer_start(x->watchdog, MIN(MAX(left, 1), MIN(c->listen.stall_timeout_ms,
						       c->upstream.request_timeout_ms)));
}

/* What has gone on for too long, or OUTCOME_ANSWERED: nothing. */
static enum outcome overdue(struct exchange *x)
{
	enum mover mover = who_must_move(x);

	if (is_slow(x) || time_for_body_ms(x) <= 0)
		return OUTCOME_CLIENT_SLOW;
	if (mover == MOVER_QUEUE || clock_ms() < x->moved_ms + limit_ms(x))
		return OUTCOME_ANSWERED;
	return mover == MOVER_UPSTREAM ? OUTCOME_UPSTREAM_TIMEOUT : OUTCOME_CLIENT_STALLED;
}

static void on_watchdog(void *arg)
{
	struct exchange *x = arg;
	enum outcome outcome = overdue(x);

	if (outcome) {
		if (x->state == X_DYING)
			reply_cut(x); /* it doesn't even take its error */
		exchange_finish(x, outcome);
	}
	look_again(x);
}

void watchdog_start(struct exchange *x)
{
	watchdog_moved(x);
	x->rate_since_ms = x->started_ms;
	x->watchdog = timer_new(x->proxy->loop, on_watchdog, x);
	look_again(x);
}
