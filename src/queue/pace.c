#include "queue/pace.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "config/config.h"

#define uthash_fatal(msg) must_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

/* The latest lengths, a ring. */
struct lengths {
	int64_t ms[PACE_TURNS];
	int count, at;
};

struct entry {
	struct lengths lengths;
	int64_t *running; /* when each turn that is under way began, in no order */
	int64_t running_count;
	struct list idle; /* in pace.idle, unless it has a turn; the longest idle first */
	UT_hash_handle hh;
	char account[];
};

struct pace {
	struct entry *entries; /* by account */
	struct list idle;
	int64_t idle_count;
	struct lengths all;
};

/* --- lengths ---------------------------------------------------------------------------------- */

static void lengths_add(struct lengths *l, int64_t ms)
{
	l->ms[l->at] = ms;
	l->at = (l->at + 1) % PACE_TURNS;
	l->count = MIN(l->count + 1, PACE_TURNS);
}

static int ascending(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

int64_t pace_median_ms(int64_t *lengths_ms, size_t count)
{
	if (!count)
		return -1;
	qsort(lengths_ms, count, sizeof *lengths_ms, ascending);
	return (lengths_ms[(count - 1) / 2] + lengths_ms[count / 2]) / 2;
}

/* -1: there were none. */
static int64_t lengths_median(const struct lengths *l)
{
	int64_t sorted[PACE_TURNS];

	memcpy(sorted, l->ms, sizeof sorted);
	return pace_median_ms(sorted, (size_t)l->count);
}

/* --- accounts --------------------------------------------------------------------------------- */

static struct entry *find(const struct pace *p, const char *account)
{
	struct entry *e;

	HASH_FIND_STR(p->entries, account, e);
	return e;
}

static void forget(struct pace *p, struct entry *e)
{
	p->idle_count -= !list_empty(&e->idle);
	list_remove(&e->idle);
	HASH_DEL(p->entries, e);
	free(e->running);
	free(e);
}

static struct entry *get(struct pace *p, const char *account)
{
	struct entry *e = find(p, account);

	if (e)
		return e;
	e = xcalloc(1, sizeof *e + strlen(account) + 1);
	strcpy(e->account, account);
	HASH_ADD_KEYPTR(hh, p->entries, e->account, strlen(e->account), e);
	return e;
}

void pace_began(struct pace *p, const char *account, int64_t at_ms)
{
	struct entry *e = get(p, account);

	p->idle_count -= !list_empty(&e->idle);
	list_remove(&e->idle);
	e->running = xrealloc(e->running, (size_t)(e->running_count + 1) * sizeof *e->running);
	e->running[e->running_count++] = at_ms;
}

static void stop_running(struct entry *e, int64_t began_ms)
{
	for (int64_t i = 0; i < e->running_count; i++) {
		if (e->running[i] != began_ms)
			continue;
		e->running[i] = e->running[--e->running_count];
		return;
	}
}

void pace_ended(struct pace *p, const char *account, int64_t began_ms, int64_t ended_ms, bool used)
{
	struct entry *e = find(p, account);

	must(e);
	stop_running(e, began_ms);
	if (used) {
		lengths_add(&e->lengths, MAX(ended_ms - began_ms, 0));
		lengths_add(&p->all, MAX(ended_ms - began_ms, 0));
	}
	if (e->running_count)
		return;
	list_append(&p->idle, &e->idle);
	if (++p->idle_count > PACE_ACCOUNTS_MAX)
		forget(p, list_first(&p->idle, struct entry, idle));
}

/* --- estimates -------------------------------------------------------------------------------- */

static int64_t turn_ms(const struct pace *p, const struct entry *e)
{
	int64_t own = e ? lengths_median(&e->lengths) : -1;
	int64_t all = lengths_median(&p->all);

	return own >= 0 ? own : all >= 0 ? all : PACE_FIRST_GUESS_MS;
}

int64_t pace_turn_ms(const struct pace *p, const char *account)
{
	return turn_ms(p, find(p, account));
}

int64_t pace_running_since_ms(const struct pace *p, const char *account)
{
	const struct entry *e = find(p, account);
	int64_t since = 0;

	for (int64_t i = 0; e && i < e->running_count; i++)
		since = !i || e->running[i] < since ? e->running[i] : since;
	return since;
}

/* What is left of a turn; one that is longer than usual takes a while longer. */
static int64_t left_ms(int64_t length_ms, int64_t ran_ms)
{
	return MAX(length_ms - ran_ms, length_ms / 8);
}

/* When each of the account's turns is free, from now on. */
static void free_times(const struct entry *e, const struct pace_question *q, int64_t length_ms,
		       int64_t *ret)
{
	int64_t known = e ? MIN(e->running_count, q->turns) : 0, others = q->turns - known;

	for (int64_t i = 0; i < known; i++)
		ret[i] = left_ms(length_ms, q->now_ms - e->running[i]);
	for (int64_t i = 0; i < others; i++)
		ret[known + i] = length_ms * (2 * i + 1) / (2 * others);
}

static int64_t earliest(const int64_t *times, int64_t count)
{
	int64_t first = 0;

	for (int64_t i = 1; i < count; i++)
		first = times[i] < times[first] ? i : first;
	return first;
}

int64_t pace_estimate_ms(const struct pace *p, const struct pace_question *q)
{
	const struct entry *e = find(p, q->account);
	int64_t length_ms = turn_ms(p, e), free_at[QUEUE_TURNS_MAX], start = 0;
	int64_t waiting = MAX(q->before - q->turns, 0); /* before it, in the line */
	int64_t each_ms = MAX((length_ms + q->delay_ms) / q->turns, q->interval_ms);
	int64_t walked = MIN(waiting, 2 * q->turns);

	must(q->turns >= 1 && q->turns <= QUEUE_TURNS_MAX);
	free_times(e, q, length_ms, free_at);
	for (int64_t i = 0; i <= walked; i++) {
		int64_t next = earliest(free_at, q->turns);

		start = MAX(free_at[next] + q->delay_ms, i ? start + q->interval_ms : 0);
		free_at[next] = start + length_ms;
	}
	return start + (waiting - walked) * each_ms;
}

/* Behind a hold; and by the interval, counted from the start of the latest of those that are under way. */
static int64_t earliest_start(const struct pace_line *l)
{
	int64_t start = l->held_ms;

	for (size_t i = 0; i < l->running; i++)
		start = MAX(start, l->interval_ms - l->ran_ms[i]);
	return start;
}

void pace_starts(const struct pace_line *l, size_t count, int64_t *ret_ms)
{
	int64_t free_at[QUEUE_TURNS_MAX] = { 0 }, start = earliest_start(l);
	size_t running = MIN(l->running, (size_t)l->turns);

	must(l->turns >= 1 && l->turns <= QUEUE_TURNS_MAX);
	for (size_t i = 0; i < running; i++)
		free_at[i] = left_ms(l->turn_ms, l->ran_ms[i]) + l->delay_ms;
	for (size_t i = 0; i < count; i++) {
		int64_t next = earliest(free_at, l->turns);

		start = MAX(free_at[next], start);
		ret_ms[i] = start;
		free_at[next] = start + l->turn_ms + l->delay_ms;
		start += l->interval_ms;
	}
}

/* --- life ------------------------------------------------------------------------------------- */

struct pace *pace_new(void)
{
	struct pace *p = xcalloc(1, sizeof *p);

	list_init(&p->idle);
	return p;
}

void pace_free(struct pace *p)
{
	struct entry *e, *next;

	if (!p)
		return;
	HASH_ITER (hh, p->entries, e, next)
		forget(p, e);
	free(p);
}
