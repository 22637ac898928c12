/*
 * hostile.h - a server on the test's own loop that reads commands of Redis, or heads of HTTP, as one
 * should, and answers each with whatever the test likes. For unit tests and fuzzers.
 *
 *      question ──> answer(arg, question, out) ──> `out`, which may be no RESP or HTTP at all
 */
#pragma once

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/loop.h"

struct hostile {
	struct loop *loop;
	uv_pipe_t *listener;
	struct list connections;
	int accepted; /* connections so far */
	char dir[64], path[80], url[96];
	/* The length of the first question if it is whole, else 0: resp_command(), http_head(). */
	size_t (*whole)(struct span in);
	/* Nothing appended: it is silent. False: it hangs up behind the answer. */
	bool (*answer)(void *arg, struct span question, struct buf *out);
	void *arg;
};

struct hostile_connection {
	struct list link;
	struct hostile *server;
	uv_pipe_t pipe;
	struct buf in;
};

struct hostile_write {
	uv_write_t write;
	struct hostile_connection *hang_up; /* then; or NULL */
	struct buf out;
};

static inline void hostile_closed(uv_handle_t *h)
{
	struct hostile_connection *c = h->data;

	buf_clear(&c->in);
	free(c);
}

static inline void hostile_close(struct hostile_connection *c)
{
	if (list_empty(&c->link))
		return;
	list_remove(&c->link);
	uv_close((uv_handle_t *)&c->pipe, hostile_closed);
}

static inline void hostile_written(uv_write_t *w, int status)
{
	struct hostile_write *write = container_of(w, struct hostile_write, write);

	if (write->hang_up && status != UV_ECANCELED)
		hostile_close(write->hang_up);
	buf_clear(&write->out);
	free(write);
}

/* "*2\r\n$3\r\n..." */
static inline size_t resp_command(struct span in)
{
	const char *at = in.ptr, *end = in.ptr + in.len, *newline;
	long n = in.len && *at == '*' ? strtol(at + 1, NULL, 10) : 0;

	newline = in.len ? memchr(at, '\n', in.len) : NULL;
	for (; newline && n > 0; n--) {
		long len;

		at = newline + 1;
		newline = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
		if (!newline)
			return 0;
		len = strtol(at + 1, NULL, 10);
		if (len < 0 || end - newline - 1 < len + 2)
			return 0;
		newline += len + 2;
	}
	return newline ? (size_t)(newline + 1 - in.ptr) : 0;
}

/* Of a request without a body. */
static inline size_t http_head(struct span in)
{
	const char *end = in.len ? memmem(in.ptr, in.len, "\r\n\r\n", 4) : NULL;

	return end ? (size_t)(end + 4 - in.ptr) : 0;
}

static inline void hostile_serve(struct hostile_connection *c)
{
	struct hostile_write *w = xcalloc(1, sizeof *w);
	uv_buf_t out;
	size_t n;

	while (!w->hang_up && (n = c->server->whole(buf_span(&c->in)))) {
		if (!c->server->answer(c->server->arg, (struct span){ c->in.data, n }, &w->out))
			w->hang_up = c;
		memmove(c->in.data, c->in.data + n, c->in.len - n);
		c->in.len -= n;
	}
	out = uv_buf_init(w->out.data, (unsigned)w->out.len);
	if (!w->out.len || uv_write(&w->write, (uv_stream_t *)&c->pipe, &out, 1, hostile_written))
		hostile_written(&w->write, 0);
}

static inline void hostile_alloc(uv_handle_t *h, size_t size, uv_buf_t *ret)
{
	struct hostile_connection *c = h->data;

	*ret = uv_buf_init(buf_reserve(&c->in, size + 1), (unsigned)size);
}

static inline void hostile_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct hostile_connection *c = s->data;

	(void)buf;
	if (n < 0) {
		hostile_close(c);
		return;
	}
	c->in.len += (size_t)n;
	c->in.data[c->in.len] = '\0'; /* strtol() ends there */
	hostile_serve(c);
}

static inline void hostile_accept(uv_stream_t *listener, int status)
{
	struct hostile *s = listener->data;
	struct hostile_connection *c = xcalloc(1, sizeof *c);

	must(status == 0);
	c->server = s;
	c->pipe.data = c;
	must(uv_pipe_init(listener->loop, &c->pipe, 0) == 0);
	list_append(&s->connections, &c->link);
	must(uv_accept(listener, (uv_stream_t *)&c->pipe) == 0);
	must(uv_read_start((uv_stream_t *)&c->pipe, hostile_alloc, hostile_read) == 0);
	s->accepted++;
}

/* Fill in `whole`, `answer` and `arg` first. Listens at `url` from then on. */
static inline void hostile_open(struct hostile *s, struct loop *loop)
{
	s->loop = loop;
	list_init(&s->connections);
	snprintf(s->dir, sizeof s->dir, "/tmp/turnstile-test-XXXXXX");
	must(mkdtemp(s->dir));
	snprintf(s->path, sizeof s->path, "%s/socket", s->dir);
	snprintf(s->url, sizeof s->url, "unix:%s", s->path);
	s->listener = xcalloc(1, sizeof *s->listener);
	s->listener->data = s;
	must(uv_pipe_init(&loop->uv, s->listener, 0) == 0);
	must(uv_pipe_bind(s->listener, s->path) == 0);
	must(uv_listen((uv_stream_t *)s->listener, 64, hostile_accept) == 0);
}

static inline void hostile_cut(struct hostile *s)
{
	struct hostile_connection *c;

	while ((c = list_first(&s->connections, struct hostile_connection, link)))
		hostile_close(c);
}

static inline void hostile_end(struct hostile *s)
{
	hostile_cut(s);
	uv_close((uv_handle_t *)s->listener, (uv_close_cb)free);
	rmdir(s->dir); /* libuv has taken the socket away */
}
