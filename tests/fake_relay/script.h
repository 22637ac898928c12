/*
 * script.h - what a request's X-Relay-* headers ask the relay to do. main.c explains them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/header.h"

enum fault {
	FAULT_NONE,
	FAULT_REFUSE_LATE,
	FAULT_RESET,
	FAULT_GARBAGE,
	FAULT_SILENT,
	FAULT_CUT_HEADERS,
	FAULT_CUT_BODY,
	FAULT_STALL,
	FAULT_CLOSE_IDLE,
	FAULT_STALE,
	FAULT_EARLY_413,
	FAULT_INTERIM,
};

enum framing { FRAMING_USUAL, FRAMING_CHUNKED, FRAMING_LENGTH, FRAMING_CLOSE };

struct script {
	int64_t events, event_bytes, interval_ms;
	int64_t delay_ms, read_pause_ms;
	int64_t status;
	int64_t cut_after; /* events */
	int64_t bytes;     /* -1: not asked for */
	int fault;         /* enum fault */
	int framing;       /* enum framing */
	bool uncounted;
	bool is_over;            /* it was for those before: no fields of X-Relay-Header either */
	int64_t first;           /* 0: each request */
	struct span tag;         /* these point into the request */
	struct span tool, input; /* its name and its input as JSON; none: text is answered */
};

/* What happens where nothing is asked for. */
#define SCRIPT_DEFAULT \
	((struct script){ .events = 5, .event_bytes = 16, .status = 200, .bytes = -1 })

/*
 * -EINVAL and a message in `error` for an X-Relay-* header that doesn't exist or a value out of
 * range, so that a mistake in a test is not silently the default.
 */
int script_read(const struct headers *headers, struct script *ret, struct buf *error) MUST_USE;
