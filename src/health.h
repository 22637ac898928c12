/*
 * health.h - `turnstile --health`: asks the running turnstile how it is.
 */
#pragma once

#include "config/config.h"

/*
 * Asks the turnstile that runs for `path` (one of the open routes: no token is sent) and says the answer in
 * a line: on stdout and 0 for 200, on stderr and 1 for everything else. Where it is asked is, in this order:
 *
 *  - what the environment or an -o says of admin.address, as the process has the same ones;
 *  - what the process says of itself (base/runfile.h): of several, the one with the same --config;
 *  - admin.address as the file has it, whatever else is wrong in there.
 *
 * So a file that has become wrong makes nobody unhealthy. Blocks, but after 2 s the process ends with 1,
 * whatever it waits for. For main() only.
 */
int health_ask(const struct config_sources *sources, const char *path);
