/*
 * connection.h - one accepted TCP connection, from accept to close.
 */
#pragma once

#include "base/loop.h"
#include "record.h"

struct relay {
	struct loop loop;
	struct recorder recorder;
	struct list connections;
	struct list waiting; /* connections whose /__relay/wait isn't answered yet */
	struct job check;    /* looks at them */
	uint64_t answers;
	char input[64 << 10]; /* what any connection reads into */
};

/* Accepts what `listener` has; the connection lives and ends by itself. */
void connection_accept(struct relay *relay, uv_stream_t *listener);

/* Closes all. */
void connections_close(struct relay *relay);

/* Answers those /__relay/wait whose condition holds now. */
void connections_check_waiting(struct relay *relay);
