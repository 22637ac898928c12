/*
 * phases.c - what signals and a successor do to the running process. See server.h.
 *
 *      SIGUSR1           retire: no new connections, all that came is served, waiters in their turn;
 *                        within listen.retire_timeout_ms, then it is as after SIGTERM
 *      SIGTERM, SIGINT   drain: no new connections, who waits is told, what streams may finish
 *                        within listen.drain_timeout_ms; then turns are given back, exit 0
 *      a second one      cut everything now, give turns back, exit 1 (SIGTERM: see server.h)
 *      SIGUSR2           start a successor that takes over; this process retires then
 *      SIGHUP            read the configuration again: all or nothing
 */
#include "server.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "successor.h"

void server_log_errors(struct buf *errors)
{
	struct span rest = buf_span(errors), line;

	while (span_next(&rest, '\n', &line)) {
		CLEANUP(freep) char *text = xstrndup(line.ptr, line.len);

		if (line.len)
			log_error(text);
	}
	buf_clear(errors);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void on_queue_stopped(void *arg)
{
	struct server *s = arg;

	uv_stop(&s->loop.uv);
}

static void on_admin_stopped(void *arg)
{
	struct server *s = arg;

	beacon_free(steal(&s->beacon));
	queue_stop(s->queue, s->config->redis.command_timeout_ms, on_queue_stopped, s);
}

static void on_proxy_idle(void *arg)
{
	struct server *s = arg;

	s->phase = PHASE_STOPPING;
	timer_stop(s->limit);
	admin_stop(s->admin, on_admin_stopped, s);
}

/* --- phases ----------------------------------------------------------------------------------- */

static void cut(struct server *s, const char *why)
{
	if (s->phase >= PHASE_CUTTING)
		return;
	s->phase = PHASE_CUTTING;
	s->cut = proxy_exchanges(s->proxy) > 0;
	log_warn(why, LOG_INT("exchanges", proxy_exchanges(s->proxy)));
	proxy_cut(s->proxy);
}

/* Sockets that a successor has by now, though it doesn't serve yet, keep their paths. */
static void leave_sockets(struct server *s)
{
	if (!handover_has_given(s->handover))
		return;
	admin_hand_over(s->admin);
	proxy_retire(s->proxy, CONNECTIONS_TAKEN_OVER, on_proxy_idle, s);
}

static void drain(struct server *s, const char *why)
{
	int64_t limit_ms = s->config->listen.drain_timeout_ms;

	s->phase = PHASE_DRAINING;
	log_info("draining", LOG_STR("why", why), LOG_INT("exchanges", proxy_exchanges(s->proxy)),
		 LOG_INT("limit_ms", limit_ms));
	notify_stopping(s->notify, "draining");
	leave_sockets(s);
	handover_free(steal(&s->handover));
	timer_start(s->limit, limit_ms);
	proxy_drain(s->proxy, on_proxy_idle, s);
	beacon_write(s->beacon);
}

static void retire(struct server *s, enum connections_end how, const char *why)
{
	int64_t limit_ms = s->config->listen.retire_timeout_ms;

	s->phase = PHASE_RETIRING;
	log_info("retiring: serving those who are here", LOG_STR("why", why),
		 LOG_INT("exchanges", proxy_exchanges(s->proxy)), LOG_INT("limit_ms", limit_ms));
	leave_sockets(s);
	handover_free(steal(&s->handover));
	timer_start(s->limit, limit_ms);
	proxy_retire(s->proxy, how, on_proxy_idle, s);
}

static void on_limit(void *arg)
{
	struct server *s = arg;

	if (s->phase == PHASE_RETIRING)
		drain(s, "listen.retire_timeout_ms is over");
	else
		cut(s, "listen.drain_timeout_ms is over: cutting what still runs");
}

/* The successor has our sockets, so also those of the admin listener, and the manager's ear. */
static void on_taken(void *arg)
{
	struct server *s = arg;

	s->succeeded = true;
	notify_fall_silent(s->notify);
	admin_hand_over(s->admin);
	retire(s, CONNECTIONS_TAKEN_OVER, "a successor has taken over");
}

int phases_await_successor(struct server *s, struct buf *errors)
{
	struct handover_options options = {
		.path = s->config->listen.takeover,
		.sockets = {
			{ "listen.address", s->config->listen.address, proxy_descriptor(s->proxy) },
			{ "admin.address", s->config->admin.address, admin_descriptor(s->admin) },
		},
		.count = s->admin ? 2 : 1,
		.taken = on_taken,
		.arg = s,
	};

	return options.path[0] ? handover_new(&s->loop, &options, errors, &s->handover) : 0;
}

/* --- signals ---------------------------------------------------------------------------------- */

static void on_terminate(uv_signal_t *handle, int signum)
{
	struct server *s = handle->data;

	if (s->phase < PHASE_DRAINING)
		drain(s, signum == SIGTERM ? "SIGTERM" : "SIGINT");
	else if (signum == SIGINT || !s->succeeded)
		cut(s, "second signal: cutting what still runs");
}

static void on_retire(uv_signal_t *handle, int signum)
{
	struct server *s = handle->data;

	(void)signum;
	if (s->phase != PHASE_SERVING)
		return;
	notify_status(s->notify, "retiring");
	retire(s, CONNECTIONS_RETIRE, "SIGUSR1");
}

static void on_upgrade(uv_signal_t *handle, int signum)
{
	(void)signum;
	successor_start(handle->data);
}

/* All that may fail comes first. */
static int reload(struct server *s, struct buf *errors)
{
	struct tls_identity *identity = NULL;
	struct config *fresh = NULL;
	int r = config_load(&s->sources, errors, &fresh);

	if (r < 0)
		return r;
	r = proxy_identity(fresh, errors, &identity);
	if (r < 0) {
		config_free(fresh);
		return r;
	}
	r = config_reload(s->config, fresh, errors);
	if (r < 0)
		tls_identity_free(identity);
	else
		proxy_use(s->proxy, identity);
	return r;
}

static const char *status_after(const struct server *s, int reloaded)
{
	if (s->phase != PHASE_SERVING)
		return "retiring";
	return reloaded < 0 ? "serving; not reloaded, see the log" : "serving";
}

static void on_hang_up(uv_signal_t *handle, int signum)
{
	struct server *s = handle->data;
	bool told = s->phase < PHASE_DRAINING; /* behind STOPPING=1 there is no READY=1 */
	CLEANUP(buf_clear) struct buf errors = { 0 };
	int r;

	(void)signum;
	if (told)
		notify_reloading(s->notify);
	r = reload(s, &errors);
	if (r < 0) {
		server_log_errors(&errors);
		log_error("not reloaded: the configuration in use is unchanged");
	} else {
		runtime_reloaded(s->runtime);
		log_setup(s->config->log.level, s->config->log.format);
		log_info("reloaded", LOG_STR("config", s->sources.file));
	}
	if (told)
		notify_ready(s->notify, status_after(s, r), false);
}

static void watch_signal(struct server *s, uv_signal_t *handle, uv_signal_cb fn, int signum)
{
	uv_signal_init(&s->loop.uv, handle);
	handle->data = s;
	must(uv_signal_start(handle, fn, signum) == 0);
	uv_unref((uv_handle_t *)handle);
}

void phases_begin(struct server *s)
{
	s->limit = timer_new(&s->loop, on_limit, s);
	signal(SIGPIPE, SIG_IGN);
	watch_signal(s, &s->terminate, on_terminate, SIGTERM);
	watch_signal(s, &s->interrupt, on_terminate, SIGINT);
	watch_signal(s, &s->hang_up, on_hang_up, SIGHUP);
	watch_signal(s, &s->retire, on_retire, SIGUSR1);
	watch_signal(s, &s->upgrade, on_upgrade, SIGUSR2);
}

void phases_end(struct server *s)
{
	handover_free(steal(&s->handover));
	successor_forget(s);
	timer_clear(&s->limit);
	uv_close((uv_handle_t *)&s->terminate, NULL);
	uv_close((uv_handle_t *)&s->interrupt, NULL);
	uv_close((uv_handle_t *)&s->hang_up, NULL);
	uv_close((uv_handle_t *)&s->retire, NULL);
	uv_close((uv_handle_t *)&s->upgrade, NULL);
}
