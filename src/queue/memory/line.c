#include "queue/memory/line.h"

#include "base/clock.h"

static void set_idle(struct account *a, bool idle)
{
	bool was_idle = !list_empty(&a->idle);

	if (idle == was_idle)
		return;
	a->memory->idle_count += idle ? 1 : -1;
	a->idle_since_ms = idle ? clock_ms() : 0;
	if (idle)
		list_append(&a->memory->idle, &a->idle);
	else
		list_remove(&a->idle);
}

/* --- turns ------------------------------------------------------------------------------------ */

/* The latest start of a turn, of those that are over and of those that are there. */
static int64_t latest_start_ms(const struct account *a)
{
	int64_t latest = a->last_start_ms;
	struct place *p;

	list_for_each (p, &a->holders, link)
		latest = MAX(latest, p->starts_ms);
	return latest;
}

static bool concerns(size_t held, const struct place *p)
{
	return held == HELD_ACCOUNT ||
	       p->box.ticket->standing.families >> (held - HELD_FAMILIES) & 1;
}

static bool is_held(const struct account *a, const struct place *p)
{
	for (size_t i = 0; i < HELD_COUNT; i++) {
		if (a->held[i].hold.kind && concerns(i, p))
			return true;
	}
	return false;
}

/* How many have a turn whom it concerns. */
static int64_t holding_of(const struct account *a, size_t held)
{
	const struct place *p;
	int64_t n = 0;

	list_for_each (p, &a->holders, link)
		n += concerns(held, p);
	return n;
}

static void grant(struct account *a, struct place *p)
{
	const struct lock_terms *terms = &p->box.ticket->terms;
	int64_t now = clock_ms();
	int64_t rested_ms = a->last_ms + terms->delay_ms;
	int64_t apart_ms = a->easing > 0 ? MAX(a->interval_ms, terms->delay_ms) : a->interval_ms;
	int64_t spaced_ms = latest_start_ms(a) + apart_ms;

	order_turn(&a->order, &p->order, (int64_t)tree_count(&a->waiters));
	p->starts_ms = MAX(now, MAX(rested_ms, spaced_ms));
	p->hold_until_ms = p->starts_ms + terms->max_hold_ms;
	list_append(&a->holders, &p->link);
	a->holding++;
	a->memory->holders++;
	a->easing -= a->easing > 0;
	post_send(&a->memory->post, &p->box,
		  (struct lock_news){ LOCK_GRANTED, .delay_ms = p->starts_ms - now,
				      .probe = is_held(a, p) });
}

static void take_out(struct account *a, struct place *p)
{
	p->account = NULL;
	if (place_holds(p)) {
		list_remove(&p->link);
		a->holding--;
		a->memory->holders--;
	} else {
		tree_remove(&a->waiters, &p->node);
		p->share->waiting--;
	}
}

static bool allows(const struct account *a, size_t held, int64_t now)
{
	return !a->held[held].hold.kind ||
	       hold_allows(&a->held[held].hold, holding_of(a, held), now);
}

static bool has_free_turn(const struct account *a)
{
	return a->holding < a->turns && !a->paused_at_ms && allows(a, HELD_ACCOUNT, clock_ms());
}

/* Whether it may have a free turn. */
static bool may_go(const struct account *a, const struct place *p, int64_t now)
{
	for (size_t i = HELD_FAMILIES; i < HELD_COUNT; i++) {
		if (concerns(i, p) && !allows(a, i, now))
			return false;
	}
	return true;
}

/* Who is next: the first by rank that may go. */
static struct place *next_in_line(const struct account *a)
{
	int64_t now = clock_ms();
	struct tree_node *n = tree_first(&a->waiters);

	while (n && !may_go(a, place_of_node(n), now))
		n = tree_next(n);
	return place_of_node(n);
}

static void hand_out(struct account *a)
{
	struct place *first;

	while (has_free_turn(a) && (first = next_in_line(a))) {
		tree_remove(&a->waiters, &first->node);
		first->share->waiting--;
		grant(a, first);
	}
	if (!tree_count(&a->waiters))
		order_is_empty(&a->order);
}

/* --- advancing -------------------------------------------------------------------------------- */

/* How long an idle account is remembered; 0 or less: it may be forgotten. */
static int64_t keep_ms(const struct account *a, int64_t now)
{
	bool crowded = a->memory->idle_count > IDLE_MAX && a->memory->idle.next == &a->idle;
	int64_t until = a->idle_since_ms + LOCK_RECENT_MS;

	for (size_t i = 0; i < HELD_COUNT; i++)
		until = MAX(until, a->held[i].hold.until_ms);
	return MAX(a->quiet_until_ms, crowded ? 0 : until) - now;
}

static int64_t first_lease_ends_ms(const struct account *a)
{
	int64_t ends = INT64_MAX;
	struct place *p;

	list_for_each (p, &a->holders, link)
		ends = MIN(ends, p->hold_until_ms);
	return ends;
}

/* When something is due by itself while somebody holds or waits; INT64_MAX: never. */
static int64_t due_ms(const struct account *a)
{
	bool waits = tree_count(&a->waiters) && !a->paused_at_ms;
	int64_t due = first_lease_ends_ms(a), now = clock_ms();

	for (size_t i = 0; waits && i < HELD_COUNT; i++) {
		const struct hold *h = &a->held[i].hold;

		if (h->kind && h->probe_ms > now)
			due = MIN(due, h->probe_ms);
	}
	return due;
}

void account_advance(struct account *a)
{
	int64_t now = clock_ms(), due;

	hand_out(a);
	kept_expire(&a->kept, now);
	set_idle(a, !a->holding && !tree_count(&a->waiters) && !a->paused_at_ms);
	due = due_ms(a);
	if (due < INT64_MAX)
		timer_start(a->timer, due - now);
	else if (!a->idle_since_ms)
		timer_stop(a->timer); /* paused */
	else if (keep_ms(a, now) > 0)
		timer_start(a->timer, keep_ms(a, now));
	else {
		a->memory->forgotten += now < a->idle_since_ms + LOCK_RECENT_MS;
		account_free(a);
	}
}

void accounts_trim(struct memory *m)
{
	struct account *a;

	while (m->idle_count > IDLE_MAX && (a = list_first(&m->idle, struct account, idle)) &&
	       keep_ms(a, clock_ms()) <= 0) {
		m->forgotten++;
		account_free(a);
	}
}

/* --- facts ------------------------------------------------------------------------------------ */

void account_tune(struct account *a, const struct lock_terms *terms)
{
	a->turns = terms->turns;
	a->interval_ms = terms->interval_ms;
}

/* The place that was kept for it; else where it starts among the others. */
static void take_rank(struct account *a, struct place *p)
{
	const struct lock_ticket *t = p->box.ticket;
	struct kept_place *kept = kept_find(&a->kept, t->standing.keep_key, p->entered_ms);
	struct order_guest guest;

	if (kept) {
		p->order = kept->order;
		kept_drop(&a->kept, kept);
		a->memory->returned++;
		return;
	}
	lock_guest(t, &guest);
	p->order = order_join(&a->order, &guest);
}

static bool is_full(const struct account *a, const struct place *p)
{
	const struct lock_terms *terms = &p->box.ticket->terms;

	return (int64_t)tree_count(&a->waiters) >= terms->max_waiting ||
	       (terms->max_waiting_per_share && p->share->waiting >= terms->max_waiting_per_share);
}

/* Of seconds nobody hears; a window may be longer than anybody waits. Of several, the longest counts. */
static void tell_of_holds(struct account *a, struct place *p)
{
	const struct held *longest = NULL;
	int64_t left_ms = 0;

	for (size_t i = 0; i < HELD_COUNT; i++) {
		const struct held *h = &a->held[i];

		if (h->hold.kind == HOLD_QUOTA && concerns(i, p) &&
		    h->hold.until_ms - clock_ms() > left_ms) {
			left_ms = h->hold.until_ms - clock_ms();
			longest = h;
		}
	}
	if (longest)
		post_send(
			&a->memory->post, &p->box,
			(struct lock_news){ LOCK_HELD, .held_ms = left_ms,
					    .refusal = longest->refusal ? longest->refusal : "" });
}

void account_join(struct account *a, struct place *p)
{
	struct post *post = &a->memory->post;

	p->share = shares_use(&a->shares, p->box.ticket->standing.share);
	p->account = a;
	if (has_free_turn(a) && !tree_count(&a->waiters) && may_go(a, p, clock_ms())) {
		take_rank(a, p);
		grant(a, p);
		return;
	}
	if (is_full(a, p)) {
		p->account = NULL;
		shares_drop(&a->shares, steal(&p->share));
		post_send(post, &p->box, (struct lock_news){ LOCK_FULL });
		return;
	}
	take_rank(a, p);
	tree_insert(&a->waiters, &p->node, p->order.rank);
	p->share->waiting++;
	post_send(post, &p->box,
		  (struct lock_news){ LOCK_WAITING,
				      .position = (int64_t)tree_before(&p->node) + a->holding,
				      .rank = p->order.rank });
	tell_of_holds(a, p);
}

static void add_sample(struct account *a, const struct place *p, int64_t until_ms, int64_t hold_ms)
{
	struct sample s = {
		.at_ms = clock_ms(),
		.wait_ms = until_ms - p->entered_ms,
		.hold_ms = hold_ms,
		.share = shares_use(&a->shares, p->share->name),
	};

	shares_drop(&a->shares, samples_add(&a->samples, &s));
}

static void remember_until(struct account *a, int64_t until_ms)
{
	a->quiet_until_ms = MAX(a->quiet_until_ms, until_ms);
}

static void note_start(struct account *a, const struct place *p)
{
	a->last_start_ms = MAX(a->last_start_ms, p->starts_ms);
	remember_until(a, a->last_start_ms + a->interval_ms);
}

static void note_completion(struct account *a, const struct place *p)
{
	note_start(a, p);
	a->last_ms = clock_ms();
	a->last_wall_ms = clock_wall_ms();
	remember_until(a, a->last_ms + p->box.ticket->terms.delay_ms);
	add_sample(a, p, p->starts_ms, MAX(a->last_ms - p->starts_ms, 0));
}

/* Leaves without having used a turn. */
static void note_leave(struct account *a, const struct place *p)
{
	int64_t now = clock_ms();

	add_sample(a, p, place_holds(p) ? MIN(p->starts_ms, now) : now, -1);
}

static void keep_place(struct account *a, const struct place *p)
{
	const struct lock_ticket *t = p->box.ticket;
	struct kept_place what = {
		.order = p->order,
		.share = p->share,
		.until_ms = clock_ms() + t->terms.keep_place_ms,
	};

	if (!t->standing.keep_key[0] || t->terms.keep_place_ms <= 0)
		return;
	memcpy(what.key, t->standing.keep_key, sizeof what.key);
	kept_put(&a->kept, &what, t->terms.max_waiting);
	remember_until(a, what.until_ms);
}

void account_leave(struct account *a, struct place *p, enum lock_end end)
{
	if (place_holds(p) && end == LOCK_USED)
		note_completion(a, p);
	else
		note_leave(a, p);
	if (end == LOCK_KEEP)
		keep_place(a, p);
	take_out(a, p);
	shares_drop(&a->shares, steal(&p->share));
}

void account_lose(struct account *a, struct place *p)
{
	take_out(a, p);
	shares_drop(&a->shares, steal(&p->share));
	note_start(a, p);
	a->memory->lost++;
	post_send(&a->memory->post, &p->box, (struct lock_news){ LOCK_LOST });
}

void account_remove(struct account *a, struct place *p)
{
	take_out(a, p);
	shares_drop(&a->shares, steal(&p->share));
	post_send(&a->memory->post, &p->box, (struct lock_news){ LOCK_REMOVED });
}

static void begin_hold(struct held *h, const struct lock_limit *limit)
{
	hold_refused(&h->hold, limit->kind, limit->for_ms, clock_ms());
	if (limit->refusal[0] && strlen(limit->refusal) < LOCK_REFUSAL_MAX) {
		free(h->refusal);
		h->refusal = xstrdup(limit->refusal);
	}
}

static bool is_among(size_t held, unsigned families)
{
	return held >= HELD_FAMILIES && families >> (held - HELD_FAMILIES) & 1;
}

void account_hold(struct account *a, const struct lock_limit *limit)
{
	struct tree_node *n;

	for (size_t i = 0; i < HELD_COUNT; i++) {
		if (limit->families ? is_among(i, limit->families) : i == HELD_ACCOUNT)
			begin_hold(&a->held[i], limit);
	}
	for (n = tree_first(&a->waiters); n; n = tree_next(n))
		tell_of_holds(a, place_of_node(n));
}

static void end_hold(struct held *h)
{
	h->hold = (struct hold){ 0 };
	free(steal(&h->refusal));
}

bool account_release(struct account *a, unsigned families)
{
	struct tree_node *n;
	bool any = false;

	for (size_t i = 0; i < HELD_COUNT; i++) {
		if (!a->held[i].hold.kind || (i != HELD_ACCOUNT && !is_among(i, families)))
			continue;
		end_hold(&a->held[i]);
		any = true;
	}
	if (!any)
		return false;
	for (n = tree_first(&a->waiters); n; n = tree_next(n)) {
		post_drop(&place_of_node(n)->box, LOCK_HELD);
		tell_of_holds(a, place_of_node(n)); /* of those that last */
	}
	a->easing = a->turns;
	return true;
}

/* --- life ------------------------------------------------------------------------------------- */

static void on_timer(void *arg)
{
	struct account *a = arg;
	struct place *p, *next;

	list_for_each_safe (p, next, &a->holders, link) {
		if (clock_ms() >= p->hold_until_ms)
			account_lose(a, p);
	}
	account_advance(a);
}

struct account *account_get(struct memory *m, const char *name)
{
	struct account *a;

	HASH_FIND_STR(m->accounts, name, a);
	if (a)
		return a;
	a = xcalloc(1, sizeof *a);
	memcpy(a->name, name, strlen(name) + 1);
	a->memory = m;
	a->turns = 1;
	a->last_ms = a->last_start_ms = INT64_MIN / 2; /* never: any delay since then is over */
	list_init(&a->holders);
	kept_open(&a->kept, &a->shares, &m->kept);
	a->timer = timer_new(m->loop, on_timer, a);
	HASH_ADD_STR(m->accounts, name, a);
	return a;
}

static void drop_sample(void *arg, const struct sample *sample)
{
	shares_drop(arg, sample->share);
}

void account_free(struct account *a)
{
	set_idle(a, false);
	HASH_DEL(a->memory->accounts, a);
	kept_clear(&a->kept);
	samples_each(&a->samples, INT64_MIN, drop_sample, &a->shares);
	samples_clear(&a->samples);
	must(!a->shares.by_name);
	order_clear(&a->order);
	for (size_t i = 0; i < HELD_COUNT; i++)
		end_hold(&a->held[i]);
	timer_clear(&a->timer);
	free(a);
}
