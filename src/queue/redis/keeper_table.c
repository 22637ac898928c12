#include "queue/redis/keeper_table.h"

#include "base/clock.h"

struct keeper_kept *keeper_table_find(struct keeper_table *t, const char *id)
{
	struct keeper_kept *e;

	HASH_FIND_STR(t->by_id, id, e);
	return e;
}

struct keeper_kept *keeper_table_get(struct keeper_table *t, const char *account, const char *id)
{
	struct keeper_kept *e = keeper_table_find(t, id);

	if (e)
		return e;
	e = xcalloc(1, sizeof *e);
	snprintf(e->id, sizeof e->id, "%s", id);
	snprintf(e->account_name, sizeof e->account_name, "%s", account);
	HASH_ADD_STR(t->by_id, id, e);
	return e;
}

static void unwait(struct keeper_table *t, struct keeper_kept *e)
{
	struct keeper_account *a = e->account;

	if (!a)
		return;
	e->account = NULL;
	list_remove(&e->link);
	if (!list_empty(&a->waiters))
		return;
	HASH_DEL(t->accounts, a);
	free(a);
}

void keeper_table_wait(struct keeper_table *t, struct keeper_kept *e)
{
	struct keeper_account *a;

	if (e->account || keeper_kept_is_turn(e))
		return;
	HASH_FIND_STR(t->accounts, e->account_name, a);
	if (!a) {
		a = xcalloc(1, sizeof *a);
		memcpy(a->name, e->account_name, sizeof a->name);
		list_init(&a->waiters);
		a->touch_at_ms = clock_ms() + KEEPER_TOUCH_MS;
		HASH_ADD_STR(t->accounts, name, a);
	}
	e->account = a;
	list_append(&a->waiters, &e->link);
}

void keeper_table_hold(struct keeper_table *t, struct keeper_kept *e,
		       const struct keeper_turn *turn)
{
	unwait(t, e);
	t->held += !keeper_kept_is_turn(e);
	e->turn = *turn;
}

void keeper_table_drop(struct keeper_table *t, struct keeper_kept *e)
{
	unwait(t, e);
	t->held -= keeper_kept_is_turn(e);
	HASH_DEL(t->by_id, e);
	free(e);
}

int64_t keeper_table_due_ms(const struct keeper_table *t)
{
	int64_t due = INT64_MAX;

	for (const struct keeper_account *a = t->accounts; a; a = a->hh.next)
		due = MIN(due, a->touch_at_ms);
	for (const struct keeper_kept *e = t->by_id; e; e = e->hh.next) {
		if (keeper_kept_is_turn(e))
			due = MIN(due, MIN(e->turn.renew_at_ms, e->turn.lease_until_ms));
	}
	return due;
}

void keeper_table_clear(struct keeper_table *t)
{
	struct keeper_kept *e, *next;

	HASH_ITER (hh, t->by_id, e, next)
		keeper_table_drop(t, e);
}
