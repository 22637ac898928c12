/*
 * lag.h - how late the event loop is: a timer that is due four times a second, and when it ran.
 *
 * Whatever keeps it late keeps everything late: work in the loop, too little CPU, a paused machine.
 */
#pragma once

#include "base/histogram.h"
#include "base/loop.h"

struct lag;

struct lag *lag_new(struct loop *loop) MUST_USE;
void lag_free(struct lag *l); /* takes NULL */

/* Of all looks since start. Lives as long as `l`. */
const struct histogram *lag_delays(const struct lag *l);

/* The longest delay of the last ten to twenty seconds. */
int64_t lag_longest_us(const struct lag *l);
