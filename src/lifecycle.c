/*
 * lifecycle.c - what signals and a successor do to the running process.
 *
 *      SIGUSR1           retire: no new connections, all that came is served, waiters in their turn;
 *                        within listen.retire_timeout_ms, then it is as after SIGTERM
 *      SIGTERM, SIGINT   drain: no new connections, who waits is told, what streams may finish
 *                        within listen.drain_timeout_ms; then turns are given back, exit 0
 *      a second one      cut everything now, give turns back, exit 1 (SIGTERM: see lifecycle.h)
 *      SIGUSR2           start a successor that takes over; this process retires then
 *      SIGHUP            read the configuration again: all or nothing
 */
#include "lifecycle.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "startup.h"
#include "successor.h"

void process_log_errors(struct buf *errors)
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
	struct process *p = arg;

	uv_stop(&p->loop.uv);
}

static void on_admin_stopped(void *arg)
{
	struct process *p = arg;

	webhook_free(steal(&p->webhook));
	beacon_free(steal(&p->beacon));
	queue_stop(p->queue, p->config->redis.command_timeout_ms, on_queue_stopped, p);
}

static void on_proxy_idle(void *arg)
{
	struct process *p = arg;

	p->phase = PHASE_STOPPING;
	timer_stop(p->limit);
	admin_stop(p->admin, on_admin_stopped, p);
}

/* --- phases ----------------------------------------------------------------------------------- */

static void cut(struct process *p, const char *why)
{
	if (p->phase >= PHASE_CUTTING)
		return;
	p->phase = PHASE_CUTTING;
	p->cut = proxy_exchanges(p->proxy) > 0;
	log_warn(why, LOG_INT("exchanges", proxy_exchanges(p->proxy)));
	proxy_cut(p->proxy);
}

/* Sockets that a successor has by now, though it doesn't serve yet, keep their paths. */
static void leave_sockets(struct process *p)
{
	if (!takeover_server_has_given(p->takeover_server))
		return;
	admin_taken_over(p->admin);
	proxy_retire(p->proxy, CONNECTIONS_TAKEN_OVER, on_proxy_idle, p);
}

static void drain(struct process *p, const char *why)
{
	int64_t limit_ms = p->config->listen.drain_timeout_ms;

	p->phase = PHASE_DRAINING;
	log_info("draining", LOG_STR("why", why), LOG_INT("exchanges", proxy_exchanges(p->proxy)),
		 LOG_INT("limit_ms", limit_ms));
	notify_stopping(p->notify, "draining");
	leave_sockets(p);
	takeover_server_free(steal(&p->takeover_server));
	timer_start(p->limit, limit_ms);
	proxy_drain(p->proxy, on_proxy_idle, p);
	beacon_write(p->beacon);
}

static void retire(struct process *p, enum connections_end how, const char *why)
{
	int64_t limit_ms = p->config->listen.retire_timeout_ms;

	p->phase = PHASE_RETIRING;
	log_info("retiring: serving those who are here", LOG_STR("why", why),
		 LOG_INT("exchanges", proxy_exchanges(p->proxy)), LOG_INT("limit_ms", limit_ms));
	leave_sockets(p);
	takeover_server_free(steal(&p->takeover_server));
	timer_start(p->limit, limit_ms);
	proxy_retire(p->proxy, how, on_proxy_idle, p);
}

static void on_limit(void *arg)
{
	struct process *p = arg;

	if (p->phase == PHASE_RETIRING)
		drain(p, "listen.retire_timeout_ms is over");
	else
		cut(p, "listen.drain_timeout_ms is over: cutting what still runs");
}

/* The successor has our sockets, so also those of the admin listener, and the manager's ear. */
static void on_taken(void *arg)
{
	struct process *p = arg;

	p->taken_over = true;
	notify_fall_silent(p->notify);
	runfile_free(steal(&p->runfile));
	admin_taken_over(p->admin);
	retire(p, CONNECTIONS_TAKEN_OVER, "a successor has taken over");
}

int lifecycle_await_successor(struct process *p, struct buf *errors)
{
	struct takeover_server_options options = {
		.path = p->config->listen.takeover,
		.sockets = {
			{ "listen.address", p->config->listen.address, proxy_descriptor(p->proxy) },
			{ "admin.address", p->config->admin.address, admin_descriptor(p->admin) },
		},
		.count = p->admin ? 2 : 1,
		.taken = on_taken,
		.arg = p,
	};

	return options.path[0]
		       ? takeover_server_new(&p->loop, &options, errors, &p->takeover_server)
		       : 0;
}

/* --- signals ---------------------------------------------------------------------------------- */

static void on_terminate(uv_signal_t *handle, int signum)
{
	struct process *p = handle->data;

	if (p->phase < PHASE_DRAINING)
		drain(p, signum == SIGTERM ? "SIGTERM" : "SIGINT");
	else if (signum == SIGINT || !p->taken_over)
		cut(p, "second signal: cutting what still runs");
}

static void on_retire(uv_signal_t *handle, int signum)
{
	struct process *p = handle->data;

	(void)signum;
	if (p->phase != PHASE_SERVING)
		return;
	notify_status(p->notify, "retiring");
	retire(p, CONNECTIONS_RETIRE, "SIGUSR1");
}

static void on_upgrade(uv_signal_t *handle, int signum)
{
	(void)signum;
	successor_start(handle->data);
}

static void on_child(uv_signal_t *handle, int signum)
{
	(void)signum;
	successor_reap(handle->data);
}

/* All that may fail comes first. */
static int reload(struct process *p, struct buf *errors)
{
	struct tls_identity *identity = NULL;
	struct config *fresh = NULL;
	int r = config_load(&p->sources, errors, &fresh);

	if (r < 0)
		return r;
	r = proxy_identity(fresh, errors, &identity);
	if (r < 0) {
		config_free(fresh);
		return r;
	}
	r = config_reload(p->config, fresh, errors);
	if (r < 0)
		tls_identity_free(identity);
	else
		proxy_use(p->proxy, identity);
	return r;
}

static const char *status_after(const struct process *p, int reloaded)
{
	if (p->phase != PHASE_SERVING)
		return "retiring";
	return reloaded < 0 ? "serving; not reloaded, see the log" : "serving";
}

/* Else who has changed the file looks for what he has done wrong. */
static void log_overruled(const struct process *p)
{
	CLEANUP(buf_clear) struct buf names = { 0 };
	struct span rest, line;

	config_overruled(&p->sources, p->config, &names);
	rest = buf_span(&names);
	while (span_next(&rest, '\n', &line)) {
		if (line.len)
			log_warn("the file's value doesn't count: -o, the environment or what was "
				 "set at run time wins",
				 LOG_SPAN("option", line));
	}
}

static void on_hang_up(uv_signal_t *handle, int signum)
{
	struct process *p = handle->data;
	bool told = p->phase < PHASE_DRAINING; /* behind STOPPING=1 there is no READY=1 */
	CLEANUP(buf_clear) struct buf errors = { 0 };
	int r;

	(void)signum;
	if (told)
		notify_reloading(p->notify);
	r = reload(p, &errors);
	if (r < 0) {
		process_log_errors(&errors);
		log_error("not reloaded: the configuration in use is unchanged");
	} else {
		runtime_reloaded(p->runtime);
		queue_reconfigured(p->queue);
		log_setup(p->config->log.level, p->config->log.format);
		log_info("reloaded", LOG_STR("config", p->sources.file));
		log_overruled(p);
	}
	disk_look(p->disk);
	if (told)
		notify_ready(p->notify, status_after(p, r), false);
}

static void watch_signal(struct process *p, uv_signal_t *handle, uv_signal_cb fn, int signum)
{
	uv_signal_init(&p->loop.uv, handle);
	handle->data = p;
	must(uv_signal_start(handle, fn, signum) == 0);
	uv_unref((uv_handle_t *)handle);
}

void lifecycle_begin(struct process *p)
{
	p->limit = timer_new(&p->loop, on_limit, p);
	watch_signal(p, &p->terminate, on_terminate, SIGTERM);
	watch_signal(p, &p->interrupt, on_terminate, SIGINT);
	watch_signal(p, &p->hang_up, on_hang_up, SIGHUP);
	watch_signal(p, &p->retire, on_retire, SIGUSR1);
	watch_signal(p, &p->upgrade, on_upgrade, SIGUSR2);
	watch_signal(p, &p->child, on_child, SIGCHLD);
	startup_done();
}

void lifecycle_end(struct process *p)
{
	takeover_server_free(steal(&p->takeover_server));
	timer_clear(&p->limit);
	uv_close((uv_handle_t *)&p->terminate, NULL);
	uv_close((uv_handle_t *)&p->interrupt, NULL);
	uv_close((uv_handle_t *)&p->hang_up, NULL);
	uv_close((uv_handle_t *)&p->retire, NULL);
	uv_close((uv_handle_t *)&p->upgrade, NULL);
	uv_close((uv_handle_t *)&p->child, NULL);
}
