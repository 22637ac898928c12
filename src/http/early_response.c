#include "http/early_response.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/mem.h"

enum { PIECE = 16 * 1024 };

struct early_response {
	struct early_response_client client;
	struct loop *loop;
	struct job job;
	struct buf out;
	size_t sent; /* of `out` */
	bool chunked, ended;
	enum early_response_state state;
};

/* Puts the next piece of the body into the empty `out`. */
static ssize_t refill(struct early_response *e)
{
	char piece[PIECE];
	ssize_t n = e->client.read(e->client.x, piece, sizeof piece);

	e->out.len = e->sent = 0;
	if (n > 0 && e->chunked)
		buf_printf(&e->out, "%zx\r\n", (size_t)n);
	if (n > 0)
		buf_append(&e->out, piece, (size_t)n);
	if (n > 0 && e->chunked)
		buf_puts(&e->out, "\r\n");
	e->ended = n == HTTP_READ_END;
	if (e->ended && e->chunked)
		buf_puts(&e->out, "0\r\n\r\n");
	return n;
}

/* Writes as much as goes. */
static enum early_response_state go_on(struct early_response *e)
{
	for (;;) {
		ssize_t n;

		while (e->sent < e->out.len) {
			n = send(e->client.fd, e->out.data + e->sent, e->out.len - e->sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);
			if (n < 0)
				return errno == EAGAIN ? EARLY_RESPONSE_BLOCKED
						       : EARLY_RESPONSE_CUT;
			e->sent += (size_t)n;
		}
		if (e->ended)
			return EARLY_RESPONSE_DONE;
		n = refill(e);
		if (n == HTTP_READ_CUT)
			return EARLY_RESPONSE_CUT;
		if (!n)
			return EARLY_RESPONSE_WAITING;
	}
}

static void run_job(struct job *job)
{
	struct early_response *e = container_of(job, struct early_response, job);

	e->state = go_on(e);
	e->client.changed(e->client.owner, e->state);
}

/* Who hears of the end, and ends the request, wakes all that belongs to it: also this. */
void early_response_wake(struct early_response *e)
{
	if (e && e->state != EARLY_RESPONSE_DONE && e->state != EARLY_RESPONSE_CUT)
		loop_defer(e->loop, &e->job);
}

bool early_response_done(const struct early_response *e)
{
	return e && e->state == EARLY_RESPONSE_DONE;
}

struct early_response *early_response_new(struct loop *loop,
					  const struct early_response_client *client,
					  const struct http_response *r)
{
	struct early_response *e = xcalloc(1, sizeof *e);
	int64_t length = r->streamed ? r->length : (int64_t)r->body.len;
	bool bare = client->is_head || r->status == 204 || r->status == 304; /* RFC 9110 6.4.1 */

	e->client = *client;
	e->loop = loop;
	e->job.run = run_job;
	e->state = EARLY_RESPONSE_WAITING;
	e->chunked = length < 0 && !client->is_1_0 && !bare;
	e->ended = !r->streamed || bare;
	buf_printf(&e->out, "HTTP/1.1 %d %s\r\nConnection: close\r\n", r->status, client->reason);
	for (size_t i = 0; i < r->count; i++)
		buf_printf(&e->out, "%.*s: %.*s\r\n", SPAN_ARG(r->fields[i].name),
			   SPAN_ARG(r->fields[i].value));
	if (length >= 0 && r->status != 204)
		buf_printf(&e->out, "Content-Length: %lld\r\n", (long long)length);
	else if (e->chunked)
		buf_puts(&e->out, "Transfer-Encoding: chunked\r\n");
	buf_puts(&e->out, "\r\n");
	if (!r->streamed && !bare)
		buf_append(&e->out, r->body.ptr, r->body.len);
	loop_defer(loop, &e->job);
	return e;
}

void early_response_free(struct early_response *e)
{
	if (!e)
		return;
	job_cancel(&e->job);
	buf_clear(&e->out);
	free(e);
}
