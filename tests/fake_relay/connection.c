/*
 * connection.c - reads requests, answers them, misbehaves as told.
 *
 *      (PAUSED) <─> READING ──> DELAYED ──> SENDING <──> PACING
 *                      │           ^           │ └─────> STALLED    (says nothing more)
 *                      └──> WAITING┘           v
 *                      (/__relay/wait)       LAST ──> READING       (the next request)
 *                                              ├────> LINGERING ─┐  (reads until the peer closes)
 *                                              └─────────────────┴─> CLOSED
 *
 * A response is made piece by piece, only when the pieces before it are with the kernel. So a peer
 * that doesn't read costs at most OUT_BYTES and a piece, and a request is recorded as done in
 * the very moment in which its last byte leaves: nothing that the peer does then is seen earlier.
 */
#include "connection.h"

#include <string.h>

#include "base/clock.h"
#include "control.h"
#include "incoming.h"
#include "reply.h"
#include "script.h"

enum { OUT_BYTES = 16 << 10, EARLY_BYTES = 64 << 10, LINGER_MS = 5000 };

enum connection_state {
	CONN_READING,
	CONN_PAUSED,
	CONN_DELAYED,
	CONN_WAITING,
	CONN_SENDING,
	CONN_PACING,
	CONN_STALLED,
	CONN_LAST,
	CONN_LINGERING,
	CONN_CLOSED,
};

enum ending { END_KEEP, END_CLOSE, END_RESET, END_LINGER };

struct connection {
	uv_tcp_t tcp;
	struct relay *relay;
	struct list link, waiting_link;
	enum connection_state state;
	uint64_t number;
	bool stale; /* closes when the next request arrives */

	struct incoming in;
	struct script script;
	struct reply reply;
	struct buf complaint; /* why the script isn't understood */
	struct condition condition;
	struct record *record;
	uint64_t paced; /* the piece that has been waited for */
	enum ending ending;
	enum record_phase outcome; /* when the last byte is out */

	struct timer *timer;
	struct job next;  /* goes on with `early` */
	struct buf early; /* what arrived behind the request at hand */
	struct buf out, writing;
	uv_write_t write;
	uv_shutdown_t shutdown;
};

static void feed(struct connection *c, const char *data, size_t len);
static void on_timer(void *arg);

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *ret)
{
	struct connection *c = container_of((uv_tcp_t *)handle, struct connection, tcp);

	(void)wanted;
	*ret = uv_buf_init(c->relay->input, sizeof c->relay->input);
}

static void exchange_clear(struct connection *c)
{
	incoming_clear(&c->in);
	reply_clear(&c->reply);
	buf_clear(&c->complaint);
	condition_clear(&c->condition);
	list_remove(&c->waiting_link);
	c->script = SCRIPT_DEFAULT;
	c->paced = 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct connection *c = container_of((uv_tcp_t *)handle, struct connection, tcp);

	exchange_clear(c);
	buf_clear(&c->early);
	buf_clear(&c->out);
	buf_clear(&c->writing);
	free(c);
}

/* `how` the request at hand ends, if there is one. May be called twice. */
static void close_as(struct connection *c, enum record_phase how, bool reset)
{
	if (c->state == CONN_CLOSED)
		return;
	c->state = CONN_CLOSED;
	record_end(&c->relay->recorder, c->record, how);
	list_remove(&c->link);
	list_remove(&c->waiting_link);
	job_cancel(&c->next);
	timer_clear(&c->timer);
	c->relay->recorder.open--;
	if (!reset || uv_tcp_close_reset(&c->tcp, on_closed) != 0)
		uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static void on_readable(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct connection *c = container_of((uv_tcp_t *)stream, struct connection, tcp);

	if (n < 0) {
		close_as(c, RECORD_ABORTED, false);
	} else if (n > 0 && c->stale) {
		c->relay->recorder.stale++;
		close_as(c, RECORD_CUT, false);
	} else if (n > 0) {
		feed(c, buf->base, (size_t)n);
	}
}

static void start_timer(struct connection *c, int64_t in_ms)
{
	if (!c->timer)
		c->timer = timer_new(&c->relay->loop, on_timer, c);
	timer_start(c->timer, in_ms);
}

static void read_next(struct connection *c)
{
	exchange_clear(c);
	c->state = CONN_READING;
	if (c->early.len)
		loop_defer(&c->relay->loop, &c->next);
	uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_readable);
}

/* The last byte of the response is with the kernel. */
static void sent(struct connection *c)
{
	record_end(&c->relay->recorder, c->record, c->outcome);
	switch (c->ending) {
	case END_KEEP:
		c->stale = c->script.fault == FAULT_STALE;
		read_next(c);
		break;
	case END_LINGER:
		c->state = CONN_LINGERING;
		uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, NULL);
		start_timer(c, LINGER_MS);
		break;
	default:
		close_as(c, c->outcome, c->ending == END_RESET);
		break;
	}
}

static void cut(struct connection *c)
{
	size_t whole = c->out.len;

	if (c->reply.next < c->reply.pieces)
		reply_piece(&c->reply, &c->script, c->reply.next, &c->out);
	c->out.len -= (c->out.len - whole) / 2;
	c->outcome = RECORD_CUT;
	c->ending = c->reply.close ? END_RESET : END_CLOSE;
	c->state = CONN_LAST;
}

/* Makes the next pieces, up to the next pause or OUT_BYTES. */
static void produce(struct connection *c)
{
	struct reply *r = &c->reply;

	while (c->state == CONN_SENDING && c->out.len < OUT_BYTES) {
		bool due = r->next == MIN((uint64_t)c->script.cut_after, r->pieces);

		if (due && c->script.fault == FAULT_STALL) {
			c->state = CONN_STALLED;
		} else if (due && c->script.fault == FAULT_CUT_BODY) {
			cut(c);
		} else if (r->next == r->pieces) {
			reply_end(r, &c->out);
			c->state = CONN_LAST;
		} else if (c->paced != r->next && reply_paced(r, &c->script, r->next)) {
			c->paced = r->next;
			c->state = CONN_PACING;
			start_timer(c, c->script.interval_ms);
		} else {
			reply_piece(r, &c->script, r->next++, &c->out);
		}
	}
}

static void on_written(uv_write_t *write, int status);

/* Hands over what the kernel takes now; the rest goes by itself. False if the peer is gone. */
static bool flush(struct connection *c)
{
	uv_buf_t b = uv_buf_init(c->out.data, (unsigned)c->out.len);
	int n;

	if (!c->out.len)
		return true;
	if (c->state == CONN_LAST)
		record_leaving(c->record);
	n = uv_try_write((uv_stream_t *)&c->tcp, &b, 1);
	if (n < 0 && n != UV_EAGAIN) {
		close_as(c, RECORD_ABORTED, false);
		return false;
	}
	n = MAX(n, 0);
	if ((size_t)n == c->out.len) {
		c->out.len = 0;
		return true;
	}
	c->writing = c->out;
	c->out = (struct buf){ 0 };
	b = uv_buf_init(c->writing.data + n, (unsigned)(c->writing.len - (size_t)n));
	must(uv_write(&c->write, (uv_stream_t *)&c->tcp, &b, 1, on_written) == 0);
	return true;
}

/* Sends on until the peer doesn't take more, the next pause, or the end. */
static void pump(struct connection *c)
{
	while (!c->writing.len) {
		produce(c);
		if (!flush(c) || c->writing.len)
			return;
		if (c->state == CONN_LAST) {
			sent(c);
			return;
		}
		if (c->state != CONN_SENDING)
			return;
	}
}

static void on_written(uv_write_t *write, int status)
{
	struct connection *c = container_of(write, struct connection, write);

	buf_clear(&c->writing);
	if (status == 0)
		pump(c);
	else
		close_as(c, RECORD_ABORTED, false);
}

/* Sends c->reply, which has been chosen. */
static void respond(struct connection *c, enum ending ending)
{
	reply_head(&c->reply, &c->in, &c->script, &c->out);
	c->ending = ending == END_KEEP && c->reply.close ? END_CLOSE : ending;
	c->outcome = RECORD_DONE;
	c->state = CONN_SENDING;
	record_headers(&c->relay->recorder, c->record);
	pump(c);
}

static void respond_error(struct connection *c, int status, struct span message, enum ending ending)
{
	c->reply.number = ++c->relay->answers;
	reply_error(&c->reply, status, message);
	c->reply.close = ending != END_KEEP;
	respond(c, ending);
}

/* Sends what is in c->out and closes. */
static void break_off(struct connection *c)
{
	c->outcome = RECORD_CUT;
	c->ending = END_CLOSE;
	c->state = CONN_LAST;
	pump(c);
}

/* The whole request is here and the delay is over. */
static void answer(struct connection *c)
{
	c->reply.number = ++c->relay->answers;
	reply_route(&c->reply, &c->in, &c->script, c->number);
	switch (c->script.fault) {
	case FAULT_REFUSE_LATE:
		close_as(c, RECORD_CUT, false);
		return;
	case FAULT_GARBAGE:
		buf_puts(&c->out, "\x01\x02 this is no HTTP at all\r\n\r\n");
		break_off(c);
		return;
	case FAULT_CUT_HEADERS:
		reply_head(&c->reply, &c->in, &c->script, &c->out);
		c->out.len /= 2;
		break_off(c);
		return;
	case FAULT_INTERIM:
		buf_puts(&c->out,
			 "HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n"
			 "HTTP/1.1 100 Continue\r\n\r\n");
		break;
	default:
		break;
	}
	respond(c, c->script.fault == FAULT_CLOSE_IDLE ? END_CLOSE : END_KEEP);
}

/* Answers and events that are held back go out, and events behind them without a pause. */
static void go_on(struct relay *relay)
{
	struct connection *c;

	list_for_each (c, &relay->connections, link) {
		if (c->state == CONN_PACING)
			c->script.interval_ms = 0;
		if (c->state == CONN_PACING || c->state == CONN_DELAYED)
			start_timer(c, 0);
	}
}

static void respond_control(struct connection *c)
{
	struct buf text = { 0 };

	switch (control(&c->relay->recorder, &c->in, &text, &c->condition)) {
	case CONTROL_WAIT:
		c->state = CONN_WAITING;
		list_append(&c->relay->waiting, &c->waiting_link);
		loop_defer(&c->relay->loop, &c->relay->check);
		start_timer(c, c->condition.limit_ms);
		break;
	case CONTROL_GO:
		go_on(c->relay);
		/* fall through */
	case CONTROL_ANSWER:
		reply_json(&c->reply, &text);
		respond(c, END_KEEP);
		break;
	case CONTROL_BAD:
		respond_error(c, 400, buf_span(&text), END_KEEP);
		break;
	}
	buf_clear(&text);
}

static bool is_control(const struct connection *c)
{
	return span_starts(c->in.path, SPAN("/__relay/"));
}

/* The whole request is here. */
static void complete(struct connection *c)
{
	record_body(&c->relay->recorder, c->record, c->in.body_bytes, c->in.sha256);
	if (is_control(c)) {
		respond_control(c);
	} else if (c->complaint.len) {
		respond_error(c, 400, buf_span(&c->complaint), END_KEEP);
	} else if (c->script.fault == FAULT_SILENT) {
		c->state = CONN_STALLED;
	} else if (c->script.delay_ms) {
		c->state = CONN_DELAYED;
		start_timer(c, c->script.delay_ms);
	} else {
		answer(c);
	}
}

/* The value of x-api-key, else of Authorization without "Bearer ". */
static struct span account_of(const struct headers *h)
{
	struct span key = headers_get(h, SPAN("x-api-key"));
	struct span bearer = headers_get(h, SPAN("authorization"));

	if (key.ptr)
		return key;
	if (span_starts(bearer, SPAN("Bearer ")))
		return (struct span){ bearer.ptr + 7, bearer.len - 7 };
	return bearer;
}

static void record(struct connection *c)
{
	const struct incoming *in = &c->in;
	struct arrival a = {
		.account = account_of(&in->headers),
		.tag = c->script.tag,
		.method = in->method,
		.target = in->target,
		.connection = c->number,
		.counted = !c->script.uncounted && span_eq(in->method, SPAN("POST")) &&
			   span_ends(in->path, SPAN("/v1/messages")),
	};

	record_begin(&c->relay->recorder, &a, &c->record);
}

/* It is only for those who came before: this one is answered as any other. */
static void forget_script(struct connection *c)
{
	struct span tag = c->script.tag;

	c->script = SCRIPT_DEFAULT;
	c->script.tag = tag;
	c->script.is_over = true;
}

/* The head is here. */
static void begin(struct connection *c)
{
	if (is_control(c))
		return;
	if (script_read(&c->in.headers, &c->script, &c->complaint) < 0)
		c->script = SCRIPT_DEFAULT;
	if (c->script.first &&
	    recorder_tagged(&c->relay->recorder, c->script.tag) >= (uint64_t)c->script.first)
		forget_script(c);
	record(c);
	if (c->in.expects_100) {
		buf_puts(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
		if (!flush(c))
			return;
	}
	if (c->script.fault == FAULT_RESET) {
		close_as(c, RECORD_CUT, true);
	} else if (c->script.fault == FAULT_EARLY_413) {
		respond_error(c, 413, SPAN("the body is larger than allowed"), END_LINGER);
	} else if (c->script.read_pause_ms) {
		uv_read_stop((uv_stream_t *)&c->tcp);
		c->state = CONN_PAUSED;
		start_timer(c, c->script.read_pause_ms);
	}
}

/* Bytes that the request at hand doesn't take. */
static void keep_for_later(struct connection *c, const char *data, size_t len)
{
	if (c->state == CONN_CLOSED || c->state == CONN_LINGERING ||
	    (c->state != CONN_PAUSED && c->state != CONN_READING && c->in.state != INCOMING_DONE))
		return;
	buf_append(&c->early, data, len);
	if (c->early.len > EARLY_BYTES)
		uv_read_stop((uv_stream_t *)&c->tcp);
}

static void feed(struct connection *c, const char *data, size_t len)
{
	while (len && c->state == CONN_READING && !c->early.len) {
		bool head = c->in.state == INCOMING_HEAD;
		size_t n = incoming_feed(&c->in, data, len);

		data += n;
		len -= n;
		if (c->in.state == INCOMING_BAD)
			respond_error(c, 400, SPAN("this is no HTTP/1.1"), END_LINGER);
		else if (head && c->in.state != INCOMING_HEAD)
			begin(c);
		if (c->state == CONN_READING && c->in.state == INCOMING_DONE)
			complete(c);
	}
	if (len)
		keep_for_later(c, data, len);
}

static void go_on_with_early(struct job *job)
{
	struct connection *c = container_of(job, struct connection, next);
	CLEANUP(buf_clear) struct buf early = c->early;

	c->early = (struct buf){ 0 };
	feed(c, early.data, early.len);
}

static void on_timer(void *arg)
{
	struct connection *c = arg;

	switch (c->state) {
	case CONN_PAUSED:
		c->state = CONN_READING;
		if (c->early.len)
			loop_defer(&c->relay->loop, &c->next);
		uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_readable);
		break;
	case CONN_DELAYED:
		answer(c);
		break;
	case CONN_WAITING:
		respond_error(c, 408, SPAN("it did not come about in time"), END_KEEP);
		break;
	case CONN_PACING:
		c->state = CONN_SENDING;
		pump(c);
		break;
	case CONN_LINGERING:
		close_as(c, RECORD_DONE, false);
		break;
	default:
		break;
	}
}

void connections_check_waiting(struct relay *relay)
{
	struct connection *c, *next;

	list_for_each_safe (c, next, &relay->waiting, waiting_link) {
		if (recorder_holds(&relay->recorder, &c->condition)) {
			struct buf text = { 0 };

			timer_stop(c->timer);
			buf_puts(&text, "{\"holds\":true}\n");
			reply_json(&c->reply, &text);
			list_remove(&c->waiting_link);
			respond(c, END_KEEP);
		}
	}
}

void connections_close(struct relay *relay)
{
	struct connection *c, *next;

	list_for_each_safe (c, next, &relay->connections, link)
		close_as(c, RECORD_CUT, false);
}

void connection_accept(struct relay *relay, uv_stream_t *listener)
{
	struct connection *c = xcalloc(1, sizeof *c);

	c->relay = relay;
	c->number = ++relay->recorder.connections;
	c->script = SCRIPT_DEFAULT;
	c->next.run = go_on_with_early;
	relay->recorder.open++;
	list_append(&relay->connections, &c->link);
	must(uv_tcp_init(&relay->loop.uv, &c->tcp) == 0);
	if (uv_accept(listener, (uv_stream_t *)&c->tcp) < 0) {
		close_as(c, RECORD_CUT, false);
		return;
	}
	uv_tcp_nodelay(&c->tcp, 1);
	uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_readable);
}
