/*
 * test_redis_nodes.c - slots and redirections by their words; and a renewal that is overtaken by
 * the give-back of its turn, which the lock's interface can't bring about at will.
 */
#include <signal.h>

#include "queue/redis/keepers.h"
#include "queue/redis/tickets.h"
#include "redis/reply.h"
#include "redis/slot.h"
#include "redis_server.h"

/* The first is CRC16's own check value, the others are from CLUSTER KEYSLOT of Redis 7. */
static void test_slots(void)
{
	static const struct {
		const char *key;
		unsigned slot;
	} rows[] = {
		{ "123456789", 0x31c3 % REDIS_SLOTS },
		{ "", 0 },
		{ "foo", 12182 },
		{ "user_msg_queue_lock:{key-f77894fdfa58e447}", 13528 },
		{ "user_msg_queue_wait:{key-f77894fdfa58e447}", 13528 },
		{ "key-f77894fdfa58e447", 13528 },
		{ "foo{}{bar}", 8363 },
		{ "foo{{bar}}zap", 4015 },
		{ "foo{bar}{zap}", 5061 },
		{ "bar", 5061 },
		{ "{bar", 4015 },
		{ "\xff\xfe", 3374 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		CHECK_INT(redis_slot(span_of(rows[i].key)), rows[i].slot);
}

static void test_redirections(void)
{
	CHECK_INT(redis_redirect_of("MOVED 3999 127.0.0.1:6381"), REDIRECT_MOVED);
	CHECK_INT(redis_redirect_of("ASK 3999 127.0.0.1:6381"), REDIRECT_ASK);
	CHECK_INT(redis_redirect_of("TRYAGAIN Multiple keys"), REDIRECT_LATER);
	CHECK_INT(redis_redirect_of("CLUSTERDOWN Hash slot not served"), REDIRECT_LATER);
	CHECK_INT(redis_redirect_of("ERR MOVED 3999"), REDIRECT_NONE);
	CHECK_INT(redis_redirect_of("MOVEDX 1"), REDIRECT_NONE);
	CHECK_INT(redis_redirect_of(""), REDIRECT_NONE);
}

/* --- nodes on one server that is no cluster ---------------------------------------------- */

struct bench {
	struct loop loop;
	struct redis_server server;
	struct config config;
	struct redis_address address;
	struct redis_nodes nodes;
	struct keepers keepers;
	struct redis_tickets tickets;
	int up, moved;
	struct keeper_news stray;
	struct job settled_job;
	bool forwards; /* what the keeper says */
	bool settled;
};

static void *is_new(void *arg, struct redis_node *node)
{
	struct bench *b = arg;

	return keepers_node(&b->keepers, node);
}

static void is_gone(void *arg, struct redis_node *node)
{
	(void)arg;
	keepers_node_gone(node);
}

static void is_up(void *arg, struct redis_node *node)
{
	struct bench *b = arg;

	keepers_node_up(node);
	b->up++;
}

static void is_down(void *arg, struct redis_node *node)
{
	(void)arg;
	(void)node;
}

static void has_moved(void *arg)
{
	struct bench *b = arg;

	keepers_moved(&b->keepers, &b->nodes);
	b->moved++;
}

static void keeper_says(void *arg, struct redis_node *node, const struct keeper_news *news)
{
	struct bench *b = arg;

	(void)node;
	if (news->kind == KEEPER_STRAY)
		b->stray = *news;
	if (b->forwards)
		redis_tickets_keeper_news(&b->tickets, news);
}

static void is_settled(struct job *job)
{
	container_of(job, struct bench, settled_job)->settled = true;
}

static void open_bench(struct bench *b, bool cluster)
{
	struct redis_nodes_terms terms = {
		.loop = &b->loop,
		.config = &b->config,
		.address = &b->address,
		.cluster = cluster,
		.name = "test",
		.greeting = SPAN("*1\r\n$4\r\nPING\r\n"),
		.on_node = is_new,
		.on_node_gone = is_gone,
		.on_up = is_up,
		.on_down = is_down,
		.on_patience_over = is_down,
		.on_outage = is_down,
		.on_moved = has_moved,
		.arg = b,
	};
	struct buf errors = { 0 };

	*b = (struct bench){ 0 };
	redis_server_start(&b->server);
	b->config.redis.command_timeout_ms = 3000;
	CHECK_INT(redis_address_parse(span_of(b->server.url), &errors, &b->address), 0);
	loop_open(&b->loop);
	redis_tickets_open(&b->tickets, &b->loop, &b->nodes,
			   (struct redis_names){ xstrdup("t"), cluster, xstrdup("one.1") });
	b->keepers =
		(struct keepers){ &b->loop, &b->config, NULL, &b->tickets.names, keeper_says, b };
	redis_nodes_open(&b->nodes, &terms);
	CHECK(RUN_UNTIL(&b->loop, b->up == 1, 8000));
}

static void close_bench(struct bench *b)
{
	keepers_stop(&b->nodes);
	redis_nodes_close(&b->nodes);
	redis_tickets_close(&b->tickets);
	loop_close(&b->loop);
	redis_address_clear(&b->address);
	redis_server_end(&b->server);
}

/* Runs the loop for that long. */
static void pass(struct bench *b, int64_t ms)
{
	RUN_FOR(&b->loop, ms);
}

/* A turn that ends here while Redis is frozen and has a renewal of it to read. */
static void hold_and_drop_frozen(struct bench *b)
{
	int64_t now = clock_ms();

	kill(b->server.pid, SIGSTOP);
	keeper_hold(keeper_of(b->nodes.node[0]), "a", "one.1:x",
		    &(struct keeper_turn){ 60000, now + 60000, now, now + 60000 });
	pass(b, scaled_ms(300)); /* its thread sends at once, and nothing here sees it */
	keeper_drop(keeper_of(b->nodes.node[0]), "one.1:x");
}

/* Frozen, Redis gets the renewal that is under way when its turn is over here. */
static void test_stray_renewal(void)
{
	struct bench b;

	open_bench(&b, false);
	hold_and_drop_frozen(&b);
	kill(b.server.pid, SIGCONT);
	CHECK(RUN_UNTIL(&b.loop, *b.stray.id, 8000));
	CHECK_STR(b.stray.id, "one.1:x");
	CHECK_STR(b.stray.account, "a");
	CHECK_INT(redis_ask(&b.server, "EXISTS t_lock:a"), 1); /* restored: see renew.lua */
	redis_tickets_keeper_news(&b.tickets, &b.stray);
	CHECK(RUN_UNTIL(&b.loop, redis_ask(&b.server, "EXISTS t_lock:a") == 0, 8000));
	CHECK_INT(redis_ask(&b.server, "EXISTS t_last:a"), 0);
	close_bench(&b);
}

/* The same, and nobody answers in time: Redis may get it all the same. */
static void test_stray_unanswered(void)
{
	struct bench b;

	open_bench(&b, false);
	hold_and_drop_frozen(&b);
	CHECK(RUN_UNTIL(&b.loop, *b.stray.id, 8000));
	CHECK_STR(b.stray.id, "one.1:x");
	CHECK_STR(b.stray.account, "a");
	kill(b.server.pid, SIGCONT);
	close_bench(&b);
}

/* The same, when the process is about to end: not before that is undone. */
static void test_stray_at_the_end(void)
{
	struct bench b;
	int64_t now;

	open_bench(&b, false);
	b.forwards = true;
	b.settled_job.run = is_settled;
	kill(b.server.pid, SIGSTOP);
	now = clock_ms();
	keeper_hold(keeper_of(b.nodes.node[0]), "a", "one.1:x",
		    &(struct keeper_turn){ 60000, now + 60000, now, now + 60000 });
	pass(&b, scaled_ms(300)); /* likewise */
	keeper_drop(keeper_of(b.nodes.node[0]), "one.1:x");
	redis_tickets_settle(&b.tickets, &b.settled_job);
	pass(&b, 100);
	CHECK(!b.settled);
	kill(b.server.pid, SIGCONT);
	CHECK(RUN_UNTIL(&b.loop, b.settled, 8000));
	CHECK_STR(b.stray.id, "one.1:x");
	CHECK_INT(redis_ask(&b.server, "EXISTS t_lock:a"), 0);
	close_bench(&b);
}

/* redis.cluster on a server that is none: everything is on it. */
static void test_no_cluster(void)
{
	struct bench b;

	open_bench(&b, true);
	CHECK(RUN_UNTIL(&b.loop, b.nodes.complained, 8000));
	CHECK_INT(b.nodes.count, 1);
	CHECK_INT(b.moved, 0);
	CHECK(redis_nodes_at(&b.nodes, 16383) == b.nodes.node[0]);
	close_bench(&b);
}

/* What can't be understood changes nothing; what can names a node, and MOVED its slot. */
static void test_redirects_are_learned(void)
{
	static const char *const bad[] = {
		"MOVED",     "MOVED 1",     "MOVED 16384 h:1",     "MOVED -1 h:1",
		"MOVED 1 h", "MOVED x h:1", "MOVED 1 127.0.0.1:0", "MOVED 1 h:70000",
		"MOVED 1:7",
	};
	struct bench b;
	struct redis_node *first, *node;

	open_bench(&b, true);
	first = b.nodes.node[0];
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK(!redis_nodes_redirect(&b.nodes, first, bad[i]));
	CHECK_INT(b.nodes.count, 1);
	node = redis_nodes_redirect(&b.nodes, first, "ASK 5 127.0.0.1:1");
	CHECK(node && node != first && redis_nodes_at(&b.nodes, 5) == first);
	CHECK(redis_nodes_redirect(&b.nodes, first, "MOVED 5 127.0.0.1:1") == node);
	CHECK(redis_nodes_at(&b.nodes, 5) == node && redis_nodes_at(&b.nodes, 4) == first);
	CHECK_INT(b.moved, 1);
	CHECK_INT(node->slots, 1);
	for (int i = 2; i <= 2 * REDIS_NODES_MAX; i++) {
		char moved[40];

		snprintf(moved, sizeof moved, "MOVED %d ::1:%d", i, i);
		node = redis_nodes_redirect(&b.nodes, first, moved);
		CHECK(!node == (i > REDIS_NODES_MAX - 1));
	}
	CHECK_INT(b.nodes.count, REDIS_NODES_MAX);
	CHECK_STR(b.nodes.node[2]->address.host, "::1");
	close_bench(&b);
}

static void noted(void *arg, const redisReply *reply)
{
	int *answers = arg;

	CHECK(!reply);
	++*answers;
}

/* What is about to break still has to answer, though it isn't up any more. */
static void test_forgotten_when_idle(void)
{
	struct bench b;
	struct redis_node *node;
	int answers = 0;

	open_bench(&b, true);
	node = redis_nodes_redirect(&b.nodes, b.nodes.node[0], "ASK 5 127.0.0.1:1");
	redis_link_free(steal(&node->link));
	node->link = steal(&b.nodes.node[0]->link); /* one that is up, at a node without slots */
	CHECK_INT(redis_link_send(node->link, SPAN("*1\r\n$4\r\nPING\r\n"), noted, &answers), 0);
	redis_link_reset(node->link, "test");
	CHECK(!redis_link_is_up(node->link) && !redis_link_is_idle(node->link));
	b.nodes.forget_job.run(&b.nodes.forget_job);
	CHECK(node->link);
	CHECK(RUN_UNTIL(&b.loop, answers == 1, 8000));
	CHECK(!node->link || redis_link_is_idle(node->link));
	b.nodes.forget_job.run(&b.nodes.forget_job);
	CHECK(!node->link);
	close_bench(&b);
}

/* One that comes due while another is under way comes after it. */
static void test_slots_are_asked_again(void)
{
	struct bench b;
	size_t asked;

	open_bench(&b, true);
	CHECK(RUN_UNTIL(&b.loop, b.nodes.complained && !b.nodes.asking, 8000));
	kill(b.server.pid, SIGSTOP);
	timer_start(b.nodes.slots_timer, 0);
	CHECK(RUN_UNTIL(&b.loop, b.nodes.asking, 8000));
	asked = b.nodes.asked;
	timer_start(b.nodes.slots_timer, 0);
	pass(&b, 100);
	CHECK_INT(b.nodes.asked, asked);
	kill(b.server.pid, SIGCONT);
	CHECK(RUN_UNTIL(&b.loop, b.nodes.asked > asked, 3000));
	close_bench(&b);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	test_slots();
	test_redirections();
	test_stray_renewal();
	test_stray_unanswered();
	test_stray_at_the_end();
	test_no_cluster();
	test_redirects_are_learned();
	test_forgotten_when_idle();
	test_slots_are_asked_again();
	return check_done();
}
