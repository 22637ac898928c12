/*
 * startup.h - what must be so before anything else is done.
 *
 * The first descriptor that a process opens without 0, 1 or 2 becomes one of them, and then gets
 * what is written to stderr. A pipe whose reader has gone, or a signal that has no handler yet,
 * would end the process.
 */
#pragma once

#include <signal.h>

/*
 * First of all in main(): descriptors 0 to 2 exist from now on, SIGPIPE is ignored, and SIGHUP,
 * SIGUSR1 and SIGUSR2 are kept until startup_done(). Aborts if there is nothing to open.
 */
void startup_begin(void);

/* Signals have their handlers: those that have come meanwhile are heard now. */
void startup_done(void);

/* The signals that are kept; for who starts another one, whose first moments they'd end as well. */
void startup_signals(sigset_t *ret);
