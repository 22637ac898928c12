#include "proxy/history.h"

#include <string.h>

#define uthash_fatal(msg) must_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

enum { MINUTES, QUARTERS, RINGS };

static const struct {
	int64_t step_ms, keep_ms;
	size_t most;
} ring_info[RINGS] = {
	[MINUTES] = { HISTORY_MINUTE_MS, HISTORY_MINUTES_MS, HISTORY_MINUTES_MAX },
	[QUARTERS] = { HISTORY_QUARTER_MS, HISTORY_QUARTERS_MS, HISTORY_QUARTERS_MAX },
};

/* One share of one account. Lives as long as a cell is of it. */
struct series {
	UT_hash_handle hh;
	size_t cells;
	int64_t latest[RINGS]; /* the number of its latest cell; see struct ring */
	bool observed;
	const char *account, *share; /* within `key` */
	size_t key_len;
	char key[];
};

struct cell {
	struct series *series;
	int64_t step; /* its begin / step_ms */
	int64_t held_ms;
	uint32_t turns, refused, left, holds;
	uint32_t answers[QUOTA_ANSWER_COUNT];
	uint16_t waits[HISTORY_WAITS];
};

/* The cells with the numbers first to next - 1; number n is at n % room. */
struct ring {
	struct cell *cells;
	size_t room;
	int64_t first, next;
};

struct history {
	struct ring rings[RINGS];
	struct series *series;
	size_t series_bytes;
};

/* --- classes of waits ------------------------------------------------------------------------- */

static int64_t class_end_ms(int class)
{
	int64_t end = 16;

	while (class -- > 0)
		end += end / 2;
	return end;
}

static int class_of(int64_t wait_ms)
{
	int class = 0;

	for (int64_t end = 16; wait_ms > end && class < HISTORY_WAITS - 1; end += end / 2)
		class ++;
	return class;
}

int64_t history_wait_ms(const struct history_counts *c, int percent)
{
	int64_t all = 0, before = 0;

	for (int i = 0; i < HISTORY_WAITS; i++)
		all += c->waits[i];
	if (!all)
		return -1;
	for (int i = 0; i < HISTORY_WAITS; i++) {
		before += c->waits[i];
		if (before * 100 >= all * percent)
			return i ? (class_end_ms(i) + class_end_ms(i - 1)) / 2
				 : class_end_ms(0) / 2;
	}
	return -1;
}

int64_t history_waited(const struct history_counts *c)
{
	int64_t waited = 0;

	for (int i = 1; i < HISTORY_WAITS; i++)
		waited += c->waits[i];
	return waited;
}

/* --- series ----------------------------------------------------------------------------------- */

static struct series *series_get(struct history *h, const char *account, const char *share,
				 bool observed)
{
	CLEANUP(freep) char *key = NULL;
	size_t account_len = strlen(account), share_len = strlen(share);
	size_t len = account_len + share_len + 3;
	struct series *s;

	key = xcalloc(1, len);
	memcpy(key, account, account_len);
	memcpy(key + account_len + 1, share, share_len);
	key[len - 1] = (char)observed;
	HASH_FIND(hh, h->series, key, len, s);
	if (s)
		return s;
	s = xcalloc(1, sizeof *s + len);
	memcpy(s->key, key, len);
	s->key_len = len;
	s->account = s->key;
	s->share = s->key + account_len + 1;
	s->observed = observed;
	s->latest[MINUTES] = s->latest[QUARTERS] = -1;
	HASH_ADD_KEYPTR(hh, h->series, s->key, len, s);
	h->series_bytes += sizeof *s + len;
	return s;
}

static void series_put(struct history *h, struct series *s)
{
	if (--s->cells)
		return;
	h->series_bytes -= sizeof *s + s->key_len;
	HASH_DEL(h->series, s);
	free(s);
}

/* --- rings ------------------------------------------------------------------------------------ */

static struct cell *cell_at(const struct ring *r, int64_t number)
{
	return &r->cells[(size_t)number % r->room];
}

static void drop_first(struct history *h, struct ring *r)
{
	series_put(h, cell_at(r, r->first++)->series);
}

static void drop_old(struct history *h, int ring, int64_t step)
{
	struct ring *r = &h->rings[ring];
	int64_t steps = ring_info[ring].keep_ms / ring_info[ring].step_ms;

	while (r->first < r->next && cell_at(r, r->first)->step <= step - steps)
		drop_first(h, r);
}

/* Room for one more: twice as much as there was, or that of the oldest. */
static void make_room(struct history *h, int ring)
{
	struct ring *r = &h->rings[ring], larger = *r;

	if ((size_t)(r->next - r->first) < r->room)
		return;
	if (r->room == ring_info[ring].most) {
		drop_first(h, r);
		return;
	}
	larger.room = MIN(MAX(2 * r->room, 64), ring_info[ring].most);
	larger.cells = xcalloc(larger.room, sizeof *larger.cells);
	for (int64_t n = r->first; n < r->next; n++)
		*cell_at(&larger, n) = *cell_at(r, n);
	free(r->cells);
	*r = larger;
}

static struct cell *cell_get(struct history *h, int ring, struct series *s, int64_t step)
{
	struct ring *r = &h->rings[ring];
	int64_t latest = s->latest[ring];
	struct cell *c;

	if (latest >= r->first && cell_at(r, latest)->step == step)
		return cell_at(r, latest);
	s->cells++;
	drop_old(h, ring, step);
	make_room(h, ring);
	s->latest[ring] = r->next;
	c = cell_at(r, r->next++);
	*c = (struct cell){ .series = s, .step = step };
	return c;
}

static void count(struct cell *c, const struct history_event *e)
{
	uint16_t *waits = &c->waits[class_of(e->wait_ms)];

	c->turns += e->end == HISTORY_TURN;
	c->refused += e->end == HISTORY_REFUSED;
	c->left += e->end == HISTORY_LEFT;
	c->held_ms += e->end == HISTORY_TURN ? MAX(e->hold_ms, 0) : 0;
	if (*waits < UINT16_MAX)
		++*waits;
}

void history_add(struct history *h, const struct history_event *e)
{
	struct series *s = series_get(h, e->account, e->share, e->observed);

	s->cells++; /* it mustn't go while its cells are looked for */
	for (int i = 0; i < RINGS; i++)
		count(cell_get(h, i, s, e->at_ms / ring_info[i].step_ms), e);
	series_put(h, s);
}

void history_answer(struct history *h, const struct history_answer *a)
{
	struct series *s = series_get(h, a->account, a->share, false);

	s->cells++;
	for (int i = 0; i < RINGS; i++) {
		struct cell *c = cell_get(h, i, s, a->at_ms / ring_info[i].step_ms);

		c->answers[a->kind]++;
		c->holds += a->holds;
	}
	series_put(h, s);
}

/* --- reading ---------------------------------------------------------------------------------- */

static void read_cell(const struct cell *c, int64_t step_ms, struct history_cell *ret)
{
	*ret = (struct history_cell){
		.from_ms = c->step * step_ms,
		.account = c->series->account,
		.share = c->series->share,
		.observed = c->series->observed,
		.counts = { .turns = c->turns,
			    .refused = c->refused,
			    .left = c->left,
			    .held_ms = c->held_ms,
			    .holds = c->holds },
	};
	for (int i = 0; i < HISTORY_WAITS; i++)
		ret->counts.waits[i] = c->waits[i];
	for (int i = 0; i < QUOTA_ANSWER_COUNT; i++)
		ret->counts.answers[i] = c->answers[i];
}

void history_each(const struct history *h, int64_t step_ms, int64_t from_ms, int64_t to_ms,
		  void (*fn)(void *arg, const struct history_cell *cell), void *arg)
{
	const struct ring *r = &h->rings[step_ms == HISTORY_MINUTE_MS ? MINUTES : QUARTERS];
	struct history_cell cell;

	for (int64_t n = r->first; n < r->next; n++) {
		const struct cell *c = cell_at(r, n);

		if (c->step * step_ms < from_ms || c->step * step_ms >= to_ms)
			continue;
		read_cell(c, step_ms, &cell);
		fn(arg, &cell);
	}
}

void history_sum(struct history_counts *sum, const struct history_counts *more)
{
	sum->turns += more->turns;
	sum->refused += more->refused;
	sum->left += more->left;
	sum->held_ms += more->held_ms;
	for (int i = 0; i < HISTORY_WAITS; i++)
		sum->waits[i] += more->waits[i];
	for (int i = 0; i < QUOTA_ANSWER_COUNT; i++)
		sum->answers[i] += more->answers[i];
	sum->holds += more->holds;
}

size_t history_bytes(const struct history *h)
{
	return sizeof *h + h->series_bytes +
	       (h->rings[MINUTES].room + h->rings[QUARTERS].room) * sizeof(struct cell);
}

struct history *history_new(void)
{
	return xcalloc(1, sizeof(struct history));
}

void history_free(struct history *h)
{
	if (!h)
		return;
	for (int i = 0; i < RINGS; i++) {
		while (h->rings[i].first < h->rings[i].next)
			drop_first(h, &h->rings[i]);
		free(h->rings[i].cells);
	}
	free(h);
}
