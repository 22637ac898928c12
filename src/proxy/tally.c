#include "proxy/tally.h"

#include <string.h>

#include "request/account.h"

#define uthash_fatal(msg) must_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

struct entry {
	char name[ACCOUNT_NAME_MAX];
	struct tally_row row;
	UT_hash_handle hh; /* by name; uthash keeps the order of insertion */
};

struct tally {
	int64_t cap;
	struct entry *entries;
};

static struct entry *entry_find(const struct tally *t, const char *name)
{
	struct entry *e;

	HASH_FIND_STR(t->entries, name, e);
	return e;
}

static struct entry *entry_new(struct tally *t, const char *name)
{
	struct entry *e = xcalloc(1, sizeof *e);

	must(strlen(name) < sizeof e->name);
	strcpy(e->name, name);
	e->row.account = e->name;
	HASH_ADD_STR(t->entries, name, e);
	return e;
}

static struct tally_row *row(struct tally *t, const char *name)
{
	struct entry *e = entry_find(t, name);

	if (!e && (int64_t)HASH_COUNT(t->entries) >= t->cap) {
		name = TALLY_OTHER;
		e = entry_find(t, name);
	}
	if (!e)
		e = entry_new(t, name);
	return &e->row;
}

void tally_add(struct tally *t, const char *account, int64_t wait_us, int64_t hold_us)
{
	struct tally_row *r;

	if (!t->cap)
		return;
	r = row(t, account);
	r->wait_us += wait_us;
	if (hold_us < 0) {
		r->refused++;
		return;
	}
	r->turns++;
	r->hold_us += hold_us;
}

void tally_answer(struct tally *t, const char *account, enum quota_answer answer)
{
	if (t->cap)
		row(t, account)->answers[answer]++;
}

void tally_each(const struct tally *t, void (*fn)(void *arg, const struct tally_row *row),
		void *arg)
{
	for (struct entry *e = t->entries; e; e = e->hh.next)
		fn(arg, &e->row);
}

struct tally *tally_new(int64_t cap)
{
	struct tally *t = xcalloc(1, sizeof *t);

	t->cap = cap;
	return t;
}

void tally_free(struct tally *t)
{
	struct entry *e, *next;

	if (!t)
		return;
	HASH_ITER (hh, t->entries, e, next) {
		HASH_DEL(t->entries, e);
		free(e);
	}
	free(t);
}
