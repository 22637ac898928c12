/*
 * process.h - what the kernel knows about this process, from /proc/self (proc(5)).
 */
#pragma once

#include <stdint.h>

struct process_facts {
	double cpu_seconds;
	int64_t resident_bytes, virtual_bytes;
	int64_t threads, open_fds, max_fds;
};

/* What can't be read is 0. */
void process_look(struct process_facts *ret);
