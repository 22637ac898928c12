/*
 * test_redis_find.c - of a name's addresses, the one that answers. The names come from a hosts file
 * of our own, in a mount namespace of our own; where none can be made, the case is skipped and says
 * so.
 */
#include <arpa/inet.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "redis/find.h"

struct finding {
	bool done;
	struct redis_endpoint place;
	char error[128];
};

static void found(void *arg, const char *error, const struct redis_endpoint *place)
{
	struct finding *f = arg;

	f->done = true;
	if (place)
		f->place = *place;
	snprintf(f->error, sizeof f->error, "%s", error ? error : "");
}

static struct finding find(const char *host, int port, unsigned attempt)
{
	struct loop loop;
	struct finding f = { 0 };
	struct redis_address a = { .host = (char *)host, .port = port };

	loop_open(&loop);
	CHECK(redis_find_start(&loop, &a, attempt, 2000, found, &f));
	CHECK(RUN_UNTIL(&loop, f.done, 5000));
	loop_close(&loop);
	return f;
}

/* Listens at `ip`; its port in *port. */
static int listen_at(const char *ip, int *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(inet_pton(AF_INET, ip, &a.sin_addr) == 1);
	must(fd >= 0 && !bind(fd, (struct sockaddr *)&a, len) && !listen(fd, 16));
	must(!getsockname(fd, (struct sockaddr *)&a, &len));
	*port = ntohs(a.sin_port);
	return fd;
}

/* For this thread and those that it starts: before libuv's pool. */
static bool with_hosts(const char *text)
{
	char path[] = "/tmp/turnstile-test-hosts-XXXXXX";
	int fd = mkstemp(path);
	bool ret;

	must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	ret = (!unshare(CLONE_NEWNS) || !unshare(CLONE_NEWUSER | CLONE_NEWNS)) &&
	      !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	      !mount(path, "/etc/hosts", NULL, MS_BIND, NULL);
	unlink(path);
	return ret;
}

/* At addresses that no other test listens at. */
static void test_the_one_that_listens(void)
{
	static const char *ips[] = { "127.77.0.1", "127.77.0.2", "127.77.0.3" };

	for (size_t i = 0; i < ARRAY_SIZE(ips); i++) {
		int port, fd = listen_at(ips[i], &port);

		for (unsigned attempt = 0; attempt < 4; attempt++) {
			struct finding f = find("three.test", port, attempt);

			CHECK_STR(f.place.ip, ips[i]);
			CHECK_INT(f.place.port, port);
		}
		close(fd);
	}
}

/*
 * All of them answer: each has its turn, as only the first commands show which one is the master.
 */
static void test_in_turns(void)
{
	int port, seen = 0, fd = listen_at("0.0.0.0", &port);

	for (unsigned attempt = 0; attempt < 3; attempt++) {
		struct finding f = find("three.test", port, attempt);

		seen |= 1 << (f.place.ip[strlen(f.place.ip) - 1] - '0');
	}
	CHECK_INT(seen, 1 << 1 | 1 << 2 | 1 << 3);
	close(fd);
}

/* None answers: one is named all the same, and who connects says why. */
static void test_none_listens(void)
{
	int port, fd = listen_at("127.77.0.1", &port);
	struct finding f;

	close(fd);
	f = find("three.test", port, 0);
	CHECK_STR(f.error, "");
	CHECK_INT(f.place.port, port);
	CHECK(!strncmp(f.place.ip, "127.77.0.", 9));
}

static void test_unknown_name(void)
{
	struct finding f = find("no-such-name.invalid", 1, 0);

	CHECK(f.error[0]);
}

int main(void)
{
	if (with_hosts("127.0.0.1 localhost\n127.77.0.1 three.test\n"
		       "127.77.0.2 three.test\n127.77.0.3 three.test\n")) {
		test_the_one_that_listens();
		test_in_turns();
		test_none_listens();
	} else {
		fprintf(stderr, "SKIPPED: names with several addresses: no mount namespace here\n");
	}
	test_unknown_name();
	return check_done();
}
