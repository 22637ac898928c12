/*
 * notify.h - tells the service manager how we are: sd_notify(3), Type=notify and WatchdogSec= of
 * systemd.service(5).
 *
 * The protocol is a datagram of "NAME=VALUE" lines to the Unix socket in $NOTIFY_SOCKET ("@…" is
 * an abstract one), stable since systemd 217; so no library. Without that variable, all of this
 * does nothing. Nothing here blocks or fails: who isn't heard goes on.
 */
#pragma once

#include "base/loop.h"
#include "base/mem.h"

struct notify;

/* Reads $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID. */
struct notify *notify_new(struct loop *loop) MUST_USE;
void notify_free(struct notify *n); /* takes NULL */

/*
 * READY=1 and STATUS=. From now on WATCHDOG=1 is sent from a timer of the loop, twice within the
 * time that the manager waits: so a loop that is stuck is found out. With `is_successor` the
 * manager is told that this is the main process now (MAINPID=).
 */
void notify_ready(struct notify *n, const char *status, bool is_successor);

/* RELOADING=1; notify_ready() says that it is over. */
void notify_reloading(struct notify *n);

/* STATUS= and nothing else. */
void notify_status(struct notify *n, const char *status);

/* STOPPING=1 and STATUS=. The manager ends us if it takes too long from now on. */
void notify_stopping(struct notify *n, const char *status);

/* A successor speaks from now on: nothing is sent any more, but for the next. */
void notify_fall_silent(struct notify *n);

/*
 * That successor has crashed. It was our child, so the manager isn't told, and would wait until the
 * watchdog's time is over: WATCHDOG=trigger (systemd 243) is as if it were. The service is started
 * again, and we are ended.
 */
void notify_successor_lost(struct notify *n);
