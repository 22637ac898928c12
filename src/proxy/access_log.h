/*
 * access_log.h - what is kept of an exchange that is over: its line in the log, its share in the
 * counters (stats.h, tally.h), and among the last refusals (refusals.h) if it was one.
 */
#pragma once

#include "proxy/exchange.h"

/* What queue.mode = observe would have done with a request; a shadow_ended_fn, `arg` is the proxy. */
void access_log_shadow(void *arg, const struct shadow_report *report);

/* Once, when all is over: so the bytes are those that really went out. */
void access_log_exchange(const struct exchange *x);
