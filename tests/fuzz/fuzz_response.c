/*
 * fuzz_response.c - heads of a hostile upstream: what is believed is well-formed, whatever came
 * before it, and nothing ends the process.
 *
 *      heads, line by line ──> response_head_line()
 *      whole responses     ──> a server ──> libcurl ──> upstream.c      kept connections, reused handles
 *
 * Between hostile responses there are good ones, as libcurl keeps things of one for the next.
 */
#include <ctype.h>
#include <signal.h>

#include "../unit/hostile.h"
#include "base/clock.h"
#include "driver.h"
#include "http/last_words.h"
#include "http/response_head.h"
#include "http/upstream.h"
#include "mutate.h"

enum { COUNT = 100000, TRANSFERS_SHARE = 50, END_MS = 20, LIMIT_MS = 60000 };

static const char *const responses[] = {
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n2;x=1\r\nok\r\n0\r\nT: 1\r\nU: 2\r\n\r\n",
	"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n",
	"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nok",
	"HTTP/1.1 429 Too Many Requests\r\nretry-after: 5\r\nContent-Type: application/json\r\n"
	"Content-Length: 2\r\n\r\n{}",
	"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"x\", Digest\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nSet-Cookie: a=b; Path=/\r\n"
	"Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n",
};

static const char *const tokens[] = {
	"\r\n",
	"\n",
	"\r",
	" ",
	"\t",
	"\r\n ",
	"\r\n\t",
	":",
	" :",
	": ",
	"\r\n\r\n",
	"\n\n",
	"HTTP/1.1 200 OK\r\n",
	"HTTP/1.1 100 Continue\r\n\r\n",
	"HTTP/1.1 101 X\r\n",
	"HTTP/2 200\r\n",
	"Content-Length: 5\r\n",
	"Content-Length: 2, 2\r\n",
	"Content-Length: 99999999999999999999\r\n",
	"Transfer-Encoding: chunked\r\n",
	"Transfer-Encoding: gzip\r\n",
	"Connection: close\r\n",
	"0\r\n",
	"ffffffffffffffff\r\n",
	"-1",
	"\x80\xff",
	"\x01",
	";",
	"\"",
	"X\r\n",
	": x\r\n",
	"Content-Encoding: zstd\r\n",
	"Location: //\r\n",
	"Set-Cookie: x\r\n",
	"Alt-Svc: h2=\":1\"\r\n",
	"Strict-Transport-Security: x\r\n",
	"Proxy-Connection: x\r\n",
	"Upgrade: h2c\r\n",
	"\t\r\n",
};

static void generate(struct random *r, struct buf *b)
{
	b->len = 0;
	buf_puts(b, responses[random_below(r, ARRAY_SIZE(responses))]);
	if (random_chance(r, 20))
		buf_append(b, "\0", 1);
	mutate(r, b, tokens, ARRAY_SIZE(tokens));
}

/* RFC 9110, sections 5.1 and 5.5: nothing else is ever passed on. */
static void check_fields(const struct headers *h)
{
	for (size_t i = 0; i < h->count; i++) {
		struct span name = h->fields[i].name, value = h->fields[i].value;

		must(name.len);
		for (size_t j = 0; j < name.len; j++)
			must(isalnum((unsigned char)name.ptr[j]) ||
			     (name.ptr[j] && strchr("!#$%&'*+-.^_`|~", name.ptr[j])));
		for (size_t j = 0; j < value.len; j++)
			must((unsigned char)value.ptr[j] >= ' ' || value.ptr[j] == '\t');
	}
}

/* --- heads ------------------------------------------------------------------------------------ */

static void read_head(const struct buf *b)
{
	CLEANUP(response_head_clear) struct response_head h = { .max_bytes = 4096 };
	const char *at = b->data, *end = b->data + b->len, *newline;
	bool was_done = false;

	while (at < end && (newline = memchr(at, '\n', (size_t)(end - at)))) {
		size_t len = (size_t)(newline + 1 - at);
		char *line = xcalloc(1, len); /* what is beyond it is nobody's */
		const char *why;

		memcpy(line, at, len);
		why = response_head_line(&h, (struct span){ line, len });
		free(line);
		must(!was_done || h.done);
		was_done = h.done;
		if (why)
			return;
		at = newline + 1;
	}
	if (!h.done)
		return;
	must(h.status >= 200 && h.status <= 999);
	check_fields(&h.fields);
}

/* What a reset left: a whole response, or none. */
static void read_last_words(const struct buf *b)
{
	CLEANUP(response_head_clear) struct response_head h = { .max_bytes = 4096 };
	struct span body;

	if (!last_words_parse(buf_span(b), &h, &body))
		return;
	must(h.done && body.ptr + body.len == b->data + b->len);
	check_fields(&h.fields);
}

/* --- whole responses -------------------------------------------------------------------------- */

struct scene {
	struct random *random;
	struct loop loop;
	struct config config;
	struct hostile server;
	struct upstream *upstream;
	struct transfer *transfer;
	int heads; /* of this transfer */
	bool good; /* what is answered */
	struct buf body;
	size_t answered, broken, canaries;
};

static bool answer(void *arg, struct span request, struct buf *out)
{
	struct scene *s = arg;
	CLEANUP(buf_clear) struct buf b = { 0 };

	(void)request;
	if (s->good) {
		buf_puts(out, responses[0]);
		return true;
	}
	generate(s->random, &b);
	buf_append(out, b.data, b.len);
	return random_chance(s->random, 4);
}

static void changed(void *x)
{
	struct scene *s = x;

	if (transfer_state(s->transfer) != TRANSFER_ANSWERING)
		return;
	must(!s->heads++);
	must(transfer_status(s->transfer) >= 200);
	check_fields(transfer_fields(s->transfer));
}

static bool give(void *x, const char *data, size_t len)
{
	struct scene *s = x;

	must(s->heads == 1);
	buf_append(&s->body, data, len);
	return true;
}

static void tick(void *arg)
{
	(void)arg;
}

/* A response that doesn't end is given up, as a client does that has left. */
static void await(struct scene *s, int64_t limit_ms)
{
	int64_t end = clock_ms() + limit_ms;
	struct timer *timer = timer_new(&s->loop, tick, NULL);

	while (transfer_state(s->transfer) != TRANSFER_ENDED && clock_ms() < end) {
		timer_start(timer, 1);
		uv_run(&s->loop.uv, UV_RUN_ONCE);
	}
	timer_clear(&timer);
}

static void transfer(struct scene *s, bool good)
{
	static const struct transfer_events events = { changed, give, NULL };
	struct upstream_request request = { .method = SPAN("GET"), .target = SPAN("/x") };

	s->heads = 0;
	s->body.len = 0;
	s->good = good;
	s->transfer = transfer_new(s->upstream, &request, &events, s);
	await(s, good ? LIMIT_MS : END_MS);
	s->answered += s->heads;
	s->broken += transfer_error(s->transfer) == UPSTREAM_BROKEN;
	if (transfer_state(s->transfer) == TRANSFER_ENDED && !transfer_error(s->transfer))
		must(s->heads == 1);
	transfer_free(&s->transfer);
}

/* After whatever came before; what is left of it is on connections that are cut first. */
static void canary(struct scene *s)
{
	hostile_cut(&s->server);
	transfer(s, true);
	must(s->heads == 1 && s->body.len == 2 && !memcmp(s->body.data, "ok", 2));
	s->canaries++;
}

static void fuzz_transfers(struct random *r, size_t count)
{
	struct scene s = { .random = r };

	loop_open(&s.loop);
	s.server.whole = http_head;
	s.server.answer = answer;
	s.server.arg = &s;
	hostile_open(&s.server, &s.loop);
	s.config.upstream.url = (char *)"http://localhost";
	s.config.upstream.proxy = s.config.upstream.ca_file = (char *)"";
	s.config.upstream.unix_socket = s.server.path;
	s.config.upstream.connect_timeout_ms = LIMIT_MS;
	s.config.upstream.max_header_bytes = 4096;
	s.upstream = upstream_new(&s.loop, &s.config, tick, NULL);
	for (size_t i = 0; i < count; i++) {
		if (random_chance(r, 4))
			canary(&s);
		transfer(&s, false);
	}
	printf("%zu transfers: %zu answered, %zu broken; %zu good ones in between\n", count,
	       s.answered, s.broken, s.canaries);
	must(s.answered && s.broken && s.canaries); /* else the generator has gone dull */
	upstream_free(s.upstream);
	hostile_end(&s.server);
	loop_close(&s.loop);
	buf_clear(&s.body);
}

int main(int argc, char **argv)
{
	struct random r;
	size_t count = fuzz_count(argc, argv, COUNT, &r);
	CLEANUP(buf_clear) struct buf b = { 0 };

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < count; i++) {
		generate(&r, &b);
		read_head(&b);
		read_last_words(&b);
	}
	fuzz_transfers(&r, count / TRANSFERS_SHARE + 1);
	return 0;
}
