/* queue/shadow.c on the memory backend: turns as they would have been, and what is counted. */
#include "base/buf.h"
#include "base/log.h"
#include "check.h"
#include "queue/shadow.h"

struct fixture {
	struct loop loop;
	struct config config;
	struct queue *queue;
	struct shadows *shadows;
	struct account_terms terms;
};

static void open_fixture(struct fixture *f)
{
	CLEANUP(buf_clear) struct buf errors = { 0 };

	*f = (struct fixture){ 0 };
	f->config.redis.url = (char *)"";
	f->config.redis.instance = (char *)"one";
	f->config.queue.lock_ttl_ms = f->config.queue.max_hold_ms = LONG_MS;
	f->terms =
		(struct account_terms){ .enabled = true, .timeout_ms = LONG_MS, .max_waiting = 9 };
	loop_open(&f->loop);
	CHECK_INT(queue_new(&f->loop, &f->config, &errors, &f->queue), 0);
	f->shadows = shadows_new(&f->loop, f->queue, NULL, NULL);
}

static void on_stopped(void *arg)
{
	*(bool *)arg = true;
}

static void close_fixture(struct fixture *f)
{
	bool stopped = false;

	shadows_free(f->shadows);
	queue_stop(f->queue, 1000, on_stopped, &stopped);
	CHECK(RUN_UNTIL(&f->loop, stopped, 2000));
	queue_free(f->queue);
	loop_close(&f->loop);
}

static struct shadow *shadow(struct fixture *f, const char *account)
{
	static const struct lock_standing nobody;

	return shadow_join(f->shadows, account, &f->terms, &nobody, "req_1");
}

static int64_t ends(const struct fixture *f, enum shadow_end end)
{
	return shadows_counters(f->shadows)->ends[end];
}

static void run_for(struct fixture *f, int64_t ms)
{
	RUN_FOR(&f->loop, ms);
}

/* Three requests at once, each 300 ms long: all are over after that, their turns take 900 ms. */
static void test_turns_outlive_requests(void)
{
	struct fixture f;
	struct shadow *s[3];
	int64_t start;

	open_fixture(&f);
	start = clock_ms();
	for (size_t i = 0; i < 3; i++)
		s[i] = shadow(&f, "a");
	CHECK(RUN_UNTIL(&f.loop, shadow_wait_ms(s[0]) >= 0, 1000));
	CHECK_INT(shadow_position(s[2]), 2);
	CHECK_INT(shadow_wait_ms(s[1]), -1);
	run_for(&f, 300);
	for (size_t i = 0; i < 3; i++)
		shadow_release(&s[i], true);
	CHECK(!s[0]);
	CHECK(RUN_UNTIL(&f.loop, shadows_present(f.shadows) == 2, 1000));
	CHECK(RUN_UNTIL(&f.loop, !shadows_present(f.shadows), 3000));
	CHECK(clock_ms() - start >= 895);
	CHECK_INT(ends(&f, SHADOW_TURN), 3);
	CHECK_INT(shadows_counters(f.shadows)->waited, 2);
	CHECK(shadows_counters(f.shadows)->wait_ms >= 895); /* 0 + 300 + 600 */
	close_fixture(&f);
}

/* A turn that began late is as long as the request, though that is over before. */
static void test_long_request(void)
{
	struct fixture f;
	struct shadow *first, *second;

	open_fixture(&f);
	first = shadow(&f, "a");
	second = shadow(&f, "a");
	run_for(&f, 500);
	shadow_release(&first, true);
	CHECK(RUN_UNTIL(&f.loop, shadow_wait_ms(second) >= 500, 1000)); /* its turn: at 500 */
	run_for(&f, 40);
	shadow_release(&second, true); /* at 540, so its turn ends at 1040 */
	CHECK_INT(shadows_present(f.shadows), 1);
	run_for(&f, 20);
	CHECK_INT(shadows_present(f.shadows), 1);
	CHECK(RUN_UNTIL(&f.loop, !shadows_present(f.shadows), 3000));
	close_fixture(&f);
}

static void test_timeout_and_full(void)
{
	struct fixture f;
	struct shadow *s[4];

	open_fixture(&f);
	f.terms.timeout_ms = 80;
	f.terms.max_waiting = 2;
	for (size_t i = 0; i < 4; i++)
		s[i] = shadow(&f, "a");
	CHECK(RUN_UNTIL(&f.loop, ends(&f, SHADOW_FULL) == 1, 1000));
	CHECK(RUN_UNTIL(&f.loop, ends(&f, SHADOW_TIMED_OUT) == 2, 1000));
	CHECK_INT(shadows_present(f.shadows), 4); /* until their requests are over */
	for (size_t i = 0; i < 4; i++)
		shadow_release(&s[i], true);
	CHECK(RUN_UNTIL(&f.loop, !shadows_present(f.shadows), 1000));
	CHECK_INT(ends(&f, SHADOW_TURN), 1);
	CHECK_INT(shadows_counters(f.shadows)->joined, 4);
	close_fixture(&f);
}

static void test_unused(void)
{
	struct fixture f;
	struct shadow *holder, *waiter, *last;

	open_fixture(&f);
	holder = shadow(&f, "a");
	waiter = shadow(&f, "a");
	last = shadow(&f, "a");
	CHECK(RUN_UNTIL(&f.loop, shadow_wait_ms(holder) >= 0, 1000));
	run_for(&f, 50);
	shadow_release(&waiter, false); /* the upstream wasn't reached */
	CHECK_INT(ends(&f, SHADOW_UNKNOWN), 1);
	shadow_release(&holder, false); /* neither here: its turn is over at once */
	CHECK_INT(shadows_present(f.shadows), 1);
	CHECK(RUN_UNTIL(&f.loop, shadow_wait_ms(last) >= 0, 1000));
	shadow_release(&last, true);
	shadow_release(&last, true); /* NULL by now */
	close_fixture(&f);
}

/* Shadows and real requests of one account don't see each other. */
static void on_turn(void *arg)
{
	++*(int *)arg;
}

static void test_apart(void)
{
	struct fixture f;
	int turns = 0;
	struct queue_place place = { .changed = on_turn, .x = &turns };
	struct shadow *s;

	open_fixture(&f);
	s = shadow(&f, "a");
	queue_join(f.queue, &place, "a", &f.terms);
	CHECK(RUN_UNTIL(&f.loop, turns == 1 && shadow_wait_ms(s) >= 0, 1000));
	CHECK_INT(place.state, PLACE_TURN);
	queue_leave(&place, LOCK_USED);
	shadow_release(&s, true);
	close_fixture(&f);
}

/* Shutdown while turns are being played. */
static void test_clear(void)
{
	struct fixture f;
	struct shadow *s[3];

	open_fixture(&f);
	for (size_t i = 0; i < 3; i++)
		s[i] = shadow(&f, "a");
	run_for(&f, 30);
	for (size_t i = 0; i < 3; i++)
		shadow_release(&s[i], true);
	/* The first has had its turn, or has a millisecond left, if it began in the next one. */
	CHECK(RUN_UNTIL(&f.loop, shadows_present(f.shadows) <= 2, 1000));
	shadows_clear(f.shadows);
	CHECK_INT(shadows_present(f.shadows), 0);
	CHECK(ends(&f, SHADOW_UNKNOWN) + ends(&f, SHADOW_TURN) == 3);
	close_fixture(&f);
}

/* The longest name that an account may have fits with its prefix. */
static void test_long_name(void)
{
	struct fixture f;
	char name[129];
	struct shadow *s;

	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	open_fixture(&f);
	s = shadow(&f, name);
	CHECK(RUN_UNTIL(&f.loop, shadow_wait_ms(s) >= 0, 1000));
	shadow_release(&s, true);
	close_fixture(&f);
}

int main(void)
{
	log_setup(LOG_WARN, LOG_TEXT);
	test_turns_outlive_requests();
	test_long_request();
	test_timeout_and_full();
	test_unused();
	test_apart();
	test_clear();
	test_long_name();
	return check_done();
}
