#include "http/last_words.h"

#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "http/forward.h"

enum { MAX_BYTES = 16 * 1024 };

void last_words_read(int fd, struct buf *ret)
{
	ssize_t n = recv(fd, buf_reserve(ret, MAX_BYTES), MAX_BYTES, MSG_DONTWAIT);

	ret->len = n > 0 ? (size_t)n : 0;
}

bool last_words_parse(struct span text, struct response_head *head, struct span *body)
{
	const char *at = text.ptr, *end = text.ptr + text.len, *newline;

	while (!head->done && at < end && (newline = memchr(at, '\n', (size_t)(end - at)))) {
		if (response_head_line(head, (struct span){ at, (size_t)(newline + 1 - at) }))
			return false;
		at = newline + 1;
	}
	*body = (struct span){ at, (size_t)(end - at) };
	return head->done && headers_content_length(&head->fields) == (int64_t)body->len;
}
