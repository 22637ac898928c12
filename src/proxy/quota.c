#include "proxy/quota.h"

#include <string.h>

#include "request/account.h"

#define uthash_fatal(msg) must_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

enum { HOUR_MS = 3600 * 1000, TELL_EVERY_MS = 60 * 1000 };

struct entry {
	char name[ACCOUNT_NAME_MAX];
	struct limit_reading reading;
	int64_t told_ms; /* that a status is another one; 0: never */
	int64_t hour;    /* the latest one in which there was an answer */
	uint32_t answers[QUOTA_HOURS][QUOTA_ANSWER_COUNT]; /* of hour h at h % QUOTA_HOURS */
	UT_hash_handle hh; /* by name; in the order in which they were heard of */
};

struct quotas {
	struct entry *entries;
};

enum quota_answer quota_answer_of(int status, enum limit_kind kind)
{
	static const enum quota_answer of_kind[LIMIT_KIND_COUNT] = {
		[LIMIT_THROTTLE] = QUOTA_THROTTLE,       [LIMIT_QUOTA] = QUOTA_QUOTA,
		[LIMIT_OVERLOADED] = QUOTA_OVERLOADED,   [LIMIT_UNKNOWN] = QUOTA_UNKNOWN,
		[LIMIT_NOT_A_LIMIT] = QUOTA_NOT_A_LIMIT,
	};

	if (kind != LIMIT_NONE)
		return of_kind[kind];
	return status < 400 ? QUOTA_OK : status < 500 ? QUOTA_REFUSED : QUOTA_FAILED;
}

static struct entry *entry_find(const struct quotas *q, const char *account)
{
	struct entry *e;

	HASH_FIND_STR(q->entries, account, e);
	return e;
}

/* Becomes the one that was heard of last. */
static struct entry *entry_get(struct quotas *q, const char *account)
{
	struct entry *e = entry_find(q, account);

	if (!e && HASH_COUNT(q->entries) >= QUOTAS_MAX) {
		struct entry *oldest = q->entries;

		HASH_DEL(q->entries, oldest);
		free(oldest);
	}
	if (e) {
		HASH_DEL(q->entries, e);
	} else {
		e = xcalloc(1, sizeof *e);
		must(strlen(account) < sizeof e->name);
		strcpy(e->name, account);
	}
	HASH_ADD_STR(q->entries, name, e);
	return e;
}

static const struct limit_window *window_of(const struct limit_reading *r, const char *name)
{
	for (size_t i = 0; i < r->count; i++) {
		if (!strcmp(r->windows[i].name, name))
			return &r->windows[i];
	}
	return NULL;
}

/* A window that nobody has heard of before was allowed. */
static const struct limit_window *changed(const struct limit_reading *before,
					  const struct limit_reading *now)
{
	for (size_t i = 0; i < now->count; i++) {
		const struct limit_window *w = &now->windows[i], *old = window_of(before, w->name);

		if (w->status && w->status != (old && old->status ? old->status : LIMIT_ALLOWED))
			return w;
	}
	return NULL;
}

bool quotas_read(struct quotas *q, const char *account, const struct headers *fields,
		 int64_t now_ms, struct limit_window *ret)
{
	const struct limit_window *w;
	struct limit_reading now;
	struct entry *e;
	bool any = limits_read(fields, now_ms, &now);

	any |= limits_read_buckets(fields, now_ms, &now);
	if (!any)
		return false;
	e = entry_get(q, account);
	limits_drop_past(&e->reading, now_ms);
	w = changed(&e->reading, &now);
	limits_merge(&e->reading, &now);
	if (!w || (e->told_ms && now_ms - e->told_ms < TELL_EVERY_MS && now_ms >= e->told_ms))
		return false;
	e->told_ms = now_ms;
	*ret = *w;
	return true;
}

/* Hours in which nothing was heard were empty. */
static void turn_to(struct entry *e, int64_t hour)
{
	int64_t from = MAX(e->hour, hour - QUOTA_HOURS) + 1;

	for (int64_t h = from; h <= hour; h++)
		memset(e->answers[h % QUOTA_HOURS], 0, sizeof e->answers[0]);
	e->hour = MAX(e->hour, hour);
}

void quotas_count(struct quotas *q, const char *account, enum quota_answer answer, int64_t now_ms)
{
	struct entry *e;

	if (answer == QUOTA_REFUSED && !entry_find(q, account))
		return; /* whoever makes up keys would push out those of others */
	e = entry_get(q, account);
	turn_to(e, now_ms / HOUR_MS);
	e->answers[e->hour % QUOTA_HOURS][answer]++;
}

void quotas_get(const struct quotas *q, const char *account, int64_t now_ms, struct quota *ret)
{
	const struct entry *e = entry_find(q, account);

	*ret = (struct quota){ 0 };
	if (!e)
		return;
	ret->reading = e->reading;
	limits_drop_past(&ret->reading, now_ms);
	for (int64_t h = MAX(now_ms / HOUR_MS, e->hour) - QUOTA_HOURS + 1; h <= e->hour; h++) {
		for (int i = 0; i < QUOTA_ANSWER_COUNT; i++)
			ret->answers[i] += e->answers[h % QUOTA_HOURS][i];
	}
}

struct quotas *quotas_new(void)
{
	return xcalloc(1, sizeof(struct quotas));
}

void quotas_free(struct quotas *q)
{
	struct entry *e, *next;

	if (!q)
		return;
	HASH_ITER (hh, q->entries, e, next) {
		HASH_DEL(q->entries, e);
		free(e);
	}
	free(q);
}
