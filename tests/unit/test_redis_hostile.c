/*
 * test_redis_hostile.c - a server that talks nonsense: never the end of the process, always the end
 * of the connection, and a new one; and once it makes sense again, so does the backend.
 */
#include <signal.h>

#include "check.h"
#include "hostile.h"
#include "lock_guest.h"
#include "queue/query.h"

enum { LIMIT_MS = 8000, CUTS = 2 };

#define SANE      "*6\r\n$7\r\nwaiting\r\n:1\r\n*0\r\n:0\r\n$5\r\n1 1 1\r\n:0\r\n"
#define CONFIRMED "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"

/* What is answered to a command that has `word` in it; the first one counts. */
struct answer {
	const char *word, *bytes;
};

/* As Redis would; the channel is put in by answer(). */
static const struct answer sane[] = {
	{ "EVALSHA", SANE },       { "SUBSCRIBE", NULL },    { "HGETALL", "*0\r\n" },
	{ "ZCARD", ":0\r\n" },     { "ZRANGE", "*0\r\n" },   { "ZREVRANGE", "*0\r\n" },
	{ "EXISTS", ":0\r\n" },    { "\nHSET\r", ":0\r\n" }, { "\nHDEL\r", ":0\r\n" },
	{ "\nSLOTS\r", "*0\r\n" }, { "ASKING", "+OK\r\n" },  { "", "+OK\r\n" },
};

struct scene {
	struct loop loop;
	struct hostile server;
	struct config config;
	struct lock_backend *b;
	const struct answer *nonsense; /* or NULL */
	int told;                      /* how often it was */
};

static bool put_answer(const struct answer *a, struct span command, struct buf *out)
{
	if (!memmem(command.ptr, command.len, a->word, strlen(a->word)))
		return false;
	if (a->bytes) {
		buf_puts(out, a->bytes);
		return true;
	}
	buf_puts(out, "*3\r\n$9\r\nsubscribe\r\n");
	buf_append(out, strrchr(command.ptr, '$'), /* the channel, with its length */
		   (size_t)(command.ptr + command.len - strrchr(command.ptr, '$')));
	buf_puts(out, ":1\r\n");
	return true;
}

static bool answer(void *arg, struct span command, struct buf *out)
{
	struct scene *s = arg;
	CLEANUP(freep) char *text = xstrndup(command.ptr, command.len);

	command.ptr = text;
	if (s->nonsense && put_answer(s->nonsense, command, out)) {
		s->told++;
		return true;
	}
	for (size_t i = 0; !put_answer(&sane[i], command, out); i++)
		;
	return true;
}

static bool is_up(struct scene *s)
{
	struct lock_stats stats;

	s->b->ops->stats(s->b, &stats);
	return stats.up;
}

static void open_scene(struct scene *s, const struct answer *nonsense, bool cluster)
{
	struct buf errors = { 0 };

	*s = (struct scene){ .nonsense = nonsense };
	loop_open(&s->loop);
	s->server.whole = resp_command;
	s->server.answer = answer;
	s->server.arg = s;
	hostile_open(&s->server, &s->loop);
	s->config.queue.enabled = true;
	s->config.queue.cleanup_interval_ms = 200;
	s->config.queue.startup_cleanup = STARTUP_CLEANUP_OWN;
	s->config.redis.key_prefix = (char *)"t";
	s->config.redis.instance = (char *)"one";
	s->config.redis.command_timeout_ms = 500;
	s->config.redis.max_accounts = 100;
	s->config.redis.cluster = cluster;
	s->config.redis.url = s->server.url;
	CHECK_INT(lock_redis_new(&s->loop, &s->config, &errors, &s->b), 0);
}

static void close_scene(struct scene *s)
{
	guest_stop(&s->loop, s->b);
	hostile_end(&s->server);
	loop_close(&s->loop);
}

/* --- each kind of question ------------------------------------------------------------------- */

static int answers;

static void hear(struct lock_query *q, const struct lock_answer *a)
{
	(void)q, (void)a;
	answers++;
}

/* All that an operator can ask at once. */
static void ask_all(struct scene *s)
{
	static const char *const watched[] = { "a" };
	struct runtime_setting setting = { "queue.delay_ms", "1" };
	struct lock_query q[] = {
		{ .verb = LOCK_LIST, .limit = 10 },
		{ .verb = LOCK_LOOK },
		{ .verb = LOCK_FORCE },
		{ .verb = LOCK_PAUSE },
		{ .verb = LOCK_RESUME },
		{ .verb = LOCK_RELEASE },
		{ .verb = LOCK_REMOVE, .ticket = "x" },
		{ .verb = LOCK_SETTINGS, .settings = &setting, .setting_count = 1 },
		{ .verb = LOCK_SURVEY, .watched = watched, .watched_count = 1 },
		{ .verb = LOCK_BEACON, .beacon = "{}" },
		{ .verb = LOCK_CLAIM, .claim = "x", .claim_over = "y", .claim_ms = 1000 },
	};

	answers = 0;
	for (size_t i = 0; i < ARRAY_SIZE(q); i++) {
		q[i].account = "a";
		q[i].answered = hear;
		lock_query_send(s->b, &q[i]);
	}
	CHECK(RUN_UNTIL(&s->loop, answers == ARRAY_SIZE(q), LIMIT_MS));
}

/* Until it has been told the nonsense, and connected anew, a few times. */
static void suffer(struct scene *s)
{
	int before = s->server.accepted;
	struct guest g = { 0 };

	for (int i = 0; i < CUTS; i++) {
		guest_enter(&g, s->b, "a");
		ask_all(s);
		CHECK(RUN_UNTIL(&s->loop, g.failed || g.waiting || g.granted, LIMIT_MS));
		guest_leave(&g, true);
	}
	CHECK(RUN_UNTIL(&s->loop, s->told >= CUTS && s->server.accepted >= before + CUTS,
			LIMIT_MS));
}

/* It makes sense again: a place is to be had. */
static void recover(struct scene *s)
{
	struct guest g = { 0 };

	s->nonsense = NULL;
	for (int i = 0; i < 50 && !g.waiting; i++) {
		CHECK(RUN_UNTIL(&s->loop, is_up(s), LIMIT_MS));
		guest_enter(&g, s->b, "b");
		CHECK(RUN_UNTIL(&s->loop, g.failed || g.waiting, LIMIT_MS));
		guest_leave(&g, false);
	}
	CHECK_INT(g.waiting, 1);
}

static void check_case(const struct answer *nonsense, bool cluster)
{
	struct scene s;
	int before = check_failures;

	open_scene(&s, nonsense, cluster);
	suffer(&s);
	recover(&s);
	close_scene(&s);
	if (check_failures > before)
		fprintf(stderr, "%s is answered %s\n", nonsense->word, nonsense->bytes);
}

/* Who waits is touched by the keeper, over a connection of its own. */
static void check_keeper(const struct answer *nonsense)
{
	struct scene s;
	struct guest g = { 0 };
	int before;

	open_scene(&s, NULL, false);
	CHECK(RUN_UNTIL(&s.loop, is_up(&s), LIMIT_MS));
	guest_enter(&g, s.b, "a");
	CHECK(RUN_UNTIL(&s.loop, g.waiting, LIMIT_MS));
	before = s.server.accepted;
	s.nonsense = nonsense;
	CHECK(RUN_UNTIL(&s.loop, s.server.accepted >= before + CUTS, LIMIT_MS));
	guest_leave(&g, false);
	recover(&s);
	close_scene(&s);
}

static const struct answer scripts[] = {
	{ "EVALSHA", "$-1\r\n" },
	{ "EVALSHA", "*-1\r\n" },
	{ "EVALSHA", ":1\r\n" },
	{ "EVALSHA", "+OK\r\n" },
	{ "EVALSHA", "$7\r\ngranted\r\n" },
	{ "EVALSHA", "*0\r\n" },
	{ "EVALSHA", "*1\r\n$7\r\ngranted\r\n" },
	{ "EVALSHA", "*3\r\n$7\r\nwaiting\r\n:1\r\n*0\r\n" },
	{ "EVALSHA", "*4\r\n:1\r\n:1\r\n:1\r\n:1\r\n" },
	{ "EVALSHA", "*4\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n" },
	{ "EVALSHA", "*4\r\n$7\r\nwaiting\r\n$1\r\n1\r\n*0\r\n:0\r\n" },
	{ "EVALSHA", "*4\r\n$7\r\nwaiting\r\n:1\r\n*1\r\n$1\r\na\r\n:0\r\n" },
	{ "EVALSHA", "*4\r\n$7\r\nwaiting\r\n:1\r\n*2\r\n:1\r\n:1\r\n:0\r\n" },
	{ "EVALSHA", "*4\r\n$7\r\nwaiting\r\n:1\r\n*2\r\n$1\r\na\r\n$-1\r\n:0\r\n" },
	{ "EVALSHA", "*4\r\n$7\r\nwaiting\r\n:1\r\n*3\r\n$1\r\na\r\n:1\r\n$-1\r\n:0\r\n" },
	{ "EVALSHA", "*6\r\n$7\r\nwaiting\r\n:1\r\n*0\r\n:0\r\n*0\r\n$-1\r\n" },
	{ "EVALSHA",
	  "*10\r\n$1\r\n0\r\n$1\r\n0\r\n:1\r\n:1\r\n:1\r\n:1\r\n*1\r\n:1\r\n*0\r\n*0\r\n*0\r\n" },
	{ "EVALSHA", "*3\r\n:1\r\n*2\r\n$1\r\na\r\n$-1\r\n*0\r\n" },
	{ "EVALSHA", "*2\r\n$1\r\na\r\n:1\r\n" },
	{ "EVALSHA", SANE SANE },
	{ "EVALSHA", SANE "+OK\r\n:1\r\n$-1\r\n" },
	{ "EVALSHA", SANE "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n" },
	{ "EVALSHA", "*4\r\n>1\r\n$1\r\na\r\n:1\r\n:1\r\n:1\r\n" },
	{ "EVALSHA", "*2147483647\r\n" },
	{ "EVALSHA", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n" },
	{ "EVALSHA", "_\r\n" },
	{ "EVALSHA", ",1.5\r\n" },
	{ "EVALSHA", "#t\r\n" },
	{ "EVALSHA", "%1\r\n+a\r\n:1\r\n" },
	{ "EVALSHA", "HTTP/1.1 400 Bad Request\r\n\r\n" },
};

static const struct answer commands[] = {
	{ "SETNAME", "+OK\r\n+OK\r\n+OK\r\n+OK\r\n" },
	{ "SETNAME", ":1\r\n" },
	{ "SETNAME", "$-1\r\n" },
	{ "\nSET\r", "*0\r\n" },
	{ "HGETALL", "*2\r\n:1\r\n$-1\r\n" },
	{ "HGETALL", ":1\r\n" },
	{ "SUBSCRIBE", ":1\r\n" },
	{ "SUBSCRIBE", "*-1\r\n" },
	{ "SUBSCRIBE", "*2\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n" },
	{ "SUBSCRIBE", "*3\r\n:1\r\n:1\r\n:1\r\n" },
	{ "SUBSCRIBE", "*3\r\n$-1\r\n$-1\r\n$-1\r\n" },
	{ "SUBSCRIBE", "*3\r\n$9\r\nsubscribe\r\n:1\r\n:1\r\n" },
	{ "SUBSCRIBE", CONFIRMED }, /* of another channel: hiredis 1.2 asserts that it is known */
	{ "SUBSCRIBE", CONFIRMED CONFIRMED },
	{ "SUBSCRIBE", CONFIRMED "*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n$1\r\nx\r\n" },
	{ "SUBSCRIBE", CONFIRMED "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n*0\r\n" },
	{ "SUBSCRIBE", CONFIRMED "*4\r\n$8\r\npmessage\r\n$1\r\nc\r\n$1\r\nc\r\n$1\r\nx\r\n" },
	{ "SUBSCRIBE", CONFIRMED "+OK\r\n" },
};

int main(void)
{
	static const struct answer slots[] = {
		{ "\nSLOTS\r", ":1\r\n" },
		{ "\nSLOTS\r", "$-1\r\n" },
	};

	signal(SIGPIPE, SIG_IGN); /* as main() does */
	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		check_case(&scripts[i], false);
		check_keeper(&scripts[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		check_case(&commands[i], false);
	for (size_t i = 0; i < ARRAY_SIZE(slots); i++)
		check_case(&slots[i], true);
	return check_done();
}
