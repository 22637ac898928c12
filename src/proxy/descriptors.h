/*
 * descriptors.h - how many connections there is room for, by the limit of open files.
 *
 *      limit  =  our own  +  the operators' connections  +  clients × (their own + the upstream's)
 *
 * A connection that is accepted can be served, whatever the others do: more than that wait in the kernel's
 * queue, as they do above listen.max_connections. Redis and what the process itself needs are apart.
 */
#pragma once

#include <stdint.h>

#include "config/config.h"

struct descriptor_plan {
	int64_t needed;      /* descriptors for all of listen.max_connections */
	int64_t connections; /* of clients; at most listen.max_connections, at least 1 */
	int64_t admin;       /* of operators */
};

/* Pure. `limit`: of open files (RLIMIT_NOFILE). */
void descriptors_plan(const struct config *config, int64_t limit, struct descriptor_plan *ret);
