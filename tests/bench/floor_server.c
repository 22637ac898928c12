/*
 * floor_server.c - the plainest server that a proxy can be made of: libmicrohttpd in the loop of
 * libuv. It does what a proxy can't do without (a request waits, suspended, until something outside
 * of its handler resumes it), and nothing else: bodies are thrown away, every answer is the same.
 *
 * What it costs a request is the least that a proxy on this library spends on its clients' side;
 * floor_client.c is the other half.
 *
 * usage: bench_floor_server --port N
 */
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/mem.h"
#include "net.h"

enum { ANSWER_BYTES = 100, REQUESTS_MAX = 20000, POOL_BYTES = 40 * 1024 };

static struct {
	struct MHD_Daemon *daemon;
	struct MHD_Response *answer;
	struct MHD_Connection *waiting[REQUESTS_MAX];
	int count;
} server;

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *len, void **context)
{
	(void)cls, (void)url, (void)method, (void)version, (void)data;
	if (!*context) {
		*context = &server; /* the head */
		return MHD_YES;
	}
	if (*len) {
		*len = 0;
		return MHD_YES;
	}
	if (*context == &server) { /* all of it: wait, as for an upstream */
		must(server.count < REQUESTS_MAX);
		*context = server.waiting;
		server.waiting[server.count++] = mhd;
		MHD_suspend_connection(mhd);
		return MHD_YES;
	}
	return MHD_queue_response(mhd, MHD_HTTP_OK, server.answer);
}

static void run(uv_prepare_t *prepare)
{
	MHD_UNSIGNED_LONG_LONG timeout;

	(void)prepare;
	do {
		while (server.count)
			MHD_resume_connection(server.waiting[--server.count]);
		MHD_run(server.daemon);
	} while (server.count || (MHD_get_timeout(server.daemon, &timeout) == MHD_YES && !timeout));
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	(void)poll, (void)status, (void)events; /* run() comes before the loop blocks */
}

int main(int argc, char **argv)
{
	static char body[ANSWER_BYTES];
	uv_loop_t *loop = uv_default_loop();
	uv_prepare_t prepare;
	uv_poll_t poll;

	net_raise_limits();
	memset(body, 'x', sizeof body);
	server.answer = MHD_create_response_from_buffer(sizeof body, body, MHD_RESPMEM_PERSISTENT);
	server.daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_SUPPRESS_DATE_NO_CLOCK,
		(uint16_t)net_option(argc, argv, "port", 0), NULL, NULL, on_request, NULL,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES, MHD_OPTION_END);
	if (!server.daemon)
		net_fail("MHD_start_daemon");
	uv_poll_init(loop, &poll,
		     MHD_get_daemon_info(server.daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd);
	uv_poll_start(&poll, UV_READABLE, on_ready);
	uv_prepare_init(loop, &prepare);
	uv_prepare_start(&prepare, run);
	return uv_run(loop, UV_RUN_DEFAULT);
}
