/*
 * last_words.h - what a peer had said before it reset the connection.
 *
 * Who refuses a large body (413) and closes at once resets the connection, as there are bytes that
 * it hasn't read. If that is noticed in writing, the answer is still there to be read, in the kernel
 * (RFC 9112, section 9.6, tells servers to avoid that; not all do). Pure but for the one read.
 */
#pragma once

#include "base/buf.h"
#include "http/response_head.h"

/* Replaces `ret` by what has come in over `fd` and was never read: little more than fits a refusal. */
void last_words_read(int fd, struct buf *ret);

/*
 * Reads them as a whole response: false if they aren't one whose end is certain. `head` is zeroed
 * but for its limit, and the caller's to clear in any case; `body` points into `text`.
 */
bool last_words_parse(struct span text, struct response_head *head, struct span *body);
