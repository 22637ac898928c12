#include "queue/redis/ticket_call.h"

#include "base/clock.h"

enum { RETRY_EVERY_MS = 1000 };

static struct ticket_call *new_call(struct ticket_calls *all, enum script script,
				    const struct lock_ticket *t,
				    void (*done)(struct redis_call *, const redisReply *))
{
	struct ticket_call *e = xcalloc(1, sizeof *e);

	e->call.script = script_get(script);
	e->call.form = script_form(script);
	e->call.done = done;
	e->calls = all;
	memcpy(e->account, t->account, sizeof e->account);
	memcpy(e->id, t->id, sizeof e->id);
	e->sent_ms = clock_ms();
	e->ttl_ms = t->terms.ttl_ms;
	e->delay_ms = t->terms.delay_ms;
	e->until_ms = e->sent_ms + MAX(e->ttl_ms, REDIS_LEASE_MS);
	return e;
}

struct ticket_call *ticket_call_new(struct ticket_calls *all, enum script script,
				    const struct lock_ticket *t,
				    void (*done)(struct redis_call *, const redisReply *))
{
	struct ticket_call *e = new_call(all, script, t, done);

	script_account(&e->call.command, all->names, e->account);
	redis_arg_str(&e->call.command, e->id);
	return e;
}

struct ticket_call *ticket_call_of_account(struct ticket_calls *all, enum script script,
					   const char *account,
					   void (*done)(struct redis_call *, const redisReply *))
{
	struct lock_ticket nobody = { .terms.ttl_ms = REDIS_LEASE_MS };
	struct ticket_call *e;

	snprintf(nobody.account, sizeof nobody.account, "%s", account);
	e = new_call(all, script, &nobody, done);
	script_account(&e->call.command, all->names, e->account);
	return e;
}

struct ticket_call *ticket_call_on_key(struct ticket_calls *all, enum script script,
				       const char *kind, const struct lock_ticket *t,
				       void (*done)(struct redis_call *, const redisReply *))
{
	struct ticket_call *e = new_call(all, script, t, done);

	script_account_key(&e->call.command, all->names, kind, e->account);
	return e;
}

/* Sends it; without a link it stays the caller's. */
int ticket_call_send(struct ticket_call *e)
{
	int r = redis_call_send(&e->calls->caller, &e->call);

	e->sent_us = clock_us();
	if (r == 0)
		e->calls->open++;
	return r;
}

static bool is_among(const struct list *calls, enum script script, const char *account,
		     const char *id)
{
	const struct redis_call *c;

	list_for_each (c, calls, link) {
		const struct ticket_call *e = container_of(c, struct ticket_call, call);

		if (c->script == script_get(script) && !strcmp(e->account, account) &&
		    !strcmp(e->id, id))
			return true;
	}
	return false;
}

bool ticket_call_is_open(const struct ticket_calls *all, enum script script, const char *account,
			 const char *id)
{
	return is_among(&all->caller.open, script, account, id) ||
	       is_among(&all->caller.parked, script, account, id);
}

static void check_settled(struct ticket_calls *all)
{
	if (all->when_settled && !all->open && list_empty(&all->unheard))
		loop_defer(all->loop, all->when_settled);
}

void ticket_call_free(struct ticket_call *e)
{
	struct ticket_calls *all = e->calls;

	redis_call_free(&e->call);
	check_settled(all);
}

void ticket_calls_count_off(struct ticket_calls *all)
{
	all->open--;
	check_settled(all);
}

void ticket_call_retry_later(struct ticket_call *e)
{
	struct ticket_calls *all = e->calls;

	if (clock_ms() >= e->until_ms) {
		ticket_call_free(e);
		return;
	}
	list_remove(&e->call.link);
	list_append(&all->unheard, &e->call.link);
	timer_start(all->retry, RETRY_EVERY_MS);
}

/* Sends them again; those that fail come back to the list, so it is emptied first. */
void ticket_calls_retry(struct ticket_calls *all)
{
	struct list due;
	struct ticket_call *e;

	list_init(&due);
	while ((e = list_first(&all->unheard, struct ticket_call, call.link))) {
		list_remove(&e->call.link);
		list_append(&due, &e->call.link);
	}
	while ((e = list_first(&due, struct ticket_call, call.link))) {
		list_remove(&e->call.link);
		if (clock_ms() >= e->until_ms || ticket_call_send(e) < 0)
			ticket_call_retry_later(e);
	}
}

static void retry_time(void *arg)
{
	ticket_calls_retry(arg);
}

void ticket_calls_settle(struct ticket_calls *all, struct job *when_settled)
{
	all->when_settled = when_settled;
	check_settled(all);
}

void ticket_calls_open(struct ticket_calls *all, struct loop *loop, struct redis_nodes *nodes,
		       const struct redis_names *names)
{
	all->loop = loop;
	all->names = names;
	list_init(&all->unheard);
	all->retry = timer_new(loop, retry_time, all);
	redis_caller_open(&all->caller, loop, nodes);
}

void ticket_calls_close(struct ticket_calls *all)
{
	struct ticket_call *e;

	timer_clear(&all->retry);
	redis_caller_clear(&all->caller);
	while ((e = list_first(&all->unheard, struct ticket_call, call.link)))
		redis_call_free(&e->call);
}
