/* http/received.c: who watches a descriptor sees what is read from it, by whatever library, and nobody else. */
#include <dlfcn.h>
#include <pthread.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "check.h"
#include "http/received.h"

static void on_received(void *arg, const char *ptr, size_t len)
{
	buf_append(arg, ptr, len);
}

static void *read_there(void *arg)
{
	char c;

	must(recv(*(int *)arg, &c, 1, 0) == 1);
	return NULL;
}

static void test_watch(void)
{
	CLEANUP(buf_clear) struct buf seen = { 0 };
	pthread_t other;
	char text[8];
	int fds[2];

	must(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds) && send(fds[1], "abcdefgh", 8, 0) == 8);
	received_forget(fds[0]);
	CHECK_INT(recv(fds[0], text, 1, 0), 1);
	received_watch(fds[0], on_received, &seen);
	received_watch(fds[1], on_received, &seen);
	CHECK_INT(recv(fds[0], text, 8, MSG_PEEK), 7); /* nobody has read it */
	CHECK_INT(recv(fds[0], text, 2, 0), 2);
	must(!pthread_create(&other, NULL, read_there, fds));
	must(!pthread_join(other, NULL)); /* "d" is that thread's */
	CHECK_INT(recv(fds[0], text, 1, 0), 1);
	received_forget(fds[1]);
	CHECK_INT(recv(fds[0], text, 1, 0), 1);
	received_forget(fds[0]);
	received_forget(fds[0]);
	CHECK_INT(recv(fds[0], text, 8, 0), 2);
	CHECK_INT(recv(fds[0], text, 8, MSG_DONTWAIT), -1);
	CHECK_STR(buf_str(&seen), "bcef");
	close(fds[0]);
	close(fds[1]);
}

/* What the rest relies on: that libraries call this one. */
static void test_libraries(void)
{
	void *handle = dlopen(NULL, RTLD_NOW);
	ssize_t (*found)(int, void *, size_t, int) = NULL;

	must(handle);
	*(void **)&found = dlsym(handle, "recv");
	CHECK(found == recv);
	dlclose(handle);
}

int main(void)
{
	test_watch();
	test_libraries();
	return check_done();
}
