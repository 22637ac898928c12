/*
 * advice.h - what is allowed, but hardly meant: found by looking at options together,
 * and at the environment.
 *
 * Only what can be known from the configuration itself; nothing is resolved, opened or asked.
 */
#pragma once

#include "base/buf.h"
#include "config/config.h"

/*
 * Appends a line for each thing, that begins with an option or a variable and says what to do. `c` was
 * loaded from these sources.
 */
void config_advise(const struct config *c, const struct config_sources *sources, struct buf *to);
