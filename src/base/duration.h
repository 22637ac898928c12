/*
 * duration.h - times for people to read.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"

/* Appends "45 s", "12 min" or "2 h 30 min". */
void duration_put(struct buf *to, int64_t ms);
