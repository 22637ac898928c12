/*
 * access_log.h - what is kept of an exchange that is over: its line in the log, its share in the
 * counters (stats.h, tally.h), and among the last refusals (refusals.h) if it was one.
 */
#pragma once

#include "proxy/exchange.h"

/* Once, when all is over: so the bytes are those that really went out. */
void access_log_exchange(const struct exchange *x);
