/*
 * exchange.c - the state machine of an exchange, and its one end.
 *
 * exchange_advance() runs as a job: never within a callback of MHD, curl or hiredis. It looks at
 * the facts and does what is due, until nothing is. What may happen in which state:
 *
 *      READING     the body is complete: classify it; join the queue or ask the upstream, or
 *                  both, where the queue is only observed
 *      WAITING     the place has moved: turn, pacing, timeout, full, failed, pass
 *      PACING      the same
 *      FORWARDING  the upstream's status is there: answer with it; or it can't be reached: wait
 *      FORWARDING, STREAMING  the turn is lost: cut, if that is wanted
 *      STREAMING   the upstream's response has ended: give the turn back
 *      ABANDONED   the same: it is over
 *      DRAINING    the client has got everything: answered
 *      any         the client is gone
 *
 * Whoever has to move next has a limit for it: watchdog.h.
 */
#include "proxy/exchange.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "proxy/access_log.h"
#include "proxy/forwarding.h"
#include "proxy/limited.h"
#include "proxy/line.h"
#include "proxy/proxy.h"
#include "proxy/reply.h"
#include "proxy/watchdog.h"

#define TO(state) (1u << (state))

enum {
	UPSTREAM_ID_MAX = 128, /* longer ones are cut in the log */
};

static const struct {
	const char *name;
	unsigned next;
} state_info[X_STATE_COUNT] = {
	[X_READING] = { "reading", TO(X_WAITING) | TO(X_FORWARDING) | TO(X_DYING) },
	[X_WAITING] = { "waiting", TO(X_PACING) | TO(X_FORWARDING) | TO(X_DYING) },
	[X_PACING] = { "pacing", TO(X_FORWARDING) | TO(X_DYING) },
	[X_FORWARDING] = { "forwarding", TO(X_STREAMING) | TO(X_ABANDONED) | TO(X_DYING) },
	[X_STREAMING] = { "streaming", TO(X_DRAINING) | TO(X_ABANDONED) | TO(X_DYING) },
	[X_ABANDONED] = { "abandoned", TO(X_DYING) },
	[X_DRAINING] = { "draining", TO(X_DYING) },
	[X_DYING] = { "dying", 0 },
};

const char *exchange_state_name(enum exchange_state state)
{
	return state_info[state].name;
}

static int64_t waiting_bytes(const struct exchange *x)
{
	return x->state == X_WAITING || x->state == X_PACING ? (int64_t)x->body.len : 0;
}

static void move(struct exchange *x, enum exchange_state to)
{
	must(state_info[x->state].next & TO(to));
	x->proxy->waiting_bytes -= waiting_bytes(x);
	list_remove(&x->link);
	x->proxy->count_in_state[x->state]--;
	x->state = to;
	list_append(&x->proxy->in_state[to], &x->link);
	x->proxy->count_in_state[to]++;
	x->proxy->waiting_bytes += waiting_bytes(x);
	watchdog_moved(x);
	watchdog_rate_anew(x); /* who must send from here on has a whole one */
}

void exchange_poke(struct exchange *x)
{
	loop_defer(x->proxy->loop, &x->advance);
}

/* --- the end ---------------------------------------------------------------------------------- */

/*
 * Whether its turn counts as used, so that the account's delay begins: the upstream may have seen
 * the request, and didn't refuse it for the caller's own sake. Else whoever makes up keys would
 * make others wait.
 */
static bool turn_was_used(const struct exchange *x)
{
	bool was_sent = x->retries || (x->transfer && transfer_was_sent(x->transfer));

	return was_sent && x->upstream_status != 401 && x->upstream_status != 403;
}

/* Place or turn. */
static void give_back(struct exchange *x)
{
	bool used = turn_was_used(x);

	if (x->place.turn_ms && x->hold_ms < 0) {
		x->hold_ms = clock_ms() - x->place.turn_ms;
		limited_end(x);
		x->turn_used = used;
	}
	queue_leave(&x->place, used ? LOCK_USED : LOCK_KEEP);
	if (x->shadow) {
		x->would_position = shadow_position(x->shadow);
		x->would_wait_ms = shadow_wait_ms(x->shadow);
	}
	shadow_release(&x->shadow, used);
}

static void drop_body(struct exchange *x)
{
	bodies_close(x->proxy->bodies, &x->kept);
	discard_buf(x->proxy->discard, &x->body);
	pipe_clear(&x->upload);
	look_free(steal(&x->look));
}

void exchange_finish(struct exchange *x, enum outcome outcome)
{
	if (x->state == X_DYING)
		return;
	x->outcome = outcome;
	give_back(x);
	limited_end(x);
	if (x->transfer && transfer_error_text(x->transfer)[0]) {
		free(x->error);
		x->error = xstrdup(transfer_error_text(x->transfer));
	}
	transfer_free(&x->transfer);
	timer_clear(&x->again);
	move(x, X_DYING);
	drop_body(x);
	reply_finish(x);
	exchange_poke(x);
}

static void exchange_free(struct exchange *x)
{
	struct proxy *p = x->proxy;

	access_log_exchange(x);
	list_remove(&x->link);
	p->count_in_state[x->state]--;
	job_cancel(&x->advance);
	timer_clear(&x->watchdog);
	timer_clear(&x->heartbeat);
	drop_body(x);
	pipe_clear(&x->download);
	buf_clear(&x->event);
	line_free(x->line);
	free(x->method);
	free(x->path);
	free(x->error);
	free(x->upstream_id);
	free(x->held_refusal);
	buf_clear(&x->limit_body);
	free(x);
	loop_defer(p->loop, &p->check_idle);
}

/* A stream lasts for minutes after the upstream has read what it asked. */
static void drop_sent_body(struct exchange *x)
{
	if (x->transfer && x->body.len && transfer_forget_body(x->transfer))
		drop_body(x);
}

/* --- asking the upstream ---------------------------------------------------------------------- */

static void ask_upstream(struct exchange *x)
{
	forwarding_begin(x);
	move(x, X_FORWARDING);
}

void exchange_stream_up(struct exchange *x)
{
	x->body_streamed = true;
	ask_upstream(x);
}

/* --- advancing -------------------------------------------------------------------------------- */

/*
 * Those in line leave a quarter of the room to bodies of which nobody knows yet whether they wait:
 * so a long line of one account doesn't stop the tool results of all. One may always wait.
 */
static bool has_room_to_wait(const struct exchange *x)
{
	const struct config *c = x->proxy->config;
	int64_t most = c->listen.max_buffered_bytes - c->listen.max_buffered_bytes / 4;

	return x->proxy->waiting_bytes + (int64_t)x->body.len <=
	       MAX(most, c->listen.max_body_bytes);
}

/* How it stands in its account's line is what its verdict says. */
static void set_standing(const struct request_verdict *v, struct lock_standing *ret)
{
	_Static_assert(sizeof v->share <= sizeof ret->share &&
			       sizeof v->session <= sizeof ret->session &&
			       sizeof v->keep_key <= sizeof ret->keep_key,
		       "what a verdict says fits");
	*ret = (struct lock_standing){ .weight = v->weight, .yields = v->yields };
	ret->families = v->families;
	strcpy(ret->share, v->share);
	snprintf(ret->mark, sizeof ret->mark, "%s", v->mark);
	strcpy(ret->session, v->session);
	strcpy(ret->keep_key, v->keep_key);
}

/* Stands in line; or lets a shadow do so, and goes on. */
static void join(struct exchange *x)
{
	struct proxy *p = x->proxy;

	set_standing(&x->verdict, &x->place.standing);
	request_terms(p->config, http_request_headers(x->request), x->verdict.account,
		      x->verdict.stream, clock_ms() - x->started_ms, &x->terms);
	if (x->terms.mode == QUEUE_MODE_OBSERVE) {
		x->shadow = shadow_join(p->shadows, x->verdict.account, &x->terms,
					&x->place.standing, x->id);
		return;
	}
	if (!has_room_to_wait(x)) {
		exchange_finish(x, OUTCOME_BUFFERS_FULL);
		return;
	}
	queue_join(p->queue, &x->place, x->verdict.account, &x->terms);
	move(x, X_WAITING);
	reply_expect(x);
}

static void advance_reading(struct exchange *x)
{
	if (x->client != CLIENT_WAITING)
		return;
	if (x->line) {
		line_advance(x);
		return;
	}
	if (x->look) {
		look_finish(x->look, x->proxy->config, http_request_headers(x->request),
			    x->peer_address, buf_span(&x->body), &x->verdict);
		look_free(steal(&x->look));
		if (x->verdict.other_key[0])
			log_debug("two different API keys", LOG_STR("request_id", x->id),
				  LOG_STR("counts", x->verdict.key),
				  LOG_STR("other", x->verdict.other_key));
	}
	if (x->verdict.gated)
		join(x);
	if (x->state == X_READING)
		ask_upstream(x);
}

static void advance_waiting(struct exchange *x)
{
	switch (x->place.state) {
	case PLACE_NONE:
	case PLACE_WAITING:
		break;
	case PLACE_PACING:
		if (x->state != X_PACING)
			move(x, X_PACING);
		break;
	case PLACE_TURN:
	case PLACE_PASS:
		ask_upstream(x);
		break;
	case PLACE_LOST:
		exchange_finish(x, OUTCOME_LOCK_LOST);
		break;
	case PLACE_FAILED:
		exchange_finish(x, OUTCOME_BACKEND_ERROR);
		break;
	case PLACE_REMOVED:
		exchange_finish(x, OUTCOME_QUEUE_REMOVED);
		break;
	case PLACE_TIMED_OUT:
		exchange_finish(x, OUTCOME_QUEUE_TIMEOUT);
		break;
	case PLACE_FULL:
		exchange_finish(x, OUTCOME_QUEUE_FULL);
		break;
	case PLACE_HELD:
		x->held_refusal = steal(&x->place.refusal);
		x->held_until_ms = x->place.held_until_ms;
		exchange_finish(x, OUTCOME_ACCOUNT_LIMITED);
		break;
	}
}

static enum outcome outcome_of(const struct transfer *t)
{
	return transfer_was_sent(t) ? OUTCOME_UPSTREAM_BROKEN : OUTCOME_UPSTREAM_UNREACHABLE;
}

/*
 * A turn that was lost before anything was sent isn't worth a try. A process that was stopped meanwhile
 * hears of that a moment later.
 */
static void advance_parked(struct exchange *x)
{
	if (x->place.state == PLACE_LOST)
		exchange_finish(x, OUTCOME_LOCK_LOST);
	else if (x->place.state == PLACE_TURN && !queue_holds(&x->place))
		return;
	else if (!forwarding_go_on(x))
		exchange_finish(x, OUTCOME_UPSTREAM_UNREACHABLE);
}

/*
 * Somebody else may have the turn by now; whether that is worth a response is the operator's to
 * say.
 */
static bool must_abort(const struct exchange *x)
{
	return x->place.state == PLACE_LOST &&
	       x->proxy->config->queue.on_lock_lost == ON_LOCK_LOST_ABORT;
}

/* The upstream's name for the request: the API's, or what many relays call theirs. */
static void note_upstream_id(struct exchange *x)
{
	const struct headers *h = transfer_fields(x->transfer);
	struct span id = headers_get(h, SPAN("request-id"));

	if (!id.len)
		id = headers_get(h, SPAN("x-request-id"));
	if (id.len)
		x->upstream_id = xstrndup(id.ptr, MIN(id.len, UPSTREAM_ID_MAX));
}

static void advance_forwarding(struct exchange *x)
{
	if (must_abort(x)) {
		exchange_finish(x, OUTCOME_LOCK_LOST);
		return;
	}
	if (forwarding_is_parked(x)) {
		advance_parked(x);
		return;
	}
	if (!transfer_status(x->transfer)) {
		if (transfer_state(x->transfer) == TRANSFER_ENDED && !forwarding_park(x))
			exchange_finish(x, outcome_of(x->transfer));
		return;
	}
	if (!forwarding_is_answered(x))
		return;
	note_upstream_id(x);
	x->answered_ms = clock_ms();
	limited_headers(x);
	move(x, X_STREAMING);
	/* the body of a refusal says whether it is a limit */
	if (x->terms.release_on == RELEASE_ON_HEADERS && x->upstream_status < 400)
		give_back(x);
	if (reply_with_response(x) < 0) {
		x->error = xstrdup("neither events nor an error, behind heartbeats");
		exchange_finish(x, OUTCOME_UPSTREAM_BROKEN);
		return;
	}
	drop_sent_body(x);
}

static void advance_streaming(struct exchange *x)
{
	if (must_abort(x)) {
		exchange_finish(x, OUTCOME_LOCK_LOST);
		return;
	}
	if (transfer_state(x->transfer) != TRANSFER_ENDED)
		return;
	if (transfer_error(x->transfer) != UPSTREAM_OK) {
		exchange_finish(x, OUTCOME_UPSTREAM_BROKEN);
		return;
	}
	give_back(x);
	drop_body(x);
	move(x, X_DRAINING);
	reply_end(x);
}

static void advance_draining(struct exchange *x)
{
	if (x->client == CLIENT_SERVED)
		exchange_finish(x, OUTCOME_ANSWERED);
}

/* --- without its client ----------------------------------------------------------------------- */

/*
 * Whether it goes on when its client is gone: the upstream has it, would go on all the same, and the next
 * one in line would run beside it. Those that go on have no connection that limits how many they are.
 */
static bool goes_on(const struct exchange *x)
{
	const struct config *c = x->proxy->config;
	bool is_asked = x->state == X_FORWARDING || x->state == X_STREAMING;

	return c->upstream.finish_abandoned && is_asked && x->place.state == PLACE_TURN &&
	       x->transfer && transfer_state(x->transfer) != TRANSFER_ENDED &&
	       transfer_was_sent(x->transfer) &&
	       proxy_exchanges(x->proxy) <= c->listen.max_connections;
}

static void abandon(struct exchange *x)
{
	x->abandoned_ms = clock_ms();
	x->proxy->counters.abandoned++;
	move(x, X_ABANDONED);
	reply_abandon(x);
}

static void advance_abandoned(struct exchange *x)
{
	if (x->place.state == PLACE_LOST) {
		exchange_finish(x, OUTCOME_CLIENT_GONE);
		return;
	}
	if (!x->upstream_status && transfer_status(x->transfer) && forwarding_is_answered(x)) {
		note_upstream_id(x);
		limited_headers(x);
	}
	if (transfer_state(x->transfer) == TRANSFER_ENDED)
		exchange_finish(x, OUTCOME_CLIENT_GONE);
}

static void (*const advance_state[X_STATE_COUNT])(struct exchange *x) = {
	[X_READING] = advance_reading,     [X_WAITING] = advance_waiting,
	[X_PACING] = advance_waiting,      [X_FORWARDING] = advance_forwarding,
	[X_STREAMING] = advance_streaming, [X_ABANDONED] = advance_abandoned,
	[X_DRAINING] = advance_draining,
};

static bool is_left(const struct exchange *x)
{
	return x->client == CLIENT_GONE || x->client == CLIENT_CLOSED;
}

static void advance(struct job *job)
{
	struct exchange *x = container_of(job, struct exchange, advance);
	enum exchange_state before;

	do {
		before = x->state;
		if (is_left(x) && goes_on(x))
			abandon(x);
		else if (is_left(x) && x->state != X_ABANDONED)
			exchange_finish(x, OUTCOME_CLIENT_GONE);
		if (x->state != X_DYING)
			advance_state[x->state](x);
	} while (x->state != before);
	if (x->state == X_DYING && !x->request)
		exchange_free(x);
}

static void on_place_changed(void *arg)
{
	exchange_poke(arg);
}

struct exchange *exchange_new(struct proxy *p, struct http_request *request)
{
	struct exchange *x = xcalloc(1, sizeof *x);
	struct span method = http_request_method(request), target = http_request_target(request);

	x->proxy = p;
	x->request = request;
	x->advance.run = advance;
	x->place.changed = on_place_changed;
	x->place.x = x;
	x->place.client = x->client_address;
	x->wait_ms = x->hold_ms = x->would_position = x->would_wait_ms = -1;
	x->started_ms = clock_ms();
	x->method = xstrndup(method.ptr, method.len);
	x->path = xstrndup(target.ptr, strcspn(target.ptr, "?"));
	snprintf(x->peer_address, sizeof x->peer_address, "%s", http_request_client(request));
	client_find(p->config->account.trusted_proxies, http_request_headers(request),
		    x->peer_address, x->client_address);
	request_not_looked_at(&x->verdict);
	snprintf(x->id, sizeof x->id, "req_%012" PRIx64 "%012" PRIx64, p->id_of_boot,
		 ++p->requests);
	list_append(&p->in_state[X_READING], &x->link);
	p->count_in_state[X_READING]++;
	watchdog_start(x);
	return x;
}
