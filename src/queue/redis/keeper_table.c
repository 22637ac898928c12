#include "queue/redis/keeper_table.h"

#include "base/clock.h"

struct keeper_kept *keeper_table_find(struct keeper_table *t, const char *id)
{
	struct keeper_kept *e;

	HASH_FIND_STR(t->by_id, id, e);
	return e;
}

static struct keeper_account *get_account(struct keeper_table *t, const char *name)
{
	struct keeper_account *a;

	HASH_FIND_STR(t->accounts, name, a);
	if (a)
		return a;
	a = xcalloc(1, sizeof *a);
	snprintf(a->name, sizeof a->name, "%s", name);
	list_init(&a->waiters);
	list_init(&a->turns);
	HASH_ADD_STR(t->accounts, name, a);
	return a;
}

struct keeper_kept *keeper_table_get(struct keeper_table *t, const char *account, const char *id)
{
	struct keeper_kept *e = keeper_table_find(t, id);

	if (e)
		return e;
	e = xcalloc(1, sizeof *e);
	snprintf(e->id, sizeof e->id, "%s", id);
	e->account = get_account(t, account);
	HASH_ADD_STR(t->by_id, id, e);
	return e;
}

void keeper_table_wait(struct keeper_table *t, struct keeper_kept *e)
{
	struct keeper_account *a = e->account;

	(void)t;
	if (!list_empty(&e->link))
		return; /* it waits, or holds a turn */
	if (list_empty(&a->waiters))
		a->touch_at_ms = clock_ms() + KEEPER_TOUCH_MS;
	list_append(&a->waiters, &e->link);
}

void keeper_table_hold(struct keeper_table *t, struct keeper_kept *e,
		       const struct keeper_turn *turn)
{
	t->held += !keeper_kept_is_turn(e);
	list_remove(&e->link);
	list_append(&e->account->turns, &e->link);
	e->turn = *turn;
}

void keeper_table_drop(struct keeper_table *t, struct keeper_kept *e)
{
	struct keeper_account *a = e->account;

	list_remove(&e->link);
	t->held -= keeper_kept_is_turn(e);
	HASH_DEL(t->by_id, e);
	free(e);
	if (!list_empty(&a->waiters) || !list_empty(&a->turns))
		return;
	HASH_DEL(t->accounts, a);
	free(a);
}

static int64_t account_due_ms(const struct keeper_account *a)
{
	int64_t due = list_empty(&a->waiters) ? INT64_MAX : a->touch_at_ms;
	const struct keeper_kept *e;

	list_for_each (e, &a->turns, link)
		due = MIN(due, MIN(e->turn.renew_at_ms, e->turn.lease_until_ms));
	return due;
}

int64_t keeper_table_due_ms(const struct keeper_table *t)
{
	int64_t due = INT64_MAX;

	for (const struct keeper_account *a = t->accounts; a; a = a->hh.next)
		due = MIN(due, account_due_ms(a));
	return due;
}

struct keeper_kept *keeper_table_lapsed(const struct keeper_table *t, int64_t now_ms)
{
	for (const struct keeper_account *a = t->accounts; a; a = a->hh.next) {
		struct keeper_kept *e;

		list_for_each (e, &a->turns, link) {
			if (now_ms >= e->turn.lease_until_ms)
				return e;
		}
	}
	return NULL;
}

void keeper_table_clear(struct keeper_table *t)
{
	struct keeper_kept *e, *next;

	HASH_ITER (hh, t->by_id, e, next)
		keeper_table_drop(t, e);
}
