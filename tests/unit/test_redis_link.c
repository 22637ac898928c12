/*
 * test_redis_link.c - what was sent over a connection that is given up never arrives later: the
 * server sees it aborted, not ended. And one that only listens isn't taken for one that hears. A
 * server that is behind, and one that we are late to hear, aren't taken for one that is silent.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "net/watch.h"
#include "queue/redis/keeper_wire.h"
#include "redis/link.h"

enum { TIMEOUT_MS = 200, LIMIT_S = 10, MANY = 12, A_TIMEOUT = 4 };

#define SUBSCRIBED "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"

/*
 * A server that takes what is said, and answers nothing, but for one greeting if there is to be
 * one.
 */
struct silent {
	pthread_t thread;
	int listener, port;
	const char *greeting; /* or NULL */
	int subscriptions;    /* so many more are confirmed */
	int answers;          /* so many come then, each answer_ms behind the last one */
	int64_t answer_ms;
	bool hangs_up; /* then, by itself */
	sem_t given_up, has_answered;
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
	if (s->greeting)
		must(send(fd, s->greeting, strlen(s->greeting), MSG_NOSIGNAL) > 0);
	for (int i = 0; i < s->subscriptions && recv(fd, bytes, sizeof bytes, 0) > 0; i++)
		must(send(fd, SUBSCRIBED, strlen(SUBSCRIBED), MSG_NOSIGNAL) > 0);
	must(!s->answers || recv(fd, bytes, sizeof bytes, 0) > 0);
	for (int i = 0; i < s->answers; i++) {
		usleep((useconds_t)(1000 * s->answer_ms));
		send(fd, "+PONG\r\n", 7, MSG_NOSIGNAL); /* the test counts what arrives */
	}
	sem_post(&s->has_answered);
	sem_wait(&s->given_up);
	if (s->hangs_up) {
		close(fd);
		return NULL;
	}
	while ((s->end = (int)recv(fd, bytes, sizeof bytes, 0)) > 0)
		;
	if (s->end < 0)
		s->end = errno;
	close(fd);
	return NULL;
}

static void start(struct silent *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof a;

	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(!bind(s->listener, (struct sockaddr *)&a, len) && !listen(s->listener, 16));
	must(!getsockname(s->listener, (struct sockaddr *)&a, &len));
	s->port = ntohs(a.sin_port);
	sem_init(&s->given_up, 0, 0);
	sem_init(&s->has_answered, 0, 0);
	must(!pthread_create(&s->thread, NULL, be_silent, s));
}

/* Lets it see its client's end, or make an end itself. */
static void end(struct silent *s)
{
	sem_post(&s->given_up);
	pthread_join(s->thread, NULL);
	close(s->listener);
	sem_destroy(&s->given_up);
	sem_destroy(&s->has_answered);
}

static void check_aborted(struct silent *s)
{
	end(s);
	CHECK_INT(s->end, ECONNRESET);
}

/* --- the loop's connection ------------------------------------------------------------------- */

struct outcome {
	int up, down, answered, unanswered;
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
	struct outcome *o = arg;

	o->answered += !!reply;
	o->unanswered += !reply;
}

/* A link to a silent server that is up. */
struct scene {
	struct loop loop;
	struct silent server;
	struct redis_address address;
	int64_t timeout_ms;
	struct outcome outcome;
	struct redis_link *link;
};

static void open_scene(struct scene *s, const struct silent *server, int64_t timeout_ms,
		       const char *channel)
{
	*s = (struct scene){ .address = { .host = (char *)"127.0.0.1" },
			     .server = *server,
			     .timeout_ms = timeout_ms };
	start(&s->server);
	s->address.port = s->server.port;
	loop_open(&s->loop);
	s->link = redis_link_new(&s->loop, &(struct redis_link_terms){ .address = &s->address,
								       .timeout_ms = &s->timeout_ms,
								       .name = "test",
								       .channel = channel,
								       .on_up = on_up,
								       .on_down = on_down,
								       .arg = &s->outcome });
	CHECK(RUN_UNTIL(&s->loop, s->outcome.up, 5000));
}

static void close_scene(struct scene *s)
{
	redis_link_free(s->link);
	loop_close(&s->loop);
}

static void ping(struct scene *s)
{
	CHECK_INT(redis_link_send(s->link, SPAN("*1\r\n$4\r\nPING\r\n"), on_reply, &s->outcome), 0);
}

static void test_link(void)
{
	struct scene s;

	open_scene(&s, &(struct silent){ .greeting = "+OK\r\n" }, TIMEOUT_MS, NULL);
	ping(&s);
	CHECK(RUN_UNTIL(&s.loop, s.outcome.down, 5000));
	CHECK_INT(s.outcome.unanswered, 1);
	check_aborted(&s.server);
	close_scene(&s);
}

/*
 * A listening connection that the network has forgotten says nothing, like one on which there is
 * nothing to say. While the server confirms it isn't given up.
 */
static void test_listening(void)
{
	struct scene s;
	int64_t up_ms;

	open_scene(&s, &(struct silent){ .greeting = "+OK\r\n" SUBSCRIBED, .subscriptions = 2 },
		   TIMEOUT_MS, "c");
	up_ms = clock_ms();
	CHECK(RUN_UNTIL(&s.loop, s.outcome.down, 10000));
	CHECK(clock_ms() - up_ms >= 3 * 5 * TIMEOUT_MS);
	check_aborted(&s.server);
	close_scene(&s);
}

/* Many at once take it longer than one may take. */
static void test_behind(void)
{
	int64_t timeout_ms = scaled_ms(TIMEOUT_MS);
	struct scene s;

	open_scene(&s,
		   &(struct silent){ .greeting = "+OK\r\n",
				     .answers = MANY,
				     .answer_ms = timeout_ms / A_TIMEOUT },
		   timeout_ms, NULL);
	for (int i = 0; i <= MANY; i++)
		ping(&s);
	CHECK(RUN_UNTIL(&s.loop, s.outcome.down, 10 * MANY / A_TIMEOUT * TIMEOUT_MS));
	CHECK_INT(s.outcome.answered, MANY);
	CHECK_INT(s.outcome.unanswered, 1); /* then it is silent */
	check_aborted(&s.server);
	close_scene(&s);
}

/* The server hangs up, and all deadlines pass, while the loop is held up. */
struct hold_up {
	struct job job;
	struct silent *server;
	int64_t until_ms;
	struct watch *watch;
	int fds[2];
};

static void hold_up(struct job *job)
{
	struct hold_up *h = container_of(job, struct hold_up, job);

	end(h->server);
	while (clock_ms() <= h->until_ms)
		usleep(1000);
}

static void test_late(void)
{
	struct scene s;
	struct hold_up h = { .job.run = hold_up, .server = &s.server };

	open_scene(&s, &(struct silent){ .greeting = "+OK\r\n" SUBSCRIBED, .hangs_up = true },
		   TIMEOUT_MS, "c");
	h.until_ms = clock_ms() + 5 * TIMEOUT_MS;
	loop_defer(&s.loop, &h.job);
	CHECK(RUN_UNTIL(&s.loop, s.outcome.down, 5000));
	close_scene(&s);
}

/*
 * It answers in time, and the deadline passes, while the loop is held up: by another descriptor's
 * event, behind which timers come first.
 */
static void on_event(void *arg, int error, int events)
{
	struct hold_up *h = arg;

	(void)error, (void)events;
	watch_clear(&h->watch);
	sem_wait(&h->server->has_answered);
	h->until_ms = clock_ms() + 2 * TIMEOUT_MS;
	while (clock_ms() <= h->until_ms)
		usleep(1000);
}

static void write_to(struct job *job)
{
	struct hold_up *h = container_of(job, struct hold_up, job);

	must(write(h->fds[1], "", 1) == 1);
}

static void test_we_are_late(void)
{
	struct scene s;
	struct hold_up h = { .job.run = write_to, .server = &s.server };

	open_scene(&s, &(struct silent){ .greeting = "+OK\r\n", .answers = 1 }, TIMEOUT_MS, NULL);
	must(!pipe(h.fds));
	h.watch = watch_new(&s.loop, h.fds[0], on_event, &h);
	watch_for(h.watch, UV_READABLE);
	ping(&s);
	loop_defer(&s.loop, &h.job); /* behind the sending */
	CHECK(RUN_UNTIL(&s.loop, s.outcome.answered || s.outcome.unanswered, 5000));
	CHECK_INT(s.outcome.answered, 1);
	CHECK_INT(s.outcome.down, 0);
	redis_link_reset(s.link, "the test is over");
	CHECK(RUN_UNTIL(&s.loop, s.outcome.down, 5000));
	check_aborted(&s.server);
	close_scene(&s);
	close(h.fds[0]);
	close(h.fds[1]);
}

/* --- the keeper's ----------------------------------------------------------------------------- */

static void on_answer(void *arg, struct keeper_call *call, const struct script_answer *answer,
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
	struct redis_endpoint place = { .ip = "127.0.0.1" };
	struct keeper_wire *w = keeper_wire_new(&address, NULL, &names);
	struct list calls;
	struct silent s = { 0 };

	list_init(&calls);
	start(&s);
	place.port = s.port;
	keeper_wire_aim(w, &place);
	CHECK(!keeper_wire_talk(w, TIMEOUT_MS, true, &calls, on_answer, NULL));
	check_aborted(&s);
	keeper_wire_free(w);
}

int main(void)
{
	test_link();
	test_listening();
	test_behind();
	test_late();
	test_we_are_late();
	test_keeper_wire();
	return check_done();
}
