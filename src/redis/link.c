/*
 * link.c - one asynchronous connection of hiredis on libuv.
 *
 * hiredis only tells facts here: its callbacks never free a connection, but set `broken` and ask
 * for a job, which tears down outside of hiredis' stack frames. Pending commands are kept in an
 * own list, since hiredis calls back with NULL from various depths of its teardown.
 *
 *      redis_link_send ──> pending: c1 -> c2 -> c3 ──answers──> head
 *                                   │ the one timer: the head's deadline
 *
 * hiredis/adapters/libuv.h isn't used: it ignores status != 0, which is how libuv reports a
 * refused connection (EPOLLERR without EPOLLIN, see uv__poll_io()), so that would never be noticed.
 * Writing is tried at the end of the loop turn; only what doesn't fit costs an epoll_ctl.
 *
 * hiredis 0.14 and 1.x: both call onConnect(REDIS_ERR) for a failed connection and onDisconnect
 * for one that had been made, and free the context themselves after it.
 */
#include "redis/link.h"

#include <errno.h>
#include <hiredis/async.h>

#include "base/clock.h"
#include "base/log.h"
#include "redis/abort.h"
#include "redis/command.h"
#include "redis/guard.h"
#include "redis/reply.h"

enum { BACKOFF_MIN_MS = 50, BACKOFF_MAX_MS = 500, RECHECK_MS = 1000, HEARS_EVERY_TIMEOUTS = 5 };

enum state { BACKOFF, RESOLVING, CONNECTING, GREETING, UP };

struct pending {
	struct list link;
	redis_reply_fn fn; /* NULL: part of the greeting */
	void *arg;
	int64_t deadline_ms;
};

/* The poll handle of one connection; outlives it until libuv has closed it. */
struct wire {
	uv_poll_t poll;
	struct redis_link *owner; /* NULL once the connection is gone */
	redisAsyncContext *ac;    /* as above */
	struct redis_guard guard;
	int events;
	bool flushing; /* hiredis is writing: if it asks for more, the socket is full */
};

struct redis_link {
	struct loop *loop;
	struct redis_link_terms terms;
	char *name, *channel;
	struct buf greeting;
	enum state state;
	struct wire *wire;
	struct redis_find *find;
	struct redis_endpoint endpoint; /* where the last connection went */
	struct redis_endpoint was_at;   /* the last one that was up, as others know this server */
	struct list pending;
	struct timer *timer;   /* BACKOFF: try; else: a deadline may have passed */
	struct timer *recheck; /* UP, with sentinels: whether this still is the master */
	struct timer *hearing; /* UP, with a channel: whether messages would still arrive */
	bool hearing_asked;    /* and not answered yet */
	bool timer_runs;
	bool looked; /* at the socket once more, since the head's deadline has passed */
	struct job flush_job, broken_job;
	char cause[160]; /* why broken_job will run */
	int backoff_ms;
	unsigned attempts;
	bool complained; /* an outage is in the log already */
};

static void try(struct redis_link *l);
static void subscribe(struct redis_link *l);

/* --- up and down ------------------------------------------------------------------------- */

static void break_link(struct redis_link *l, const char *cause)
{
	if (l->state == BACKOFF || !list_empty(&l->broken_job.link))
		return;
	snprintf(l->cause, sizeof l->cause, "%s", cause && *cause ? cause : "connection closed");
	loop_defer(l->loop, &l->broken_job);
}

static void drop_wire(struct redis_link *l)
{
	struct wire *w = l->wire;

	if (w)
		redisAsyncFree(w->ac); /* calls wire_closed() */
	must(!l->wire);
	redis_find_cancel(steal(&l->find));
}

/* Answers may send more, which fails as the link isn't up: so this ends. */
static void drop_pending(struct redis_link *l, bool tell)
{
	struct pending *p;

	while ((p = list_first(&l->pending, struct pending, link))) {
		redis_reply_fn fn = p->fn;
		void *arg = p->arg;

		list_remove(&p->link);
		free(p);
		if (fn && tell)
			fn(arg, NULL);
	}
}

const char *redis_link_forbidden(const struct redis_link *l)
{
	bool forbidden = l && l->channel && !redis_link_is_up(l) && strstr(l->cause, "NOPERM");

	return forbidden ? l->cause : "";
}

/* One outage is one line: the listening link keeps quiet, unless it is forbidden to listen. */
static void complain(struct redis_link *l)
{
	bool forbidden = *redis_link_forbidden(l);
	CLEANUP(freep) char *at = NULL;

	if (l->complained || (l->channel && !forbidden))
		return;
	at = redis_endpoint_text(l->terms.address, &l->endpoint);
	log_warn(forbidden ? "redis forbids to listen: turns are handed over by touches only"
			   : "redis is unreachable",
		 LOG_STR("link", l->name), LOG_STR("at", at), LOG_STR("cause", l->cause));
	l->complained = true;
}

/* Backs off for a random half to whole of a time that doubles, so that a fleet doesn't march. */
static void broken(struct job *job)
{
	struct redis_link *l = container_of(job, struct redis_link, broken_job);
	bool was_up = l->state == UP;

	complain(l);
	l->state = BACKOFF;
	l->looked = false;
	if (l->wire)
		redis_abort(&l->wire->ac->c);
	drop_wire(l);
	job_cancel(&l->flush_job);
	drop_pending(l, true);
	l->backoff_ms = was_up ? BACKOFF_MIN_MS : MIN(2 * l->backoff_ms, BACKOFF_MAX_MS);
	l->timer_runs = true;
	timer_start(l->timer, l->backoff_ms / 2 + (clock_us() % (l->backoff_ms / 2 + 1)));
	if (was_up)
		l->terms.on_down(l->terms.arg);
}

/*
 * A former master goes on to serve for seconds, until a sentinel tells it that it is a replica now.
 */
static void on_rechecked(void *arg, const char *error, const struct redis_endpoint *endpoint)
{
	struct redis_link *l = arg;

	l->find = NULL;
	if (!error && (endpoint->port != l->endpoint.port || strcmp(endpoint->ip, l->endpoint.ip)))
		break_link(l, "another server is the master now");
	else
		timer_start(l->recheck, RECHECK_MS);
}

static void recheck(void *arg)
{
	struct redis_link *l = arg;

	if (l->state == UP && !l->find)
		l->find = redis_find_start(l->loop, l->terms.address, l->attempts++,
					   *l->terms.timeout_ms, on_rechecked, l);
}

/*
 * A connection that only listens has no deadlines: one that something between us and Redis has
 * forgotten would be silent for good. To subscribe again changes nothing, and is answered; PING
 * would be as well, but hiredis 0.14 throws that answer away.
 */
static void check_hearing(void *arg)
{
	struct redis_link *l = arg;

	if (!redis_link_is_up(l))
		return;
	if (l->hearing_asked) {
		break_link(l, "no answer in time");
		return;
	}
	l->hearing_asked = true;
	timer_start(l->hearing, *l->terms.timeout_ms);
	subscribe(l);
}

static void is_heard(struct redis_link *l)
{
	l->hearing_asked = false;
	timer_start(l->hearing, HEARS_EVERY_TIMEOUTS * *l->terms.timeout_ms);
}

static void link_is_up(struct redis_link *l)
{
	l->state = UP;
	l->was_at = l->endpoint;
	if (l->channel)
		is_heard(l);
	if (l->terms.address->master)
		timer_start(l->recheck, RECHECK_MS);
	if (l->complained)
		log_info("redis is reachable again", LOG_STR("link", l->name));
	l->complained = false;
	l->terms.on_up(l->terms.arg);
}

/* --- deadlines --------------------------------------------------------------------------- */

enum { LAST_LOOK_MS = 1 }; /* the socket is polled before it is over */

/* The timer isn't moved with each command: when it fires it looks what is due, and goes on. */
static void watch(struct redis_link *l, int64_t in_ms)
{
	if (l->timer_runs)
		return;
	l->timer_runs = true;
	timer_start(l->timer, in_ms);
}

/* Those behind it waited for their turn at a server that answers: their time begins anew. */
static void answered(struct redis_link *l)
{
	struct pending *next = list_first(&l->pending, struct pending, link);

	l->looked = false;
	if (next)
		next->deadline_ms = MAX(next->deadline_ms, clock_ms() + *l->terms.timeout_ms);
}

/* The answer may be there all the time, and this process wasn't. */
static void is_overdue(struct redis_link *l)
{
	if (l->looked) {
		break_link(l, "no answer in time");
		return;
	}
	l->looked = true;
	watch(l, LAST_LOOK_MS);
}

static void timer_fired(void *arg)
{
	struct redis_link *l = arg;
	struct pending *head = list_first(&l->pending, struct pending, link);
	int64_t left_ms = head ? head->deadline_ms - clock_ms() : INT64_MAX;

	l->timer_runs = false;
	if (l->state == BACKOFF)
		try(l);
	else if (head && left_ms <= 0)
		is_overdue(l);
	else if (head)
		watch(l, left_ms);
	else if (l->state != UP)
		break_link(l, "no connection in time");
}

/* --- libuv <-> hiredis ------------------------------------------------------------------- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct wire *w = container_of(poll, struct wire, poll);

	/* An error is found by reading, whatever hiredis was waiting for. */
	if (w->ac && (status < 0 || (events & UV_READABLE)))
		redisAsyncHandleRead(w->ac);
	if (w->ac && redis_guard_is_full(&w->guard, &w->ac->c))
		break_link(w->owner, w->guard.refusal);
	if (w->ac && (events & UV_WRITABLE)) {
		w->flushing = true;
		redisAsyncHandleWrite(w->ac);
		w->flushing = false;
	}
}

static void set_events(struct wire *w, int events)
{
	if (events == w->events)
		return;
	w->events = events;
	if (events)
		must(uv_poll_start(&w->poll, events, on_poll) == 0);
	else
		uv_poll_stop(&w->poll);
}

static void add_read(void *arg)
{
	struct wire *w = arg;

	set_events(w, w->events | UV_READABLE);
}

static void del_read(void *arg)
{
	struct wire *w = arg;

	set_events(w, w->events & ~UV_READABLE);
}

static void add_write(void *arg)
{
	struct wire *w = arg;

	if (w->flushing || !(w->ac->c.flags & REDIS_CONNECTED))
		set_events(w, w->events | UV_WRITABLE);
	else
		loop_defer(w->owner->loop, &w->owner->flush_job);
}

static void del_write(void *arg)
{
	struct wire *w = arg;

	set_events(w, w->events & ~UV_WRITABLE);
}

static void flush(struct job *job)
{
	struct redis_link *l = container_of(job, struct redis_link, flush_job);
	struct wire *w = l->wire;

	if (!w)
		return;
	w->flushing = true;
	redisAsyncHandleWrite(w->ac); /* may end in wire_closed(); `w` itself stays for this turn */
	w->flushing = false;
}

static void wire_free(uv_handle_t *poll)
{
	free(container_of((uv_poll_t *)poll, struct wire, poll));
}

/* Why a connection ended; hiredis knows less of a certificate, or of nonsense, than we do. */
static const char *cause_of(const struct redis_link *l, const redisAsyncContext *ac)
{
	const char *refusal = l->terms.tls ? redis_tls_refusal(l->terms.tls) : NULL;

	if (l->wire && l->wire->guard.refusal)
		refusal = l->wire->guard.refusal;
	return refusal ? refusal : ac->c.errstr;
}

/* hiredis is about to close the descriptor, in every way a connection ends. */
static void wire_closed(void *arg)
{
	struct wire *w = arg;
	struct redis_link *l = w->owner;

	if (!l)
		return;
	break_link(l, cause_of(l, w->ac));
	l->wire = NULL;
	w->owner = NULL;
	w->ac = NULL;
	uv_poll_stop(&w->poll);
	uv_close((uv_handle_t *)&w->poll, wire_free);
}

/* --- what the server says ---------------------------------------------------------------- */

/* hiredis frees the reply when this returns. */
static void on_reply(redisAsyncContext *ac, void *reply, void *arg)
{
	struct redis_link *l = arg;
	struct pending *p = list_first(&l->pending, struct pending, link);

	(void)ac;
	if (!reply || !p)
		return; /* torn down: broken() answers */
	list_remove(&p->link);
	answered(l);
	if (p->fn)
		p->fn(p->arg, reply);
	else if (redis_is_unusable(reply) || redis_is_error(reply, "DB index"))
		break_link(l, ((redisReply *)reply)->str);
	else if (!redis_reply_fits(reply, redis_is_status))
		break_link(l, "an answer that makes no sense");
	else if (list_empty(&l->pending) && l->state == GREETING && !l->channel)
		link_is_up(l);
	free(p);
}

static void on_push(redisAsyncContext *ac, void *reply, void *arg)
{
	const redisReply *r = reply;
	struct redis_link *l = arg;

	(void)ac;
	if (!r || r->type != REDIS_REPLY_ARRAY)
		return; /* the guard has looked at what is in it */
	if (r->element[2]->type == REDIS_REPLY_STRING && l->state == UP)
		l->terms.on_message(l->terms.arg,
				    (struct span){ r->element[2]->str, r->element[2]->len });
	else if (l->state == GREETING)
		link_is_up(l);
	else if (l->state == UP)
		is_heard(l);
}

static void subscribe(struct redis_link *l)
{
	redis_guard_subscribe(&l->wire->guard, l->channel);
	redisAsyncCommand(l->wire->ac, on_push, l, "SUBSCRIBE %s", l->channel);
}

/* --- connecting -------------------------------------------------------------------------- */

static int submit(struct redis_link *l, struct span command, redis_reply_fn fn, void *arg)
{
	struct pending *p;

	if (redisAsyncFormattedCommand(l->wire->ac, on_reply, l, command.ptr, command.len))
		return -ENOTCONN; /* it is being torn down */
	l->wire->guard.replies++;
	p = xcalloc(1, sizeof *p);
	p->fn = fn;
	p->arg = arg;
	p->deadline_ms = clock_ms() + *l->terms.timeout_ms;
	list_append(&l->pending, &p->link);
	watch(l, *l->terms.timeout_ms);
	return 0;
}

static void greet_with(struct redis_link *l, const char *a, const char *b, const char *c)
{
	CLEANUP(redis_command_clear) struct redis_command command = { 0 };
	CLEANUP(buf_clear) struct buf bytes = { 0 };

	redis_arg_str(&command, a);
	redis_arg_str(&command, b);
	if (c)
		redis_arg_str(&command, c);
	redis_command_encode(&command, &bytes);
	if (submit(l, buf_span(&bytes), NULL, NULL) < 0)
		break_link(l, "connection closed");
}

static void greet(struct redis_link *l)
{
	const struct redis_address *a = l->terms.address;
	char db[12];

	l->state = GREETING;
	if (a->password && a->user)
		greet_with(l, "AUTH", a->user, a->password);
	else if (a->password)
		greet_with(l, "AUTH", a->password, NULL);
	snprintf(db, sizeof db, "%d", a->db);
	if (a->db)
		greet_with(l, "SELECT", db, NULL);
	greet_with(l, "CLIENT", "SETNAME", l->name);
	if (l->greeting.len && submit(l, buf_span(&l->greeting), NULL, NULL) < 0)
		break_link(l, "connection closed");
	if (l->channel)
		subscribe(l);
}

static void on_connect(const redisAsyncContext *ac, int status)
{
	struct wire *w = ac->data;

	if (w->owner && status == REDIS_OK)
		greet(w->owner);
	/* else: wire_closed() comes */
}

static void attach(struct redis_link *l, redisAsyncContext *ac)
{
	struct wire *w;

	if (!ac || ac->err || (l->terms.tls && redis_tls_start(l->terms.tls, &ac->c) < 0)) {
		break_link(l, !ac ? "out of memory" : ac->err ? ac->errstr : cause_of(l, ac));
		if (ac)
			redisAsyncFree(ac);
		return;
	}
	l->wire = w = xcalloc(1, sizeof *w);
	w->owner = l;
	w->ac = ac;
	ac->data = w;
	redis_guard_start(&w->guard, &ac->c);
	must(uv_poll_init(&l->loop->uv, &w->poll, ac->c.fd) == 0);
	ac->ev.data = w;
	ac->ev.addRead = add_read;
	ac->ev.delRead = del_read;
	ac->ev.addWrite = add_write;
	ac->ev.delWrite = del_write;
	ac->ev.cleanup = wire_closed;
	redisAsyncSetConnectCallback(ac, on_connect);
	add_write(w);
}

static void on_found(void *arg, const char *error, const struct redis_endpoint *endpoint)
{
	struct redis_link *l = arg;

	l->find = NULL;
	if (error) {
		break_link(l, error);
		return;
	}
	l->endpoint = *endpoint;
	l->state = CONNECTING;
	attach(l, redisAsyncConnect(l->endpoint.ip, l->endpoint.port));
}

static void try(struct redis_link *l)
{
	watch(l, *l->terms.timeout_ms);
	if (l->terms.address->path) {
		l->state = CONNECTING;
		attach(l, redisAsyncConnectUnix(l->terms.address->path));
		return;
	}
	l->state = RESOLVING;
	l->find = redis_find_start(l->loop, l->terms.address, l->attempts++, *l->terms.timeout_ms,
				   on_found, l);
}

/* --- the door ---------------------------------------------------------------------------- */

bool redis_link_is_up(const struct redis_link *l)
{
	return l->state == UP && list_empty(&l->broken_job.link);
}

bool redis_link_is_idle(const struct redis_link *l)
{
	const struct pending *p;

	list_for_each (p, &l->pending, link) {
		if (p->fn)
			return false;
	}
	return true;
}

const struct redis_endpoint *redis_link_endpoint(const struct redis_link *l)
{
	return &l->was_at;
}

int redis_link_send(struct redis_link *l, struct span command, redis_reply_fn fn, void *arg)
{
	if (!redis_link_is_up(l) || l->channel)
		return -ENOTCONN;
	return submit(l, command, fn, arg);
}

/* A server that answers may still be of no use by now, a replica for one. */
static void probed(void *arg, const redisReply *reply)
{
	if (redis_is_unusable(reply))
		break_link(arg, reply->str);
	else if (reply && !redis_reply_fits(reply, redis_is_status))
		break_link(arg, "an answer that makes no sense");
}

/* Answers come in order: nothing that was sent before may take longer than the probe, either. */
void redis_link_probe(struct redis_link *l, int64_t in_ms)
{
	int64_t deadline_ms = clock_ms() + MAX(in_ms, 0);
	struct pending *p;

	if (redis_link_send(l, buf_span(&l->greeting), probed, l) < 0)
		return;
	list_for_each (p, &l->pending, link)
		p->deadline_ms = MIN(p->deadline_ms, deadline_ms);
	timer_start(l->timer, in_ms);
}

void redis_link_reset(struct redis_link *l, const char *cause)
{
	break_link(l, cause);
}

struct redis_link *redis_link_new(struct loop *loop, const struct redis_link_terms *terms)
{
	struct redis_link *l = xcalloc(1, sizeof *l);

	l->loop = loop;
	l->terms = *terms;
	l->name = xstrdup(terms->name);
	l->channel = terms->channel ? xstrdup(terms->channel) : NULL;
	buf_append(&l->greeting, terms->greeting.ptr, terms->greeting.len);
	l->backoff_ms = BACKOFF_MIN_MS;
	list_init(&l->pending);
	l->flush_job.run = flush;
	l->broken_job.run = broken;
	l->timer = timer_new(loop, timer_fired, l);
	l->recheck = timer_new(loop, recheck, l);
	l->hearing = timer_new(loop, check_hearing, l);
	l->timer_runs = true;
	timer_start(l->timer, 0); /* so that no callback comes before this has returned */
	return l;
}

void redis_link_free(struct redis_link *l)
{
	if (!l)
		return;
	l->state = BACKOFF;
	drop_wire(l);
	drop_pending(l, false);
	job_cancel(&l->flush_job);
	job_cancel(&l->broken_job);
	timer_clear(&l->timer);
	timer_clear(&l->recheck);
	timer_clear(&l->hearing);
	buf_clear(&l->greeting);
	free(l->name);
	free(l->channel);
	free(l);
}
