/*
 * record.c - requests in order of arrival, each on the list of its account too.
 *
 *      records   r1 - r2 - r3 - r4 ...     (the oldest finished ones are forgotten beyond KEEP_MAX)
 *      account   r1 ------ r3
 *      account        r2 ------ r4
 *
 * Tallies go on when records are forgotten, so a benchmark of millions costs no memory.
 */
#include "record.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"

enum { BUCKETS = 4096, KEEP_MAX = 20000 };

struct account {
	struct list link; /* in a bucket */
	char *name;
	struct tally tally;
	struct list records;
};

struct record {
	struct list link, account_link;
	struct account *account;
	struct record **holder; /* NULL once ended */
	uint64_t number, connection, body_bytes;
	char *tag, *method, *target;
	char sha256[65];
	bool counted;
	enum record_phase phase;
	int64_t arrived_us, body_us, first_us, last_us, aborted_us;
};

static const char *const phase_names[] = {
	[RECORD_ARRIVED] = "arrived", [RECORD_BODY] = "body",       [RECORD_HEADERS] = "headers",
	[RECORD_DONE] = "done",       [RECORD_ABORTED] = "aborted", [RECORD_CUT] = "cut",
};

bool record_phase_read(struct span word, enum record_phase *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(phase_names); i++) {
		if (span_eq(word, span_of(phase_names[i]))) {
			*ret = (enum record_phase)i;
			return true;
		}
	}
	return false;
}

/* FNV-1a */
static struct list *bucket_of(const struct recorder *r, struct span name)
{
	uint32_t hash = 2166136261;

	for (size_t i = 0; i < name.len; i++)
		hash = (hash ^ (unsigned char)name.ptr[i]) * 16777619;
	return &r->buckets[hash % BUCKETS];
}

static struct account *account_find(const struct recorder *r, struct span name)
{
	struct account *a;

	list_for_each (a, bucket_of(r, name), link) {
		if (span_eq(span_of(a->name), name))
			return a;
	}
	return NULL;
}

static struct account *account_get(struct recorder *r, struct span name)
{
	struct account *a = account_find(r, name);

	if (a)
		return a;
	a = xcalloc(1, sizeof *a);
	a->name = xstrndup(name.len ? name.ptr : "", name.len);
	list_init(&a->records);
	list_append(bucket_of(r, name), &a->link);
	return a;
}

static void record_free(struct recorder *r, struct record *rec)
{
	if (rec->holder)
		*rec->holder = NULL;
	list_remove(&rec->link);
	list_remove(&rec->account_link);
	r->kept--;
	free(rec->tag);
	free(rec->method);
	free(rec->target);
	free(rec);
}

static void forget_oldest(struct recorder *r)
{
	struct record *rec, *tmp;

	list_for_each_safe (rec, tmp, &r->records, link) {
		if (r->kept < KEEP_MAX)
			return;
		if (!rec->holder) {
			r->forgotten++;
			record_free(r, rec);
		}
	}
}

static void changed(struct recorder *r)
{
	if (r->on_change)
		r->on_change(r->arg);
}

static void tally_begin(struct tally *t, bool counted)
{
	t->seen++;
	if (counted && ++t->active > t->max_overlap)
		t->max_overlap = t->active;
}

static void tally_end(struct tally *t, bool counted, enum record_phase how)
{
	t->completed += how == RECORD_DONE;
	t->aborted += how == RECORD_ABORTED;
	t->cut += how == RECORD_CUT;
	t->active -= counted;
}

void record_begin(struct recorder *r, const struct arrival *a, struct record **holder)
{
	struct record *rec = xcalloc(1, sizeof *rec);

	forget_oldest(r);
	rec->number = ++r->number;
	rec->connection = a->connection;
	rec->account = account_get(r, a->account);
	rec->tag = xstrndup(a->tag.len ? a->tag.ptr : "", a->tag.len);
	rec->method = xstrndup(a->method.ptr, a->method.len);
	rec->target = xstrndup(a->target.ptr, a->target.len);
	rec->counted = a->counted;
	rec->arrived_us = clock_us();
	rec->holder = holder;
	list_append(&r->records, &rec->link);
	list_append(&rec->account->records, &rec->account_link);
	r->kept++;
	tally_begin(&r->all, rec->counted);
	tally_begin(&rec->account->tally, rec->counted);
	*holder = rec;
	changed(r);
}

void record_body(struct recorder *r, struct record *rec, uint64_t bytes, const char *sha256)
{
	if (!rec)
		return;
	rec->phase = RECORD_BODY;
	rec->body_us = clock_us();
	rec->body_bytes = bytes;
	memcpy(rec->sha256, sha256, sizeof rec->sha256);
	changed(r);
}

void record_headers(struct recorder *r, struct record *rec)
{
	if (!rec)
		return;
	rec->phase = RECORD_HEADERS;
	rec->first_us = clock_us();
	changed(r);
}

void record_leaving(struct record *rec)
{
	if (rec)
		rec->last_us = clock_us();
}

void record_end(struct recorder *r, struct record *rec, enum record_phase how)
{
	if (!rec)
		return;
	rec->phase = how;
	if (how == RECORD_ABORTED)
		rec->aborted_us = clock_us();
	else if (!rec->last_us)
		rec->last_us = clock_us();
	tally_end(&r->all, rec->counted, how);
	tally_end(&rec->account->tally, rec->counted, how);
	*rec->holder = NULL;
	rec->holder = NULL;
	changed(r);
}

static bool reached(const struct record *rec, enum record_phase phase)
{
	return phase <= RECORD_HEADERS
		       ? (phase == RECORD_ARRIVED || (phase == RECORD_BODY && rec->body_us) ||
			  (phase == RECORD_HEADERS && rec->first_us))
		       : rec->phase == phase;
}

static bool tag_reached(const struct recorder *r, const struct condition *c)
{
	const struct record *rec;
	int64_t n = 0;

	list_for_each (rec, &r->records, link) {
		if (!strcmp(rec->tag, c->tag) && reached(rec, c->phase) &&
		    (!c->account || !strcmp(rec->account->name, c->account)))
			n++;
	}
	return n >= c->times;
}

uint64_t recorder_tagged(const struct recorder *r, struct span tag)
{
	uint64_t n = 0;
	struct record *rec;

	list_for_each (rec, &r->records, link)
		n += span_eq(span_of(rec->tag), tag);
	return n;
}

bool recorder_holds(const struct recorder *r, const struct condition *c)
{
	static const struct tally none;
	const struct account *a = c->account ? account_find(r, span_of(c->account)) : NULL;
	const struct tally *t = !c->account ? &r->all : a ? &a->tally : &none;

	if (c->active >= 0 && t->active != (uint64_t)c->active)
		return false;
	if (c->seen >= 0 && t->seen < (uint64_t)c->seen)
		return false;
	return !c->tag || tag_reached(r, c);
}

static void print_tally(const struct tally *t, struct buf *out)
{
	buf_printf(out,
		   "\"seen\":%" PRIu64 ",\"active\":%" PRIu64 ",\"max_overlap\":%" PRIu64
		   ",\"completed\":%" PRIu64 ",\"aborted\":%" PRIu64 ",\"cut\":%" PRIu64,
		   t->seen, t->active, t->max_overlap, t->completed, t->aborted, t->cut);
}

static void print_account(const struct account *a, struct buf *out)
{
	const struct record *rec;
	const char *comma = "";

	buf_json(out, span_of(a->name));
	buf_puts(out, ":{");
	print_tally(&a->tally, out);
	buf_puts(out, ",\"order\":[");
	list_for_each (rec, &a->records, account_link) {
		buf_puts(out, comma);
		buf_json(out, span_of(rec->tag));
		comma = ",";
	}
	buf_puts(out, "]}");
}

static void print_time(struct buf *out, const char *name, int64_t us)
{
	if (us)
		buf_printf(out, ",\"%s\":%" PRId64, name, us);
	else
		buf_printf(out, ",\"%s\":null", name);
}

static void print_record(const struct record *rec, struct buf *out)
{
	buf_printf(out, "{\"number\":%" PRIu64 ",\"connection\":%" PRIu64 ",\"tag\":", rec->number,
		   rec->connection);
	buf_json(out, span_of(rec->tag));
	buf_puts(out, ",\"account\":");
	buf_json(out, span_of(rec->account->name));
	buf_puts(out, ",\"method\":");
	buf_json(out, span_of(rec->method));
	buf_puts(out, ",\"target\":");
	buf_json(out, span_of(rec->target));
	buf_printf(out,
		   ",\"counted\":%s,\"phase\":\"%s\",\"body_bytes\":%" PRIu64
		   ",\"body_sha256\":\"%s\"",
		   rec->counted ? "true" : "false", phase_names[rec->phase], rec->body_bytes,
		   rec->sha256);
	print_time(out, "arrived_us", rec->arrived_us);
	print_time(out, "body_us", rec->body_us);
	print_time(out, "first_us", rec->first_us);
	print_time(out, "last_us", rec->last_us);
	print_time(out, "aborted_us", rec->aborted_us);
	buf_puts(out, "}");
}

static void print_accounts(const struct recorder *r, struct buf *out)
{
	const struct account *a;
	const char *comma = "";

	for (size_t i = 0; i < BUCKETS; i++) {
		list_for_each (a, &r->buckets[i], link) {
			buf_puts(out, comma);
			print_account(a, out);
			comma = ",";
		}
	}
}

void recorder_print(const struct recorder *r, struct buf *out)
{
	const struct record *rec;
	const char *comma = "";

	buf_puts(out, "{\"all\":{");
	print_tally(&r->all, out);
	buf_printf(out,
		   "},\"connections\":%" PRIu64 ",\"open\":%" PRIu64 ",\"stale\":%" PRIu64
		   ",\"forgotten\":%" PRIu64 ",\"accounts\":{",
		   r->connections, r->open, r->stale, r->forgotten);
	print_accounts(r, out);
	buf_puts(out, "},\"requests\":[");
	list_for_each (rec, &r->records, link) {
		buf_puts(out, comma);
		print_record(rec, out);
		comma = ",";
	}
	buf_puts(out, "]}\n");
}

void recorder_reset(struct recorder *r)
{
	struct record *rec, *next_rec;
	struct account *a, *next_a;

	list_for_each_safe (rec, next_rec, &r->records, link)
		record_free(r, rec);
	for (size_t i = 0; i < BUCKETS; i++) {
		list_for_each_safe (a, next_a, &r->buckets[i], link) {
			list_remove(&a->link);
			free(a->name);
			free(a);
		}
	}
	r->all = (struct tally){ 0 };
	r->number = r->forgotten = r->stale = 0;
	r->connections = r->open;
}

void recorder_open(struct recorder *r)
{
	list_init(&r->records);
	r->buckets = xcalloc(BUCKETS, sizeof *r->buckets);
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&r->buckets[i]);
}

void recorder_close(struct recorder *r)
{
	recorder_reset(r);
	free(r->buckets);
}
