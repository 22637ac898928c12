/*
 * response_head.h - the head of a response, read line by line, with nothing taken on trust. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/header.h"

/* Zero it, and set how much may come. */
struct response_head {
	int64_t max_bytes; /* of all lines, those of interim responses and trailers included */

	int status;
	struct headers fields; /* from `done` on */
	bool done;             /* it is complete, and no interim one (1xx) */
	bool is_1_0;
	bool begun; /* there was a status line, and not yet the end of its fields */
	int64_t bytes;
	struct buf lines;
};

/*
 * The next line, with its end. NULL, or in a few words (static) what is wrong with it. Interim
 * responses are passed over; lines behind `done` (trailers) only count. A folded line (RFC 9112,
 * section 5.2) is wrong wherever it comes, one of blanks alone as well.
 */
const char *response_head_line(struct response_head *h, struct span line);

void response_head_clear(struct response_head *h);
