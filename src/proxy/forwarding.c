#include "proxy/forwarding.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "proxy/limited.h"
#include "proxy/reply.h"
#include "proxy/watchdog.h"

enum {
	PAUSE_MS = 50,           /* at least, from one try to the next */
	REFUSAL_COMES_MS = 1000, /* the body of a refusal; then its client hears of it */
};

static void on_transfer_changed(void *arg)
{
	exchange_poke(arg);
}

static bool on_transfer_gives(void *arg, const char *data, size_t len)
{
	struct exchange *x = arg;
	bool taken = reply_give(x, data, len);

	if (taken) {
		limited_body(x, data, len);
		if (x->state == X_FORWARDING)
			exchange_poke(x);
		watchdog_moved(x);
	}
	return taken;
}

/* Of a streamed body: what was kept of it, then what comes. */
static size_t take_body(struct exchange *x, char *to, size_t max)
{
	size_t kept = MIN(max, x->body.len - x->body_taken);

	if (!kept)
		return pipe_read(&x->upload, to, max);
	memcpy(to, buf_span(&x->body).ptr + x->body_taken, kept);
	x->body_taken += kept;
	return kept;
}

static ssize_t on_transfer_takes(void *arg, char *to, size_t max)
{
	struct exchange *x = arg;
	bool was_held_up = !pipe_room(&x->upload);
	size_t n = take_body(x, to, max);

	if (was_held_up) /* only from now on it is the client's turn to send */
		watchdog_rate_anew(x);
	if (!n && x->client != CLIENT_SENDING && x->client != CLIENT_WAITING)
		return -ECANCELED; /* it left: what it sent must not look like all of it */
	if (!n)
		return x->client == CLIENT_SENDING ? -EAGAIN : 0;
	watchdog_moved(x);
	if (x->request)
		http_request_wake(x->request);
	return (ssize_t)n;
}

static const struct transfer_events transfer_events = {
	.changed = on_transfer_changed,
	.give = on_transfer_gives,
	.take = on_transfer_takes,
};

static struct span host_to_send(const struct config *c)
{
	const char *host = c->upstream.host;

	if (!strcmp(host, "client"))
		return (struct span){ 0 };
	if (strcmp(host, "upstream"))
		return span_of(host);
	host = strstr(c->upstream.url, "://") + 3;
	return (struct span){ host, strcspn(host, "/") };
}

static void start(struct exchange *x)
{
	const struct config *c = x->proxy->config;
	const struct headers *h = http_request_headers(x->request);
	CLEANUP(field_list_clear) struct field_list fields = { 0 };
	CLEANUP(buf_clear) struct buf texts = { 0 };
	struct upstream_request r = {
		.method = http_request_method(x->request),
		.target = http_request_target(x->request),
		.length = -1,
	};

	forward_request_fields(h, host_to_send(c), x->peer_address,
			       c->listen.tls_cert[0] ? SPAN("https") : SPAN("http"), &texts,
			       &fields);
	if (x->told == TOLD_PINGS) /* its head was told without one */
		field_list_replace(&fields, SPAN("accept-encoding"), SPAN("identity"));
	r.fields = fields.fields;
	r.count = fields.count;
	if (x->body_streamed) {
		r.body = UPSTREAM_BODY_STREAM;
		r.length = headers_content_length(h);
	} else if (x->body.len || headers_get(h, SPAN("Content-Length")).ptr) {
		r.body = UPSTREAM_BODY_WHOLE;
		r.whole = buf_span(&x->body);
	}
	x->transfer = transfer_new(x->proxy->upstream, &r, &transfer_events, x);
}

void forwarding_begin(struct exchange *x)
{
	x->asked_ms = x->sent_ms = clock_ms();
	if (x->place.joined_ms)
		x->wait_ms = x->asked_ms - x->place.joined_ms;
	start(x);
}

/* --- parked ----------------------------------------------------------------------------------- */

static int64_t left_ms(const struct exchange *x)
{
	return x->asked_ms + x->proxy->config->upstream.connect_retry_ms - clock_ms();
}

static void on_time(void *arg)
{
	exchange_poke(arg);
}

static void look_again(struct exchange *x, int64_t ms)
{
	if (!x->again)
		x->again = timer_new(x->proxy->loop, on_time, x);
	timer_start(x->again, ms);
}

static void park(struct exchange *x, int64_t ms)
{
	transfer_free(&x->transfer);
	x->again_ms = clock_ms() + ms;
	look_again(x, ms);
}

bool forwarding_park(struct exchange *x)
{
	if (transfer_error(x->transfer) != UPSTREAM_UNREACHABLE || left_ms(x) <= 0)
		return false;
	free(x->error);
	x->error = xstrdup(transfer_error_text(x->transfer));
	park(x, PAUSE_MS);
	return true;
}

static void count_response(struct exchange *x)
{
	int first_digit = x->upstream_status / 100;

	if (first_digit < STATUS_CLASSES)
		x->proxy->counters.upstream_responses[first_digit]++;
}

/* Whether no more of the refusal is waited for: its client mustn't wait for one that stalls. */
static bool is_read(struct exchange *x)
{
	int64_t left;

	if (!x->refusal_ms)
		x->refusal_ms = clock_ms();
	left = x->refusal_ms + REFUSAL_COMES_MS - clock_ms();
	if (transfer_state(x->transfer) == TRANSFER_ENDED || left <= 0)
		return true;
	look_again(x, left);
	return false;
}

/* What came of its refusal is nobody's. */
static void park_refused(struct exchange *x, int64_t ms)
{
	x->refused = true;
	x->retries++;
	x->refusal_ms = 0;
	park(x, ms);
	buf_clear(&x->limit_body);
	reply_forget(x);
}

bool forwarding_is_answered(struct exchange *x)
{
	int64_t pause_ms;
	enum limited_next next = limited_next(x, false, &pause_ms);

	if (next == LIMITED_UNREAD && !is_read(x))
		return false;
	if (next == LIMITED_UNREAD)
		next = limited_next(x, true, &pause_ms);
	x->upstream_status = transfer_status(x->transfer);
	count_response(x);
	limited_fields(x);
	if (next == LIMITED_AGAIN)
		park_refused(x, pause_ms);
	return next == LIMITED_ANSWER;
}

bool forwarding_is_parked(const struct exchange *x)
{
	return x->state == X_FORWARDING && !x->transfer;
}

bool forwarding_wants_body(const struct exchange *x)
{
	bool ended = x->transfer && transfer_state(x->transfer) == TRANSFER_ENDED;

	if (!x->body_streamed || x->state < X_FORWARDING || x->state > X_STREAMING)
		return false;
	return x->transfer ? !ended || !transfer_was_sent(x->transfer) : true;
}

static void start_again(struct exchange *x)
{
	timer_stop(x->again);
	free(steal(&x->error));
	watchdog_moved(x);
	start(x);
}

/* If the upstream is away now, that has its own time. */
static bool go_on_refused(struct exchange *x, int64_t pause_ms)
{
	if (pause_ms > 0) {
		timer_start(x->again, pause_ms);
		return true;
	}
	x->refused = false;
	x->asked_ms = clock_ms();
	start_again(x);
	return true;
}

bool forwarding_go_on(struct exchange *x)
{
	int64_t pause_ms = x->again_ms - clock_ms(), left = left_ms(x);

	if (x->refused)
		return go_on_refused(x, pause_ms);
	if (left <= 0)
		return false;
	if (pause_ms > 0 || upstream_down_since_ms(x->proxy->upstream)) {
		timer_start(x->again, pause_ms > 0 ? pause_ms : left);
		return true;
	}
	x->proxy->counters.connect_retries++;
	start_again(x);
	return true;
}

void forwarding_upstream_is_back(void *proxy)
{
	struct proxy *p = proxy;
	struct exchange *x;

	list_for_each (x, &p->in_state[X_FORWARDING], link) {
		if (forwarding_is_parked(x))
			exchange_poke(x);
	}
}
