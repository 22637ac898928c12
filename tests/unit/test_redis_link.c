/*
 * test_redis_link.c - what was sent over a connection that is given up never arrives later: the server
 * sees it aborted, not ended.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "queue/keeper_wire.h"
#include "queue/redis_link.h"

enum { TIMEOUT_MS = 200, LIMIT_S = 10 };

/* A server that takes what is said, and answers nothing, but for one greeting if there is to be one. */
struct silent {
	pthread_t thread;
	int listener, port;
	bool greets;
	sem_t given_up;
	int end; /* how the client's end was seen: 0, or errno */
};

static void *be_silent(void *arg)
{
	struct silent *s = arg;
	struct timeval limit = { .tv_sec = LIMIT_S };
	char bytes[4096];
	int fd;

	while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
		if (recv(fd, bytes, sizeof bytes, 0) > 0)
			break;
		close(fd); /* it only looked whether somebody listens */
	}
	must(fd >= 0);
	if (s->greets)
		must(send(fd, "+OK\r\n", 5, MSG_NOSIGNAL) == 5);
	sem_wait(&s->given_up);
	while ((s->end = (int)recv(fd, bytes, sizeof bytes, 0)) > 0)
		;
	if (s->end < 0)
		s->end = errno;
	close(fd);
	return NULL;
}

static void start(struct silent *s, bool greets)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof a;

	*s = (struct silent){ .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
			      .greets = greets };
	must(!bind(s->listener, (struct sockaddr *)&a, len) && !listen(s->listener, 16));
	must(!getsockname(s->listener, (struct sockaddr *)&a, &len));
	s->port = ntohs(a.sin_port);
	sem_init(&s->given_up, 0, 0);
	must(!pthread_create(&s->thread, NULL, be_silent, s));
}

static void check_aborted(struct silent *s)
{
	sem_post(&s->given_up);
	pthread_join(s->thread, NULL);
	CHECK_INT(s->end, ECONNRESET);
	close(s->listener);
	sem_destroy(&s->given_up);
}

/* --- the loop's connection ------------------------------------------------------------------- */

struct outcome {
	int up, down, unanswered;
};

static void on_up(void *arg)
{
	((struct outcome *)arg)->up++;
}

static void on_down(void *arg)
{
	((struct outcome *)arg)->down++;
}

static void on_reply(void *arg, const redisReply *reply)
{
	((struct outcome *)arg)->unanswered += !reply;
}

static void test_link(void)
{
	struct redis_address address = { .host = (char *)"127.0.0.1" };
	int64_t timeout_ms = TIMEOUT_MS;
	struct outcome o = { 0 };
	struct redis_link *link;
	struct silent s;
	struct loop loop;

	start(&s, true);
	address.port = s.port;
	loop_open(&loop);
	link = redis_link_new(&loop, &(struct redis_link_terms){ .address = &address,
								 .timeout_ms = &timeout_ms,
								 .name = "test",
								 .on_up = on_up,
								 .on_down = on_down,
								 .arg = &o });
	CHECK(RUN_UNTIL(&loop, o.up, 5000));
	CHECK_INT(redis_link_send(link, SPAN("*1\r\n$4\r\nPING\r\n"), on_reply, &o), 0);
	CHECK(RUN_UNTIL(&loop, o.down, 5000));
	CHECK_INT(o.unanswered, 1);
	check_aborted(&s);
	redis_link_free(link);
	loop_close(&loop);
}

/* --- the keeper's ------------------------------------------------------------------------------ */

static void on_answer(void *arg, struct keeper_call *call, const struct redis_answer *answer,
		      int64_t sent_ms)
{
	(void)arg;
	(void)call;
	(void)answer;
	(void)sent_ms;
}

static void test_keeper_wire(void)
{
	struct redis_names names = { .prefix = "t", .owner = "one.1" };
	struct redis_address address = { .host = (char *)"127.0.0.1" };
	struct redis_place place = { .ip = "127.0.0.1" };
	struct keeper_wire *w = keeper_wire_new(&address, NULL, &names);
	struct list calls;
	struct silent s;

	list_init(&calls);
	start(&s, false);
	place.port = s.port;
	keeper_wire_aim(w, &place);
	CHECK(!keeper_wire_talk(w, TIMEOUT_MS, true, &calls, on_answer, NULL));
	check_aborted(&s);
	keeper_wire_free(w);
}

int main(void)
{
	test_link();
	test_keeper_wire();
	return check_done();
}
