/*
 * advice.h - what is allowed, but hardly meant: found by looking at options together.
 *
 * Only what can be known from the configuration itself; nothing is resolved, opened or asked.
 */
#pragma once

#include "base/buf.h"
#include "config/config.h"

/* Appends a line for each thing, that begins with an option and says what to do. */
void config_advise(const struct config *c, struct buf *to);
