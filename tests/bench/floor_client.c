/*
 * floor_client.c - the plainest client that a proxy can be made of: libcurl's multi interface in
 * the loop of libuv. A fixed number of transfers, each begun anew when it has ended, over kept
 * connections; easy handles keep their options, sockets stay registered, answers are thrown away.
 *
 * What it costs a request is the least that a proxy on this library spends on its upstream's side;
 * floor_server.c is the other half.
 *
 * usage: bench_floor_client --port N [--connections N] [--bytes N] [--run_ms N]
 * Prints a line of JSON: requests answered, seconds, and CPU seconds of this process.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <uv.h>

#include "base/mem.h"
#include "net.h"

enum { FD_MAX = 4096, CONNECTIONS_MAX = 1024 };

struct watched {
	uv_poll_t poll;
	curl_socket_t fd;
	int registered;
};

static struct {
	uv_loop_t *loop;
	uv_timer_t timer;
	CURLM *multi;
	struct watched *by_fd[FD_MAX];
	int64_t answered, failed;
} client;

static void act(curl_socket_t fd, int events)
{
	int running, left;
	CURLMsg *msg;

	curl_multi_socket_action(client.multi, fd, events, &running);
	while ((msg = curl_multi_info_read(client.multi, &left))) {
		CURL *easy = msg->easy_handle;

		client.answered++;
		client.failed += msg->data.result != CURLE_OK;
		curl_multi_remove_handle(client.multi, easy);
		curl_multi_add_handle(client.multi, easy);
	}
}

static void on_timer(uv_timer_t *timer)
{
	(void)timer;
	act(CURL_SOCKET_TIMEOUT, 0);
}

static int set_timeout(CURLM *multi, long in_ms, void *arg)
{
	(void)multi, (void)arg;
	if (in_ms < 0)
		uv_timer_stop(&client.timer);
	else
		uv_timer_start(&client.timer, on_timer, (uint64_t)in_ms, 0);
	return 0;
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
	const struct watched *w = container_of(poll, struct watched, poll);

	act(w->fd, status < 0 ? CURL_CSELECT_ERR
			      : (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
					(events & UV_WRITABLE ? CURL_CSELECT_OUT : 0));
}

/* Interest in reading is never taken back: the next request of the connection wants it again. */
static int want_events(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct watched *w;
	int wanted = UV_READABLE;

	(void)easy, (void)arg, (void)socket_arg;
	must(fd < FD_MAX);
	w = client.by_fd[fd];
	if (!w) {
		w = client.by_fd[fd] = xcalloc(1, sizeof *w);
		w->fd = fd;
		uv_poll_init_socket(client.loop, &w->poll, fd);
	}
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		wanted |= UV_WRITABLE;
	if (wanted != w->registered)
		uv_poll_start(&w->poll, wanted, on_socket);
	w->registered = wanted;
	return 0;
}

static size_t throw_away(char *data, size_t size, size_t n, void *arg)
{
	(void)data, (void)arg;
	return size * n;
}

static CURL *transfer_new(const char *url, const char *body, int64_t len)
{
	static struct curl_slist fields[] = {
		{ (char *)"x-api-key: sk-bench", &fields[1] },
		{ (char *)"Accept:", &fields[2] },
		{ (char *)"Expect:", NULL },
	};
	CURL *easy = curl_easy_init();

	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fields);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, throw_away);
	if (len) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)len);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
	}
	return easy;
}

static double cpu_s(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
	       (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
	int64_t connections = net_option(argc, argv, "connections", 32);
	int64_t bytes = net_option(argc, argv, "bytes", 0);
	int64_t until, began, answered;
	char url[64];
	char *body = xmalloc((size_t)bytes);
	double cpu;

	snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/models",
		 (int)net_option(argc, argv, "port", 0));
	memset(body, 'x', (size_t)bytes);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	client.loop = uv_default_loop();
	uv_timer_init(client.loop, &client.timer);
	client.multi = curl_multi_init();
	curl_multi_setopt(client.multi, CURLMOPT_SOCKETFUNCTION, want_events);
	curl_multi_setopt(client.multi, CURLMOPT_TIMERFUNCTION, set_timeout);
	curl_multi_setopt(client.multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
	for (int64_t i = 0; i < MIN(connections, CONNECTIONS_MAX); i++)
		curl_multi_add_handle(client.multi, transfer_new(url, body, bytes));
	while (client.answered < 10 * connections) /* all of them are connected */
		uv_run(client.loop, UV_RUN_ONCE);
	began = net_now_ns();
	answered = client.answered;
	cpu = cpu_s();
	until = began + net_option(argc, argv, "run_ms", 1000) * 1000000;
	while (net_now_ns() < until)
		uv_run(client.loop, UV_RUN_ONCE);
	printf("{\"answered\":%jd,\"refused\":%jd,\"seconds\":%.6f,\"cpu_s\":%.6f}\n",
	       (intmax_t)(client.answered - answered), (intmax_t)client.failed,
	       (double)(net_now_ns() - began) / 1e9, cpu_s() - cpu);
	return 0;
}
