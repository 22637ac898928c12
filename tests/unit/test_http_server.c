/*
 * test_http_server.c - a request's states, with a real client: what the service may do within each
 * of its functions, and what the client hears of it. done() comes once for each begin().
 */
#include "http/http_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "check.h"
#include "http/http_private.h"

enum moment { BEGIN, BODY, RECEIVED, READ, GONE, LATER, MOMENTS };
enum action {
	NOTHING,
	RESPOND,
	REFUSE,
	STREAM,
	CUT,
	CUT_AND_RESPOND,
	PARK,
	PARK_AND_CUT,
	END_BADLY
};

static const char *const moment_names[MOMENTS] = { "begin", "body", "received",
						   "read",  "gone", "later" };

static struct {
	struct loop loop;
	struct http_server *server;
	struct http_request *request;
	enum action at[MOMENTS];
	int begun, done, closed, calls[MOMENTS];
	bool sent, cut, takes_nothing, is_patient;
	size_t body, streamed;
	struct job later;
} t;

static void respond(bool streamed, bool refuses)
{
	http_request_respond(t.request, &(struct http_response){
						.status = 200,
						.body = streamed ? SPAN("") : SPAN("hello"),
						.streamed = streamed,
						.length = -1,
						.refuses = refuses,
					});
}

static void cut(void)
{
	t.cut = true;
	http_request_cut(t.request);
}

static void act(enum moment when)
{
	enum action what = t.at[when];

	t.calls[when]++;
	if (what != PARK && what != PARK_AND_CUT && what != END_BADLY)
		t.at[when] = NOTHING;
	if (what == CUT || what == CUT_AND_RESPOND)
		cut();
	if (what == RESPOND || what == CUT_AND_RESPOND)
		respond(false, false);
	else if (what == REFUSE)
		respond(false, true);
	else if (what == STREAM)
		respond(true, false);
}

static void run_later(struct job *job)
{
	(void)job;
	if (t.request)
		act(LATER);
}

static void *on_begin(void *ctx, struct http_request *r)
{
	CHECK(ctx == &t);
	CHECK(!t.request);
	t.request = r;
	t.begun++;
	act(BEGIN);
	return &t;
}

static size_t on_body(void *x, const char *data, size_t len)
{
	CHECK(x == &t && data);
	act(BODY);
	if (t.takes_nothing)
		return 0;
	t.body += len;
	return len;
}

static void on_received(void *x)
{
	CHECK(x == &t);
	loop_defer(&t.loop, &t.later);
	act(RECEIVED);
}

static ssize_t on_read(void *x, char *to, size_t max)
{
	CHECK(x == &t && max >= 5 && !t.cut);
	if (t.at[READ] == PARK_AND_CUT && t.streamed) {
		t.at[LATER] = CUT;
		loop_defer(&t.loop, &t.later);
		return 0;
	}
	if (t.at[READ] == PARK && t.streamed)
		return 0;
	if (t.at[READ] == END_BADLY && t.streamed)
		return HTTP_READ_CUT;
	act(READ);
	if (t.streamed == 5)
		return HTTP_READ_END;
	memcpy(to, "hello", 5);
	return (ssize_t)(t.streamed = 5);
}

static void on_gone(void *x)
{
	CHECK(x == &t);
	act(GONE);
	if (t.request && !t.cut && !t.is_patient)
		cut();
}

static void on_done(void *x, bool sent)
{
	CHECK(x == &t && t.request);
	t.request = NULL;
	t.sent = sent;
	t.done++;
}

static void on_closed(void *ctx)
{
	CHECK(ctx == &t);
	t.closed++;
}

static const struct http_service service = {
	.begin = on_begin,
	.body = on_body,
	.received = on_received,
	.read = on_read,
	.gone = on_gone,
	.done = on_done,
	.closed = on_closed,
};

/* --- the client ------------------------------------------------------------------------------- */

static int connect_client(void)
{
	const char *address = connections_address(http_server_connections(t.server));
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
	must(fd >= 0 && !connect(fd, (struct sockaddr *)&a, sizeof a));
	return fd;
}

/* Without SIGPIPE: the server may have closed by now. */
static void say(int fd, const char *text)
{
	must(send(fd, text, strlen(text), MSG_NOSIGNAL) >= 0 || errno == EPIPE ||
	     errno == ECONNRESET);
}

enum end { OPEN, CLOSED, RESET };

/* What has come so far, appended; and whether the server has closed. */
static enum end hear(int fd, char *heard, size_t size)
{
	size_t len = strlen(heard);
	ssize_t n = recv(fd, heard + len, size - len - 1, MSG_DONTWAIT);

	if (n > 0)
		heard[len + (size_t)n] = '\0';
	return !n ? CLOSED : n < 0 && errno != EAGAIN ? RESET : OPEN;
}

static const char get[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
static const char post[] = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n12345";
static const char rest[] = "67890";
static const char expecting[] = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n"
				"Expect: 100-continue\r\n\r\n";
static const char old_post[] = "POST / HTTP/1.0\r\nContent-Length: 10\r\n\r\n12345";
static const char old[] = "GET / HTTP/1.0\r\n\r\n";

struct scene {
	const char *request; /* NULL behind it: the rest is never sent */
	const char *rest;    /* sent when its beginning was read; NULL: nothing */
	enum moment when;
	enum action what;
	bool sent;         /* done() says so */
	const char *hears; /* the status line begins so; "": nothing at all */
	bool whole;        /* the response is complete */
	enum action then;  /* of STREAM: within the first read() */
};

static const struct scene scenes[] = {
	/* a request without a body */
	{ get, NULL, BEGIN, RESPOND, true, "HTTP/1.1 200", true },
	{ get, NULL, BEGIN, REFUSE, true, "HTTP/1.1 200", true },
	{ get, NULL, BEGIN, STREAM, true, "HTTP/1.1 200", true },
	{ get, NULL, BEGIN, CUT, false, "", false },
	{ get, NULL, BEGIN, CUT_AND_RESPOND, false, "", false },
	{ get, NULL, RECEIVED, RESPOND, true, "HTTP/1.1 200", true },
	{ get, NULL, RECEIVED, STREAM, true, "HTTP/1.1 200", true },
	{ get, NULL, RECEIVED, CUT, false, "", false },
	{ get, NULL, RECEIVED, CUT_AND_RESPOND, false, "", false },
	{ get, NULL, LATER, RESPOND, true, "HTTP/1.1 200", true },
	{ get, NULL, LATER, STREAM, true, "HTTP/1.1 200", true },
	{ get, NULL, LATER, CUT, false, "", false },
	{ get, NULL, LATER, CUT_AND_RESPOND, false, "", false },
	{ old, NULL, LATER, STREAM, true, "HTTP/1.1 200", true },
	{ get, NULL, LATER, STREAM, false, "HTTP/1.1 200", false, CUT },
	{ old, NULL, LATER, STREAM, false, "HTTP/1.1 200", false, CUT },
	{ get, NULL, LATER, STREAM, false, "HTTP/1.1 200", false, PARK_AND_CUT },
	{ old, NULL, LATER, STREAM, false, "HTTP/1.1 200", false, PARK_AND_CUT },
	{ get, NULL, LATER, STREAM, false, "HTTP/1.1 200", false, END_BADLY },
	{ old, NULL, LATER, STREAM, false, "HTTP/1.1 200", false, END_BADLY },
	{ post, NULL, BODY, STREAM, false, "HTTP/1.1 200", false, END_BADLY },
	/* one with a body, whose rest comes when its beginning was read */
	{ post, rest, BEGIN, RESPOND, true, "HTTP/1.1 200", true },
	{ post, rest, BEGIN, REFUSE, true, "HTTP/1.1 200", true },
	{ post, rest, BEGIN, CUT, false, "", false },
	{ post, rest, BODY, RESPOND, true, "HTTP/1.1 200", true },
	{ post, rest, BODY, STREAM, true, "HTTP/1.1 200", true },
	{ post, rest, BODY, CUT, false, "", false },
	{ post, rest, BODY, CUT_AND_RESPOND, false, "", false },
	{ post, rest, RECEIVED, RESPOND, true, "HTTP/1.1 200", true },
	{ post, rest, RECEIVED, CUT, false, "", false },
	{ post, rest, LATER, STREAM, true, "HTTP/1.1 200", true },
	/* one whose rest never comes: the response doesn't wait for it */
	{ post, NULL, BODY, RESPOND, true, "HTTP/1.1 200", true },
	{ post, NULL, BODY, STREAM, true, "HTTP/1.1 200", true },
	{ post, NULL, BODY, STREAM, false, "HTTP/1.1 200", false, CUT },
	{ post, NULL, BODY, CUT, false, "", false },
	{ expecting, NULL, BEGIN, RESPOND, true, "HTTP/1.1 200", true },
	{ expecting, rest, BEGIN, CUT, false, "", false },
};

/* As a client takes it: a body without length or chunks ends with its connection, by a FIN. */
static bool is_whole(const char *heard, enum end end)
{
	const char *body = strstr(heard, "\r\n\r\n");

	if (!body)
		return false;
	body += 4;
	if (strstr(heard, "Content-Length: 5\r\n"))
		return !strcmp(body, "hello");
	if (strstr(heard, "Transfer-Encoding: chunked\r\n"))
		return !strcmp(body, "5\r\nhello\r\n0\r\n\r\n");
	return end == CLOSED;
}

static void reset(const struct scene *s)
{
	t.request = NULL;
	memset(t.at, 0, sizeof t.at);
	memset(t.calls, 0, sizeof t.calls);
	t.begun = t.done = t.closed = 0;
	t.body = t.streamed = 0;
	t.cut = t.takes_nothing = t.is_patient = false;
	t.at[s->when] = s->what;
	if (s->what == STREAM)
		t.at[READ] = s->then;
}

static void play(const struct scene *s)
{
	char heard[1024] = "";
	enum end end = OPEN;
	int fd = connect_client(), failures = check_failures;

	reset(s);
	say(fd, s->request);
	if (s->rest) {
		CHECK(RUN_UNTIL(&t.loop, t.calls[BODY] || t.done, 5000));
		say(fd, s->rest);
	}
	CHECK(RUN_UNTIL(&t.loop, (end = hear(fd, heard, sizeof heard)) || is_whole(heard, end),
			5000));
	shutdown(fd, SHUT_WR);
	CHECK(RUN_UNTIL(&t.loop, t.done && (end = end ? end : hear(fd, heard, sizeof heard)),
			5000));
	close(fd);
	CHECK(RUN_UNTIL(&t.loop, t.closed, 5000));
	CHECK_INT(t.begun, 1);
	CHECK_INT(t.done, 1);
	CHECK_INT(t.sent, s->sent);
	CHECK(s->hears[0] ? !strncmp(heard, s->hears, strlen(s->hears)) : !heard[0]);
	CHECK_INT(is_whole(heard, end), s->whole);
	CHECK_INT(connections_count(http_server_connections(t.server)), 1); /* the idle one */
	if (failures != check_failures)
		fprintf(stderr, "in scene %d: %s at %s\n", (int)(s - scenes), s->request,
			moment_names[s->when]);
}

/* A client that hangs up while nothing is answered yet: in the middle of its body, or behind it. */
static void test_hang_up(const char *request, enum action what, bool at_once)
{
	struct scene s = { .when = GONE, .what = what };
	int fd = connect_client();

	reset(&s);
	CHECK(RUN_UNTIL(&t.loop, connections_count(http_server_connections(t.server)) == 2, 5000));
	for (int i = 0; i < 5; i++)
		uv_run(&t.loop.uv, UV_RUN_NOWAIT); /* MHD has taken it in */
	say(fd, request);
	if (!at_once) /* else the hang-up is seen before MHD has read the request */
		CHECK(RUN_UNTIL(&t.loop, request == get ? t.calls[LATER] : t.calls[BODY], 5000));
	close(fd);
	CHECK(RUN_UNTIL(&t.loop, t.closed, 5000));
	CHECK_INT(t.calls[GONE], 1);
	CHECK_INT(t.done, 1);
	CHECK(!t.sent);
}

/* A client that has said its last is gone for MHD; and so it is for us, whatever the service says. */
static void test_half_closed(void)
{
	struct scene s = { .when = GONE, .what = RESPOND };
	int fd = connect_client();

	reset(&s);
	t.is_patient = true;
	say(fd, get);
	CHECK(RUN_UNTIL(&t.loop, t.calls[LATER], 5000));
	shutdown(fd, SHUT_WR);
	CHECK(RUN_UNTIL(&t.loop, t.closed, 5000));
	CHECK_INT(t.done, 1);
	close(fd);
}

/* A body that isn't taken, on a connection that is cut: nobody comes to fetch it. */
static void test_cut_within_body(void)
{
	struct scene s = { .when = BODY, .what = CUT };
	int fd = connect_client();

	reset(&s);
	t.takes_nothing = true;
	say(fd, post);
	CHECK(RUN_UNTIL(&t.loop, t.closed, 5000));
	CHECK_INT(t.done, 1);
	close(fd);
}

/*
 * A client that hangs up when it has all of an early response isn't gone: it was served. Nothing of its body is taken
 * here, so that MHD looks away, and the hang-up is all that is seen.
 */
static void test_served_early(const char *request)
{
	struct scene s = { .when = BODY, .what = STREAM };
	char heard[1024] = "";
	int fd = connect_client();

	reset(&s);
	t.takes_nothing = true;
	say(fd, request);
	CHECK(RUN_UNTIL(&t.loop, hear(fd, heard, sizeof heard) == CLOSED, 5000));
	CHECK(is_whole(heard, CLOSED));
	CHECK(!t.done);
	close(fd);
	CHECK(RUN_UNTIL(&t.loop, t.closed, 5000));
	CHECK_INT(t.calls[GONE], 0);
	CHECK_INT(t.done, 1);
	CHECK(t.sent);
}

/* As beside large bodies: in each turn of the loop there is more for the daemon to do. */
static void run_daemons(struct job *job)
{
	server_shards_run(t.server->shards);
	loop_defer_later(&t.loop, job);
}

/* A client that hangs up in the middle of its response, while its shard is never done. */
static void test_gone_beside_upload(void)
{
	struct scene s = { .when = LATER, .what = STREAM, .then = PARK };
	struct job busy = { .run = run_daemons };
	char heard[1024] = "";
	int fd = connect_client();

	reset(&s);
	say(fd, get);
	CHECK(RUN_UNTIL(&t.loop, hear(fd, heard, sizeof heard) || strstr(heard, "hello"), 5000));
	loop_defer_later(&t.loop, &busy);
	uv_run(&t.loop.uv, UV_RUN_NOWAIT);
	close(fd);
	CHECK(RUN_UNTIL(&t.loop, t.done, 5000));
	CHECK_INT(t.calls[GONE], 1);
	CHECK(!t.sent);
	job_cancel(&busy);
	CHECK(RUN_UNTIL(&t.loop, t.closed, 5000));
}

/* Two requests on one connection: nothing of the first is left in the second. */
static void test_again(void)
{
	struct scene first = { .when = LATER, .what = STREAM };
	struct scene second = { .when = RECEIVED, .what = RESPOND };
	char heard[1024] = "";
	int fd = connect_client();

	reset(&first);
	say(fd, post);
	say(fd, rest);
	CHECK(RUN_UNTIL(&t.loop, hear(fd, heard, sizeof heard) || t.done, 5000));
	CHECK(t.sent);
	reset(&second);
	say(fd, get);
	CHECK(RUN_UNTIL(&t.loop, hear(fd, heard, sizeof heard) || t.done, 5000));
	CHECK(t.sent);
	CHECK_INT(t.closed, 0);
	close(fd);
	CHECK(RUN_UNTIL(&t.loop, t.closed, 5000));
}

int main(void)
{
	static const int64_t no_limit = 0, long_ms = 60 * 1000;
	CLEANUP(buf_clear) struct buf errors = { 0 };
	int idle;
	struct http_server_options options = {
		.make_room_after_ms = -1,
		.name = "listen.address",
		.address = "127.0.0.1:0",
		.max_connections = 10,
		.max_per_address = &no_limit,
		.max_header_bytes = 8192,
		.max_headers = 50,
		.header_timeout_ms = &long_ms,
		.idle_timeout_ms = &long_ms,
		.stall_timeout_ms = &long_ms,
		.service = &service,
		.ctx = &t,
	};

	loop_open(&t.loop);
	t.later.run = run_later;
	must(!http_server_new(&t.loop, &options, &errors, &t.server));
	idle = connect_client(); /* older than all others: MHD looks at it first */
	for (size_t i = 0; i < ARRAY_SIZE(scenes); i++)
		play(&scenes[i]);
	test_hang_up(get, NOTHING, false);
	test_hang_up(get, NOTHING, true);
	test_hang_up(get, RESPOND, false);
	test_hang_up(post, NOTHING, false);
	test_hang_up(post, NOTHING, true);
	test_hang_up(post, CUT_AND_RESPOND, false);
	test_half_closed();
	test_cut_within_body();
	test_served_early(post);
	test_served_early(old_post);
	test_again();
	test_gone_beside_upload();
	close(idle);
	http_server_quiesce(t.server, CONNECTIONS_CUT);
	http_server_free(t.server);
	loop_close(&t.loop);
	return check_done();
}
