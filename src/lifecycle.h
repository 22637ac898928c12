/*
 * lifecycle.h - the running process: its parts, and the phases that it goes through.
 *
 *      SERVING ──SIGUSR1, or a successor──> RETIRING ──SIGTERM, or listen.retire_timeout_ms──┐
 *         └──────────────────────────────SIGTERM, SIGINT─────────────────────────────> DRAINING
 *                                                       CUTTING <──a second one, or the limit──┘
 *
 * A second SIGTERM doesn't count where a successor has taken over. A service manager takes that one
 * for the main process, and when it has ended, sends SIGTERM to all that are left: so also to who
 * drains already.
 *
 * From each of the last three the process goes on to STOPPING when its last connection is gone:
 * admin listener, then queue, then the loop. Nothing changes its mind there.
 */
#pragma once

#include "admin/admin.h"
#include "admin/webhook.h"
#include "base/loop.h"
#include "base/notify.h"
#include "base/runfile.h"
#include "config/config.h"
#include "config/disk.h"
#include "config/runtime.h"
#include "net/takeover_client.h"
#include "net/takeover_server.h"
#include "proxy/descriptors.h"
#include "proxy/proxy.h"
#include "queue/queue.h"

enum phase { PHASE_SERVING, PHASE_RETIRING, PHASE_DRAINING, PHASE_CUTTING, PHASE_STOPPING };

struct process {
	struct loop loop;
	struct config *config;
	struct config_sources sources;
	char **arguments; /* as main() got them */
	struct descriptor_plan descriptors;
	struct queue *queue;
	struct proxy *proxy;
	struct beacon *beacon;
	struct webhook *webhook;
	struct admin *admin;
	struct runtime *runtime;
	struct disk *disk;
	struct notify *notify;
	struct runfile *runfile;                 /* NULL: none, or a successor has its own */
	struct takeover_client *takeover_client; /* the former process's sockets; or NULL */
	struct takeover_server *takeover_server; /* NULL without listen.takeover, and when taken */
	pid_t successor; /* one that we have started; 0: none, or it has ended */
	uv_signal_t terminate, interrupt, hang_up, retire, upgrade, child;
	struct timer *limit; /* of the phase */
	enum phase phase;
	bool taken_over; /* a successor has taken over: it is the service manager's main process */
	bool cut;        /* something had to be */
};

/* One log line a line of `errors`. */
void process_log_errors(struct buf *errors);

/* From now on signals move it from phase to phase; in the end the loop is stopped. */
void lifecycle_begin(struct process *p);

/*
 * Waits at listen.takeover for a successor, if that is set. 0, or -errno and a line in `errors`.
 */
int lifecycle_await_successor(struct process *p, struct buf *errors) MUST_USE;

/* Frees what lifecycle_begin() made. */
void lifecycle_end(struct process *p);
