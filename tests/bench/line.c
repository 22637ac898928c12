/*
 * line.c - what joining a line, handing a turn on and leaving cost, in a line of any length.
 *
 *      line --waiters N --shares N --ops N [--redis_pid N REDIS-URL]
 *
 * The backend alone, without connections: memory, or redis by a URL. One account has a holder and
 * N waiters, dealt out to the shares. Each of three phases does its work --ops times, a few at once,
 * and leaves the line as long as it was. One line of JSON: CPU of this process an operation, and of
 * Redis, in µs; without what the waiting itself costs meanwhile, which is the last pair, a second.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "config/config.h"
#include "net.h"
#include "queue/lock.h"

enum { AT_ONCE = 10, LIMIT_S = 60, TICK_MS = 10, STAND_S = 2 };

struct waiter {
	struct lock_ticket ticket;
	struct line *line;
	bool heard, granted;
};

struct line {
	struct loop loop;
	struct lock_backend *backend;
	struct timer *tick;
	struct waiter *waiters;
	struct waiter *holder;
	int64_t count, shares, turns;
	int redis_pid;
};

/* --- time on a core --------------------------------------------------------------------------- */

static double own_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double redis_us(const struct line *l)
{
	char path[64], text[64] = "";
	int fd;

	if (!l->redis_pid)
		return 0;
	snprintf(path, sizeof path, "/proc/%d/schedstat", l->redis_pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof text - 1) < 0)
		net_fail(path);
	close(fd);
	return (double)strtoll(text, NULL, 10) / 1e3;
}

/* --- tickets ---------------------------------------------------------------------------------- */

static void on_event(struct lock_ticket *t, const struct lock_news *news)
{
	struct waiter *w = container_of(t, struct waiter, ticket);

	if (news->event == LOCK_GRANTED) {
		must(!w->line->holder);
		w->line->holder = w;
		w->line->turns++;
		w->granted = true;
	} else if (news->event != LOCK_WAITING) {
		fprintf(stderr, "event %d\n", (int)news->event);
		exit(1);
	}
	w->heard = true;
	uv_stop(&w->line->loop.uv); /* the loop has run its jobs, and would block now */
}

static void join(struct line *l, struct waiter *w, int64_t share)
{
	*w = (struct waiter){ .line = l };
	w->ticket.on_event = on_event;
	w->ticket.terms = (struct lock_terms){
		.ttl_ms = 60000, .max_hold_ms = 600000, .max_waiting = 1000000, .turns = 1
	};
	snprintf(w->ticket.account, sizeof w->ticket.account, "account");
	snprintf(w->ticket.standing.share, sizeof w->ticket.standing.share, "share-%" PRId64,
		 share % l->shares);
	lock_enter(l->backend, &w->ticket);
}

static void leave(struct line *l, struct waiter *w, enum lock_end end)
{
	if (l->holder == w)
		l->holder = NULL;
	lock_give_back(l->backend, &w->ticket, end);
}

static void on_tick(void *arg)
{
	struct line *l = arg;

	timer_start(l->tick, TICK_MS);
}

static void turn(struct line *l)
{
	uv_run(&l->loop.uv, UV_RUN_ONCE);
}

static void wait_for(struct line *l, const bool *what)
{
	int64_t limit = net_now_ns() + (int64_t)LIMIT_S * 1000000000;

	while (!*what && net_now_ns() < limit)
		turn(l);
	if (!*what)
		net_fail("no answer");
}

/* --- phases ----------------------------------------------------------------------------------- */

struct cost {
	double own_us, redis_us, seconds;
};

static void begin(const struct line *l, struct cost *c)
{
	c->own_us -= own_us();
	c->redis_us -= redis_us(l);
	c->seconds -= (double)net_now_ns() / 1e9;
}

static void end(const struct line *l, struct cost *c)
{
	c->own_us += own_us();
	c->redis_us += redis_us(l);
	c->seconds += (double)net_now_ns() / 1e9;
}

/* The waiters' heartbeats come once a second. */
static void stand(struct line *l, struct cost *waiting)
{
	int64_t end_ns = net_now_ns() + (int64_t)STAND_S * 1000000000;

	begin(l, waiting);
	while (net_now_ns() < end_ns)
		turn(l);
	end(l, waiting);
	waiting->own_us /= waiting->seconds;
	waiting->redis_us /= waiting->seconds;
}

/* Whatever was given back before is over: commands of one link are done in order. */
static void settle(struct line *l)
{
	struct waiter w = { .line = l };

	w.ticket.on_event = on_event;
	join(l, &w, 0);
	wait_for(l, &w.heard);
	leave(l, &w, LOCK_UNUSED);
}

static void come_and_go(struct line *l, int64_t ops, struct cost *joining, struct cost *leaving)
{
	struct waiter w[AT_ONCE];

	for (int64_t done = 0; done < ops; done += AT_ONCE) {
		begin(l, joining);
		for (int i = 0; i < AT_ONCE; i++)
			join(l, &w[i], done + i);
		for (int i = 0; i < AT_ONCE; i++)
			wait_for(l, &w[i].heard);
		end(l, joining);
		begin(l, leaving);
		for (int i = 0; i < AT_ONCE; i++)
			leave(l, &w[i], LOCK_UNUSED);
		settle(l);
		end(l, leaving);
	}
}

/* Each holder joins again behind its turn. */
static void hand_on(struct line *l, int64_t ops, struct cost *turns)
{
	begin(l, turns);
	for (int64_t i = 0; i < ops; i++) {
		struct waiter *w = l->holder;
		int64_t limit = net_now_ns() + (int64_t)LIMIT_S * 1000000000, before = l->turns;

		leave(l, w, LOCK_USED);
		join(l, w, w - l->waiters);
		while (l->turns == before && net_now_ns() < limit)
			turn(l);
		must(l->turns > before);
	}
	end(l, turns);
}

static void fill(struct line *l)
{
	for (int64_t i = 0; i < l->count; i++) {
		join(l, &l->waiters[i], i);
		if (i % AT_ONCE == AT_ONCE - 1 || i == l->count - 1)
			for (int64_t j = MAX(i - AT_ONCE + 1, 0); j <= i; j++)
				wait_for(l, &l->waiters[j].heard);
	}
}

static void print(const char *name, const struct cost *c, const struct cost *waiting, int64_t ops)
{
	printf("\"%s\":[%.2f,%.2f],", name,
	       (c->own_us - waiting->own_us * c->seconds) / (double)ops,
	       (c->redis_us - waiting->redis_us * c->seconds) / (double)ops);
}

static void on_stopped(void *arg)
{
	*(bool *)arg = true;
}

static void open_backend(struct line *l, const char *url)
{
	CLEANUP(buf_clear) struct buf errors = { 0 };
	CLEANUP(freep) char *where = xasprintf("redis.url=%s", url ? url : "");
	CLEANUP(freep) char *prefix = xasprintf("redis.key_prefix=bench-%d", (int)getpid());
	const char *overrides[] = { "redis.instance=bench", where, prefix, NULL };
	struct config *config; /* as long as the process */
	struct config_sources sources = { .overrides = overrides };
	struct lock_stats stats = { 0 };

	must(!config_load(&sources, &errors, &config));
	loop_open(&l->loop);
	l->tick = timer_new(&l->loop, on_tick, l);
	timer_start(l->tick, TICK_MS);
	if (!url) {
		l->backend = lock_memory_new(&l->loop, "bench");
		return;
	}
	must(!lock_redis_new(&l->loop, config, &errors, &l->backend));
	while (!stats.up) {
		turn(l);
		l->backend->ops->stats(l->backend, &stats);
	}
}

int main(int argc, char **argv)
{
	int64_t ops = net_option(argc, argv, "ops", 1000);
	struct cost joining = { 0 }, turns = { 0 }, leaving = { 0 }, waiting = { 0 };
	bool stopped = false;
	struct line l = {
		.count = net_option(argc, argv, "waiters", 10) + 1,
		.shares = net_option(argc, argv, "shares", 1),
		.redis_pid = (int)net_option(argc, argv, "redis_pid", 0),
	};

	signal(SIGPIPE, SIG_IGN);
	l.waiters = xcalloc((size_t)l.count, sizeof *l.waiters);
	open_backend(&l, l.redis_pid ? argv[argc - 1] : NULL);
	fill(&l);
	stand(&l, &waiting);
	come_and_go(&l, ops, &joining, &leaving);
	hand_on(&l, ops, &turns);
	printf("{");
	print("joining", &joining, &waiting, ops);
	print("turn", &turns, &waiting, ops);
	print("leaving", &leaving, &waiting, ops);
	printf("\"waiting\":[%.0f,%.0f]}\n", waiting.own_us, waiting.redis_us);
	fflush(stdout);
	l.backend->ops->stop(l.backend, 2000, on_stopped, &stopped);
	_exit(0);
}
