/*
 * fake_relay - a scriptable Claude API for tests, benchmarks and first steps.
 *
 *      fake_relay [--port N] [--address A]        (127.0.0.1; port 0 or none: a free one)
 *
 * Prints `listening on ADDRESS:PORT` when it is ready; SIGTERM or SIGINT ends it. One thread, any
 * number of connections.
 *
 * What it answers (paths are compared by their end, so a prefix in front doesn't matter):
 *
 *      POST …/v1/messages                 server-sent events if the body says "stream":true, else
 *                                         one message as JSON
 *      POST …/v1/messages/count_tokens, GET …/v1/models, …/, …/api/hello     something plausible
 *      anything below /echo               JSON: request_line, headers (an array of lines, in order),
 *                                         head_hex, chunked, body_bytes, body_sha256, connection
 *
 * Headers of a request that say how it is answered (one that isn't known gives a 400):
 *
 *      X-Relay-Events: n             content deltas, 5 (in JSON: as many words in the text)
 *      X-Relay-Event-Bytes: n        length of the text in each, at least its number, 16
 *      X-Relay-Interval-Ms: n        a pause before each delta
 *      X-Relay-Delay-Ms: n           a pause between request and response
 *      X-Relay-Read-Pause-Ms: n      a pause in reading, behind the request's head
 *      X-Relay-Status: code          an error in the API's shape from 300 on
 *      X-Relay-Bytes: n              instead, n bytes as `yes 123456789 | head -c n` prints them,
 *                                    as fast as the reader takes them
 *      X-Relay-Framing: chunked | length | close         (events: chunked, all else: length)
 *      X-Relay-Header: Name: value   one more header line in the response; may be repeated
 *      X-Relay-Tag: name             what the request is called in the records
 *      X-Relay-Uncounted: 1          doesn't count for `active` and `max_overlap`
 *      X-Relay-Cut-After: k          events (of all kinds) before cut-body and stall, 0
 *      X-Relay-First: n              all this is for the first n requests with this tag; later ones are
 *                                    answered as ever
 *      X-Relay-Tool: NAME {...}      calls this tool with this input, in answer to who doesn't bring the
 *                                    result of one
 *      X-Relay-Fault: one of
 *        refuse-late   closes the connection instead of an answer
 *        reset         resets the connection when it has the head
 *        garbage       answers what isn't HTTP, and closes
 *        silent        never answers
 *        cut-headers   closes in the middle of the response's head
 *        cut-body      sends k events and the half of the next, and closes (with framing close:
 *                      resets, as a close would be the regular end)
 *        stall         sends k events and then nothing, and keeps the connection
 *        close-idle    closes behind the response without having said `Connection: close`
 *        stale         answers, and closes when the next request arrives on the connection
 *        early-413     answers 413 when it has the head, and reads on for a while
 *        interim       sends a 103 and a 100 before the response
 *
 * What it has seen, as JSON, and how to wait for it:
 *
 *      GET  /__relay/stats     {"all":{seen,active,max_overlap,completed,aborted,cut}, "connections",
 *                              "open", "stale", "forgotten", "accounts":{KEY:{the same, "order":[tags]}},
 *                              "requests":[{tag,account,phase,body_sha256,arrived_us,…}]}
 *      POST /__relay/reset     forgets all of it
 *      GET  /__relay/wait?…    answers 200 when all of these hold, 408 when limit_ms (10000) is over:
 *                              active=N (exactly), seen=N (at least), each over all or with
 *                              account=KEY; tag=NAME with phase=arrived|body|headers|done|aborted|cut
 *                              (arrived) and times=N (1): so many of that tag
 *      POST /__relay/go        ends the pauses of all that are in one, before a response or between its events
 *
 * KEY is the value of x-api-key, else of Authorization without "Bearer ". `active` and
 * `max_overlap` count POSTs to …/v1/messages. Times are monotonic microseconds. A request is done
 * when its last byte is with the kernel, aborted when the peer left before, cut when the relay
 * itself broke it. The newest 20000 requests are listed; the sums go on.
 */
#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "connection.h"

enum { BACKLOG = 4096 };

struct server {
	struct relay relay;
	uv_tcp_t listener;
	uv_signal_t term, interrupt;
};

static void check_waiting(struct job *job)
{
	connections_check_waiting(container_of(job, struct relay, check));
}

static void on_change(void *arg)
{
	struct relay *relay = arg;

	loop_defer(&relay->loop, &relay->check);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct server *s = container_of((uv_tcp_t *)listener, struct server, listener);

	if (status == 0)
		connection_accept(&s->relay, listener);
}

static void on_signal(uv_signal_t *signal, int number)
{
	struct server *s = signal->data;

	(void)number;
	connections_close(&s->relay);
	uv_close((uv_handle_t *)&s->listener, NULL);
	uv_close((uv_handle_t *)&s->term, NULL);
	uv_close((uv_handle_t *)&s->interrupt, NULL);
	uv_stop(&s->relay.loop.uv);
}

static void catch_signal(struct server *s, uv_signal_t *signal, int number)
{
	uv_signal_init(&s->relay.loop.uv, signal);
	signal->data = s;
	uv_signal_start(signal, on_signal, number);
}

static int listen_on(struct server *s, const char *address, int port)
{
	struct sockaddr_in where;
	int len = sizeof where, r;

	uv_tcp_init(&s->relay.loop.uv, &s->listener);
	if ((r = uv_ip4_addr(address, port, &where)) < 0 ||
	    (r = uv_tcp_bind(&s->listener, (struct sockaddr *)&where, 0)) < 0 ||
	    (r = uv_listen((uv_stream_t *)&s->listener, BACKLOG, on_connection)) < 0 ||
	    (r = uv_tcp_getsockname(&s->listener, (struct sockaddr *)&where, &len)) < 0) {
		fprintf(stderr, "fake_relay: can't listen on %s:%d: %s\n", address, port,
			uv_strerror(r));
		return r;
	}
	printf("listening on %s:%d\n", address, ntohs(where.sin_port));
	fflush(stdout);
	return 0;
}

static int read_arguments(int argc, char **argv, const char **ret_address, int *ret_port)
{
	static const struct option options[] = {
		{ "port", required_argument, NULL, 'p' },
		{ "address", required_argument, NULL, 'a' },
		{ 0 },
	};
	char *end = "";
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'p')
			*ret_port = (int)strtol(optarg, &end, 10);
		else if (o == 'a')
			*ret_address = optarg;
		if (o == '?' || *end || *ret_port < 0 || *ret_port > 65535)
			return -1;
	}
	return optind == argc ? 0 : -1;
}

static void allow_many_connections(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void run(struct server *s)
{
	struct relay *relay = &s->relay;

	list_init(&relay->connections);
	list_init(&relay->waiting);
	relay->check.run = check_waiting;
	relay->recorder.on_change = on_change;
	relay->recorder.arg = relay;
	catch_signal(s, &s->term, SIGTERM);
	catch_signal(s, &s->interrupt, SIGINT);
	uv_run(&relay->loop.uv, UV_RUN_DEFAULT);
	job_cancel(&relay->check);
	loop_close(&relay->loop);
	recorder_close(&relay->recorder);
}

int main(int argc, char **argv)
{
	static struct server s;
	const char *address = "127.0.0.1";
	int port = 0;

	if (read_arguments(argc, argv, &address, &port) < 0) {
		fprintf(stderr, "usage: fake_relay [--port N] [--address A]\n");
		return 2;
	}
	allow_many_connections();
	loop_open(&s.relay.loop);
	recorder_open(&s.relay.recorder);
	if (listen_on(&s, address, port) < 0)
		return 1;
	run(&s);
	return 0;
}
