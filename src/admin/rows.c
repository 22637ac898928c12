#include "admin/rows.h"

#include <string.h>

#include "admin/json.h"

static void view_without_lists(const struct lock_view *v, struct lock_view *ret)
{
	*ret = *v;
	ret->holders = NULL;
	ret->waiters = NULL;
	ret->samples = NULL;
	ret->shares = NULL;
	ret->holder_count = ret->waiter_count = ret->sample_count = ret->share_count = 0;
	for (size_t i = 0; i < v->holder_count; i++)
		*query_view_holder(ret) = v->holders[i];
}

void row_read(const struct lock_view *v, bool stalled, struct row *ret)
{
	view_without_lists(v, &ret->view);
	ret->state = account_state(v, stalled, &ret->why);
	ret->stalled = stalled && v->holder_count;
}

void row_clear(struct row *row)
{
	query_view_clear(&row->view);
}

void row_add_state(const struct row *row, cJSON *document)
{
	cJSON_AddStringToObject(document, "state", account_state_name[row->state]);
	json_add_text(document, "stuckBecause", row->why);
	cJSON_AddBoolToObject(document, "stalled", row->stalled);
}

static int by_number(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int by_name(const struct row *a, const struct row *b)
{
	return strcmp(a->view.account, b->view.account);
}

static int by_state(const struct row *a, const struct row *b)
{
	return by_number(a->state, b->state);
}

static int64_t held_ms(const struct row *r)
{
	const struct lock_holder *h = lock_view_first(&r->view);

	return !r->view.holder_count ? INT64_MIN : h->held_known ? h->held_ms : -1;
}

static int by_held(const struct row *a, const struct row *b)
{
	return by_number(held_ms(a), held_ms(b));
}

static int by_waiting(const struct row *a, const struct row *b)
{
	return by_number(a->view.waiting, b->view.waiting);
}

static int by_wait(const struct row *a, const struct row *b)
{
	return by_number(a->view.oldest_wait_ms, b->view.oldest_wait_ms);
}

static const struct {
	const char *name;
	int (*compare)(const struct row *a, const struct row *b);
} sorts[] = {
	{ "wait", by_wait }, { "account", by_name },    { "state", by_state },
	{ "held", by_held }, { "waiting", by_waiting },
};

int row_order_find(const char *name)
{
	for (int i = 0; i < (int)ARRAY_SIZE(sorts); i++) {
		if (!strcmp(name[0] ? name : sorts[0].name, sorts[i].name))
			return i;
	}
	return -1;
}

int row_compare(const void *a, const void *b, void *arg)
{
	const struct row *x = *(const struct row *const *)a, *y = *(const struct row *const *)b;
	const struct row_order *o = arg;
	int r = sorts[o->by].compare(x, y);

	if (o->descending)
		r = -r;
	if (!r)
		r = by_state(y, x);
	return r ? r : by_name(x, y);
}

static bool has(const char *text, const char *search)
{
	return strcasestr(text, search) != NULL;
}

bool row_has(const struct row *row, const char *search)
{
	bool found = !search[0] || has(row->view.account, search) ||
		     has(account_state_name[row->state], search);

	for (size_t i = 0; i < row->view.holder_count && !found; i++) {
		const struct lock_waiter *w = &row->view.holders[i].who;

		found = has(w->ticket, search) || has(w->client, search) || has(w->share, search);
	}
	return found;
}
