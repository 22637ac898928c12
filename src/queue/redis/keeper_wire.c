#include "queue/redis/keeper_wire.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "queue/redis/keeper.h"
#include "redis/abort.h"
#include "redis/guard.h"

struct keeper_wire {
	const struct redis_address *address;
	struct redis_tls *tls;
	char *live_key;
	redisContext *redis; /* the keeper thread's own */
	struct redis_guard guard;
	bool live;       /* the live key is refreshed in this round */
	bool complained; /* of nonsense, until a whole round makes sense */

	pthread_mutex_t mutex;
	struct redis_endpoint endpoint;
	int fd; /* of `redis`, for another thread to cut; -1: none */
	bool cut;
};

static void complain(struct keeper_wire *w)
{
	if (!w->complained)
		log_warn("redis answers a renewal with nonsense",
			 LOG_STR("cause", w->guard.refusal));
	w->complained = true;
}

static void disconnect(struct keeper_wire *w)
{
	if (w->guard.refusal)
		complain(w);
	pthread_mutex_lock(&w->mutex);
	w->fd = -1; /* before it is closed, and maybe another's */
	pthread_mutex_unlock(&w->mutex);
	if (w->redis && w->redis->err)
		redis_abort(w->redis);
	if (w->redis)
		redisFree(steal(&w->redis));
	w->guard = (struct redis_guard){ 0 };
}

/* False: it makes no sense, and the connection is of no use any more. */
static bool has_form(struct keeper_wire *w, const redisReply *reply, redis_form_fn form)
{
	bool ok = redis_reply_fits(reply, form);

	if (!ok)
		w->guard.refusal = "an answer that makes no sense";
	return ok;
}

/* Frees it. Whether the server took the command; the answer itself doesn't matter. */
static bool is_taken(struct keeper_wire *w, redisReply *reply)
{
	bool ok = reply && has_form(w, reply, redis_is_status) && !redis_is_unusable(reply);

	if (reply)
		freeReplyObject(reply);
	return ok;
}

static bool ask(struct keeper_wire *w, int argc, const char **argv)
{
	w->guard.replies++;
	return is_taken(w, redisCommandArgv(w->redis, argc, argv, NULL));
}

static bool greet(struct keeper_wire *w)
{
	const struct redis_address *a = w->address;
	const char *login[3] = { "AUTH", a->user ? a->user : a->password, a->password };
	char number[12];
	const char *select[2] = { "SELECT", number };

	snprintf(number, sizeof number, "%d", a->db);
	if (a->password && !ask(w, a->user ? 3 : 2, login))
		return false;
	return !a->db || ask(w, 2, select);
}

static bool connect_redis(struct keeper_wire *w, int64_t timeout_ms)
{
	const struct redis_address *a = w->address;
	struct timeval io = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
	struct redis_endpoint endpoint;

	pthread_mutex_lock(&w->mutex);
	endpoint = w->endpoint;
	pthread_mutex_unlock(&w->mutex);
	if (!a->path && !endpoint.port)
		return false; /* nobody has found it yet */
	w->redis = a->path ? redisConnectUnixWithTimeout(a->path, io)
			   : redisConnectWithTimeout(endpoint.ip, endpoint.port, io);
	if (!w->redis || w->redis->err || redisSetTimeout(w->redis, io) != REDIS_OK ||
	    (w->tls && redis_tls_start(w->tls, w->redis) < 0)) {
		disconnect(w);
		return false;
	}
	redis_guard_start(&w->guard, w->redis);
	pthread_mutex_lock(&w->mutex);
	w->fd = w->redis->fd;
	if (w->cut)
		shutdown(w->fd, SHUT_RDWR);
	pthread_mutex_unlock(&w->mutex);
	if (greet(w))
		return true;
	disconnect(w);
	return false;
}

static void put_live(struct keeper_wire *w, struct buf *out)
{
	CLEANUP(redis_command_clear) struct redis_command c = { 0 };

	if (!w->live) {
		redis_arg_str(&c, "PING");
		redis_command_encode(&c, out);
		return;
	}
	redis_arg_str(&c, "SET");
	redis_arg_str(&c, w->live_key);
	redis_arg_str(&c, "1");
	redis_arg_str(&c, "PX");
	redis_arg_int(&c, KEEPER_LIVE_MS);
	redis_command_encode(&c, out);
}

static bool send_all(struct keeper_wire *w)
{
	int done = 0;

	while (!done) {
		if (redisBufferWrite(w->redis, &done) != REDIS_OK)
			return false;
	}
	return true;
}

static redisReply *next_reply(struct keeper_wire *w)
{
	void *reply = NULL;

	while (redisGetReplyFromReader(w->redis, &reply) == REDIS_OK && !reply) {
		if (redis_guard_is_full(&w->guard, w->redis) ||
		    redisBufferRead(w->redis) != REDIS_OK)
			return NULL;
	}
	return reply;
}

/* Nobody asked for what is left over: the next round would take it for its own. */
static bool is_quiet(struct keeper_wire *w)
{
	if (w->redis->reader->pos < w->redis->reader->len)
		w->guard.refusal = "an answer that nobody asked for";
	return !w->guard.refusal;
}

/* The answer to one call; false if the connection is of no use any more. */
static bool take_reply(struct keeper_wire *w, struct keeper_call *c, int64_t sent_ms,
		       keeper_answer_fn fn, void *arg)
{
	redisReply *reply = next_reply(w);
	struct script_answer answer;

	if (!reply)
		return false;
	if (!has_form(w, reply, script_form(c->script))) {
		freeReplyObject(reply);
		return false;
	}
	*c->refusal = '\0'; /* what another try was told */
	c->by_text = redis_is_error(reply, "NOSCRIPT");
	c->answered = script_answer_read(reply, &answer);
	if (c->answered)
		fn(arg, c, &answer, sent_ms);
	else if (reply->type == REDIS_REPLY_ERROR && !c->by_text)
		snprintf(c->refusal, sizeof c->refusal, "%s", reply->str);
	freeReplyObject(reply);
	return true;
}

/* Sends the live key and all calls that have no answer yet, and takes the answers. */
static bool exchange(struct keeper_wire *w, struct list *calls, keeper_answer_fn fn, void *arg)
{
	CLEANUP(buf_clear) struct buf out = { 0 };
	int64_t sent_ms = clock_ms();
	struct keeper_call *c;
	bool ok;

	put_live(w, &out);
	w->guard.replies++;
	list_for_each (c, calls, link) {
		if (c->answered)
			continue;
		redis_script_encode(script_get(c->script), c->by_text, &c->command, &out);
		w->guard.replies++;
	}
	if (redisAppendFormattedCommand(w->redis, out.data, out.len) != REDIS_OK || !send_all(w))
		return false;
	ok = is_taken(w, next_reply(w));
	if (!ok && (w->redis->err || w->guard.refusal))
		return false;
	list_for_each (c, calls, link) {
		if (!c->answered && !take_reply(w, c, sent_ms, fn, arg))
			return false;
	}
	return is_quiet(w) && ok;
}

static bool must_send_texts(const struct list *calls)
{
	const struct keeper_call *c;

	list_for_each (c, calls, link) {
		if (c->by_text && !c->answered)
			return true;
	}
	return false;
}

/* Only a connection that isn't fresh may have been closed long ago, and deserves another try. */
static bool exchange_on_any(struct keeper_wire *w, int64_t timeout_ms, struct list *calls,
			    keeper_answer_fn fn, void *arg)
{
	if (w->redis) {
		if (exchange(w, calls, fn, arg))
			return true;
		if (w->redis->err == REDIS_ERR_IO && errno == EAGAIN)
			return false; /* silent */
		disconnect(w);
	}
	return connect_redis(w, timeout_ms) && exchange(w, calls, fn, arg);
}

bool keeper_wire_talk(struct keeper_wire *w, int64_t timeout_ms, bool live, struct list *calls,
		      keeper_answer_fn fn, void *arg)
{
	w->live = live;
	if (exchange_on_any(w, timeout_ms, calls, fn, arg) &&
	    (!must_send_texts(calls) || exchange(w, calls, fn, arg))) {
		w->complained = false;
		return true;
	}
	disconnect(w);
	return false;
}

void keeper_wire_aim(struct keeper_wire *w, const struct redis_endpoint *endpoint)
{
	pthread_mutex_lock(&w->mutex);
	if (w->fd >= 0 &&
	    (w->endpoint.port != endpoint->port || strcmp(w->endpoint.ip, endpoint->ip)))
		shutdown(w->fd, SHUT_RDWR);
	w->endpoint = *endpoint;
	pthread_mutex_unlock(&w->mutex);
}

void keeper_wire_cut(struct keeper_wire *w)
{
	pthread_mutex_lock(&w->mutex);
	w->cut = true;
	if (w->fd >= 0)
		shutdown(w->fd, SHUT_RDWR);
	pthread_mutex_unlock(&w->mutex);
}

void keeper_calls_free(struct list *calls)
{
	struct keeper_call *c;

	while ((c = list_first(calls, struct keeper_call, link))) {
		list_remove(&c->link);
		redis_command_clear(&c->command);
		free(c->turns);
		free(c);
	}
}

struct keeper_wire *keeper_wire_new(const struct redis_address *address, struct redis_tls *tls,
				    const struct redis_names *names)
{
	struct keeper_wire *w = xcalloc(1, sizeof *w);

	w->address = address;
	w->tls = tls;
	w->live_key = xasprintf("%s_live:%s", names->prefix, names->owner);
	w->fd = -1;
	pthread_mutex_init(&w->mutex, NULL);
	return w;
}

void keeper_wire_free(struct keeper_wire *w)
{
	if (!w)
		return;
	disconnect(w);
	pthread_mutex_destroy(&w->mutex);
	free(w->live_key);
	free(w);
}
