/* An early response: written past libmicrohttpd, and what its owner hears of it. */
#include "http/early_response.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

struct owner {
	struct loop loop;
	struct early_response *early;
	int fds[2]; /* the server's end, the client's */
	const char *text;
	ssize_t then; /* what read() says behind the text */
	int heard[4]; /* how often of each state */
};

static ssize_t on_read(void *x, char *to, size_t max)
{
	struct owner *o = x;
	size_t n = MIN(strlen(o->text), max);

	memcpy(to, o->text, n);
	o->text += n;
	return n ? (ssize_t)n : o->then;
}

/* As the HTTP server does: who ends a request wakes all that belongs to it. */
static void on_changed(void *owner, enum early_response_state state)
{
	struct owner *o = owner;

	o->heard[state]++;
	if (state == EARLY_RESPONSE_DONE || state == EARLY_RESPONSE_CUT)
		early_response_wake(o->early);
}

static void begin_with(struct owner *o, int status, const char *text, ssize_t then)
{
	struct http_response response = { .status = status, .streamed = true, .length = -1 };
	struct early_response_client client = {
		.reason = "Reason", .read = on_read, .x = o, .changed = on_changed, .owner = o
	};

	*o = (struct owner){ .text = text, .then = then };
	loop_open(&o->loop);
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, o->fds) == 0);
	client.fd = o->fds[0];
	o->early = early_response_new(&o->loop, &client, &response);
	for (int i = 0; i < 10; i++)
		uv_run(&o->loop.uv, UV_RUN_NOWAIT);
}

static void begin(struct owner *o, const char *text, ssize_t then)
{
	begin_with(o, 413, text, then);
}

static void end(struct owner *o)
{
	early_response_free(o->early);
	close(o->fds[0]);
	close(o->fds[1]);
	loop_close(&o->loop);
}

static void test_whole(void)
{
	struct owner o;
	char got[512] = "";

	begin(&o, "abc", HTTP_READ_END);
	CHECK_INT(o.heard[EARLY_RESPONSE_DONE], 1);
	CHECK(early_response_done(o.early));
	CHECK(recv(o.fds[1], got, sizeof got - 1, MSG_DONTWAIT) > 0);
	CHECK_STR(got, "HTTP/1.1 413 Reason\r\nConnection: close\r\n"
		       "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
	end(&o);
}

/* The owner hears of it once, however often it wakes what it ends: nothing spins. */
static void test_cut(void)
{
	struct owner o;

	begin(&o, "abc", HTTP_READ_CUT);
	CHECK_INT(o.heard[EARLY_RESPONSE_CUT], 1);
	CHECK_INT(o.heard[EARLY_RESPONSE_DONE], 0);
	CHECK(!early_response_done(o.early));
	end(&o);
}

static void test_waiting(void)
{
	struct owner o;

	begin(&o, "abc", 0);
	CHECK_INT(o.heard[EARLY_RESPONSE_WAITING], 1);
	o.text = "d";
	o.then = HTTP_READ_END;
	early_response_wake(o.early);
	uv_run(&o.loop.uv, UV_RUN_NOWAIT);
	CHECK_INT(o.heard[EARLY_RESPONSE_DONE], 1);
	end(&o);
}

/* They have no body, so a last chunk would be the beginning of a next response. */
static void test_without_body(void)
{
	static const struct {
		int status;
		const char *head;
	} cases[] = {
		{ 204, "HTTP/1.1 204 Reason\r\nConnection: close\r\n\r\n" },
		{ 304, "HTTP/1.1 304 Reason\r\nConnection: close\r\n\r\n" },
	};
	struct owner o;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char got[512] = "";

		begin_with(&o, cases[i].status, "", HTTP_READ_END);
		CHECK_INT(o.heard[EARLY_RESPONSE_DONE], 1);
		CHECK(recv(o.fds[1], got, sizeof got - 1, MSG_DONTWAIT) > 0);
		CHECK_STR(got, cases[i].head);
		end(&o);
	}
}

int main(void)
{
	test_whole();
	test_cut();
	test_waiting();
	test_without_body();
	return check_done();
}
