/*
 * control.h - what is under /__relay/: the tests' view of what the relay has seen.
 */
#pragma once

#include "incoming.h"
#include "record.h"

enum control_answer {
	CONTROL_ANSWER, /* `ret_text` is JSON */
	CONTROL_WAIT,   /* until `ret_condition` holds */
	CONTROL_GO,     /* pauses between events end; `ret_text` is JSON */
	CONTROL_BAD,    /* `ret_text` says why */
};

enum control_answer control(struct recorder *r, const struct incoming *in, struct buf *ret_text,
			    struct condition *ret_condition);

void condition_clear(struct condition *c);
