#include "queue/redis_errand.h"

#include "base/clock.h"

enum { PAY_EVERY_MS = 1000 };

static struct redis_errand *new_errand(struct redis_errands *all, enum redis_script script,
				       const struct lock_ticket *t,
				       void (*done)(struct redis_call *, const redisReply *))
{
	struct redis_errand *e = xcalloc(1, sizeof *e);

	e->call.script = script;
	e->call.done = done;
	e->errands = all;
	memcpy(e->account, t->account, sizeof e->account);
	memcpy(e->id, t->id, sizeof e->id);
	e->sent_ms = clock_ms();
	e->ttl_ms = t->terms.ttl_ms;
	e->delay_ms = t->terms.delay_ms;
	e->until_ms = e->sent_ms + MAX(e->ttl_ms, REDIS_LEASE_MS);
	return e;
}

struct redis_errand *redis_errand_new(struct redis_errands *all, enum redis_script script,
				      const struct lock_ticket *t,
				      void (*done)(struct redis_call *, const redisReply *))
{
	struct redis_errand *e = new_errand(all, script, t, done);

	redis_script_account(&e->call.command, all->names, e->account);
	redis_arg_str(&e->call.command, e->id);
	return e;
}

struct redis_errand *redis_errand_on_key(struct redis_errands *all, enum redis_script script,
					 const char *kind, const struct lock_ticket *t,
					 void (*done)(struct redis_call *, const redisReply *))
{
	struct redis_errand *e = new_errand(all, script, t, done);

	redis_script_account_key(&e->call.command, all->names, kind, e->account);
	return e;
}

/* Sends it; without a link it stays the caller's. */
int redis_errand_send(struct redis_errand *e)
{
	int r = redis_call_send(&e->errands->caller, &e->call);

	e->sent_us = clock_us();
	if (r == 0)
		e->errands->open++;
	return r;
}

static bool is_among(const struct list *calls, enum redis_script script, const char *account,
		     const char *id)
{
	const struct redis_call *c;

	list_for_each (c, calls, link) {
		const struct redis_errand *e = container_of(c, struct redis_errand, call);

		if (c->script == script && !strcmp(e->account, account) && !strcmp(e->id, id))
			return true;
	}
	return false;
}

bool redis_errand_is_open(const struct redis_errands *all, enum redis_script script,
			  const char *account, const char *id)
{
	return is_among(&all->caller.open, script, account, id) ||
	       is_among(&all->caller.parked, script, account, id);
}

static void check_settled(struct redis_errands *all)
{
	if (all->when_settled && !all->open && list_empty(&all->debts))
		loop_defer(all->loop, all->when_settled);
}

void redis_errand_free(struct redis_errand *e)
{
	struct redis_errands *all = e->errands;

	redis_call_free(&e->call);
	check_settled(all);
}

void redis_errands_count_off(struct redis_errands *all)
{
	all->open--;
	check_settled(all);
}

void redis_errand_owe(struct redis_errand *e)
{
	struct redis_errands *all = e->errands;

	if (clock_ms() >= e->until_ms) {
		redis_errand_free(e);
		return;
	}
	list_remove(&e->call.link);
	list_append(&all->debts, &e->call.link);
	timer_start(all->pay, PAY_EVERY_MS);
}

/* Sends the debts there are; those that fail come back to the list, so it is emptied first. */
void redis_errands_pay(struct redis_errands *all)
{
	struct list due;
	struct redis_errand *e;

	list_init(&due);
	while ((e = list_first(&all->debts, struct redis_errand, call.link))) {
		list_remove(&e->call.link);
		list_append(&due, &e->call.link);
	}
	while ((e = list_first(&due, struct redis_errand, call.link))) {
		list_remove(&e->call.link);
		if (clock_ms() >= e->until_ms || redis_errand_send(e) < 0)
			redis_errand_owe(e);
	}
}

static void pay_time(void *arg)
{
	redis_errands_pay(arg);
}

void redis_errands_settle(struct redis_errands *all, struct job *when_settled)
{
	all->when_settled = when_settled;
	check_settled(all);
}

void redis_errands_open(struct redis_errands *all, struct loop *loop, struct redis_nodes *nodes,
			const struct redis_names *names)
{
	all->loop = loop;
	all->names = names;
	list_init(&all->debts);
	all->pay = timer_new(loop, pay_time, all);
	redis_caller_open(&all->caller, loop, nodes);
}

void redis_errands_close(struct redis_errands *all)
{
	struct redis_errand *e;

	timer_clear(&all->pay);
	redis_caller_clear(&all->caller);
	while ((e = list_first(&all->debts, struct redis_errand, call.link)))
		redis_call_free(&e->call);
}
