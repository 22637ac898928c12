/* The door rests while who comes can't be served; so does the one for successors (handover.c). */
#include "proxy/door.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "proxy/handover.h"

enum { CLIENTS = 5, TURNS = 20 };

static char path[] = "/tmp/test_door.XXXXXX/socket";

static int connect_client(int type)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type, 0);

	strcpy(a.sun_path, path);
	must(fd >= 0 && !connect(fd, (struct sockaddr *)&a, sizeof a));
	return fd;
}

static bool serve_nobody(void *arg, int fd, const struct sockaddr *from, socklen_t len)
{
	(void)arg, (void)from, (void)len;
	close(fd);
	errno = EMFILE;
	return false;
}

static void test_not_served(void)
{
	CLEANUP(buf_clear) struct buf errors = { 0 };
	CLEANUP(freep) char *address = xasprintf("unix:%s", path);
	int64_t no_limit = 0;
	struct door_options options = { .name = "listen.address",
					.address = address,
					.max_connections = CLIENTS,
					.max_per_address = &no_limit,
					.arrived = serve_nobody };
	struct door_stats stats;
	struct loop loop;
	struct door *door;
	int clients[CLIENTS];

	loop_open(&loop);
	must(!door_open(&loop, &options, &errors, &door));
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_client(SOCK_STREAM);
	for (int i = 0; i < TURNS; i++)
		uv_run(&loop.uv, UV_RUN_NOWAIT);
	door_stats(door, &stats);
	CHECK_INT(stats.out_of_resources, 1); /* the others wait */
	CHECK_INT(stats.arrived, 1);
	CHECK_INT(stats.inside, 0);
	while (stats.out_of_resources < 2) {
		uv_run(&loop.uv, UV_RUN_ONCE);
		door_stats(door, &stats);
	}
	CHECK_INT(stats.arrived, 2);
	for (int i = 0; i < CLIENTS; i++)
		close(clients[i]);
	door_free(door);
	loop_close(&loop);
}

static void on_check(uv_check_t *check)
{
	++*(int *)check->data;
}

static void on_enough(void *arg)
{
	uv_stop(arg);
}

/* How often the loop turns in one and a half rests while nobody can be accepted. */
static void test_no_successor(void)
{
	CLEANUP(buf_clear) struct buf errors = { 0 };
	struct handover_options options = { .path = path,
					    .sockets = { { "x", "y", 0 } },
					    .count = 1 };
	struct rlimit limit, none;
	struct handover *h;
	struct loop loop;
	struct timer *enough;
	uv_check_t check;
	int client, turns = 0;

	loop_open(&loop);
	must(!handover_new(&loop, &options, &errors, &h));
	client = connect_client(SOCK_SEQPACKET);
	enough = timer_new(&loop, on_enough, &loop.uv);
	timer_start(enough, 150);
	uv_check_init(&loop.uv, &check);
	check.data = &turns;
	uv_check_start(&check, on_check);
	must(!getrlimit(RLIMIT_NOFILE, &limit));
	none = (struct rlimit){ 0, limit.rlim_max };
	must(!setrlimit(RLIMIT_NOFILE, &none));
	uv_run(&loop.uv, UV_RUN_DEFAULT);
	must(!setrlimit(RLIMIT_NOFILE, &limit));
	CHECK(turns < TURNS);
	uv_close((uv_handle_t *)&check, NULL);
	timer_clear(&enough);
	close(client);
	handover_free(h);
	loop_close(&loop);
}

int main(void)
{
	char *end = strrchr(path, '/');

	*end = '\0';
	must(mkdtemp(path));
	*end = '/';
	test_not_served();
	test_no_successor();
	*end = '\0';
	must(!rmdir(path));
	return check_done();
}
