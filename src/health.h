/*
 * health.h - `turnstile --health`: asks the running turnstile how it is.
 */
#pragma once

#include "config/config.h"

/*
 * Asks admin.address for `path` (one of the open routes: no token is sent) and says the answer in a
 * line: on stdout and 0 for 200, on stderr and 1 for everything else. Blocks, but after 2 s the
 * process ends with 1, whatever it waits for. For main() only.
 */
int health_ask(const struct config *config, const char *path);
