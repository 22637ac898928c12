/*
 * message.c - an incremental reader of HTTP/1.1 messages for the bench's programs.
 */
#include "message.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *message_field(const struct message *m, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = strstr(m->head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
		if (!strncasecmp(line + 2, name, len))
			return line + 2 + len + strspn(line + 2 + len, " ");
	return NULL;
}

int64_t message_query(const struct message *m, const char *name, int64_t otherwise)
{
	size_t len = strlen(name), line = strcspn(m->head, "\r");
	const char *at = memchr(m->head, '?', line);

	for (; at && at < m->head + line; at = strpbrk(at + 1, "&\r"))
		if (!strncmp(at + 1, name, len) && at[1 + len] == '=')
			return strtoll(at + 2 + len, NULL, 10);
	return otherwise;
}

static void read_head(struct message *m)
{
	const char *length = message_field(m, "content-length:");
	const char *coding = message_field(m, "transfer-encoding:");

	if (!strncmp(m->head, "HTTP/1.1 ", 9))
		m->status = atoi(m->head + 9);
	m->chunked = coding && !strncasecmp(coding, "chunked", 7);
	m->body_has_length = length && !m->chunked;
	m->left = m->body_has_length ? strtoull(length, NULL, 10) : 0;
	m->state = m->chunked ? MESSAGE_CHUNK_SIZE : m->left ? MESSAGE_BODY : MESSAGE_DONE;
	if (m->status == 100)
		message_reset(m);
}

static size_t feed_head(struct message *m, const char *data, size_t len)
{
	size_t old = m->head_len, n = MIN(len, MESSAGE_HEAD_MAX - old);
	size_t from = old < 3 ? 0 : old - 3;
	char *end;

	memcpy(m->head + old, data, n);
	m->head_len += n;
	end = memmem(m->head + from, m->head_len - from, "\r\n\r\n", 4);
	if (!end) {
		if (m->head_len == MESSAGE_HEAD_MAX)
			m->state = MESSAGE_BAD;
		return n;
	}
	m->head_len = (size_t)(end + 4 - m->head);
	m->head[m->head_len] = '\0';
	n = m->head_len - old;
	read_head(m);
	return n;
}

static size_t feed_bytes(struct message *m, const char *data, size_t len, enum message_state next,
			 message_body_fn on_body, void *arg)
{
	size_t n = MIN(len, m->left);

	if (on_body)
		on_body(arg, data, n);
	m->left -= n;
	if (!m->left)
		m->state = next;
	return n;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'                 ? c - '0'
	       : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
						    : -1;
}

/* One byte of what frames the chunks. */
static void feed_frame(struct message *m, char c)
{
	int digit = hex_digit(c);

	if (m->state == MESSAGE_CHUNK_SIZE && digit >= 0)
		m->left = m->left * 16 + (uint64_t)digit;
	if (c != '\n')
		return;
	if (m->state == MESSAGE_CHUNK_SIZE)
		m->state = m->left ? MESSAGE_CHUNK_DATA : MESSAGE_LAST_LINE;
	else if (m->state == MESSAGE_CHUNK_END)
		m->state = MESSAGE_CHUNK_SIZE;
	else
		m->state = MESSAGE_DONE;
}

size_t message_feed(struct message *m, const char *data, size_t len, message_body_fn on_body,
		    void *arg)
{
	size_t at = 0;

	while (at < len && m->state < MESSAGE_DONE) {
		switch (m->state) {
		case MESSAGE_HEAD:
			at += feed_head(m, data + at, len - at);
			break;
		case MESSAGE_BODY:
			at += feed_bytes(m, data + at, len - at, MESSAGE_DONE, on_body, arg);
			break;
		case MESSAGE_CHUNK_DATA:
			at += feed_bytes(m, data + at, len - at, MESSAGE_CHUNK_END, on_body, arg);
			break;
		default:
			feed_frame(m, data[at++]);
		}
	}
	return at;
}

void message_reset(struct message *m)
{
	m->state = MESSAGE_HEAD;
	m->head_len = 0;
	m->left = 0;
	m->status = 0;
	m->chunked = m->body_has_length = false;
}
