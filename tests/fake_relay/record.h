/*
 * record.h - what the relay has seen: which requests, in which order, how many at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"

enum record_phase {
	RECORD_ARRIVED, /* its head is here */
	RECORD_BODY,    /* its body too */
	RECORD_HEADERS, /* the response has begun */
	RECORD_DONE,    /* the whole response has been handed to the kernel */
	RECORD_ABORTED, /* the peer left before */
	RECORD_CUT,     /* the relay broke it, as it was told to */
};

struct tally {
	uint64_t seen, completed, aborted, cut;
	uint64_t active, max_overlap; /* of counted requests */
};

struct record;

/* A condition to wait for; what isn't set (0, NULL, -1) doesn't matter. */
struct condition {
	char *account, *tag;
	int64_t active; /* exactly that many; -1 */
	int64_t seen;   /* at least that many; -1 */
	enum record_phase phase;
	int64_t times; /* at least so many of the tag are in that phase */
	int64_t limit_ms;
};

struct recorder {
	struct list records;  /* in order of arrival */
	struct list *buckets; /* of accounts, by the hash of their name */
	struct tally all;
	uint64_t number, kept, forgotten, connections, open, stale;
	void (*on_change)(void *arg); /* after each change, when all of it is visible */
	void *arg;
};

struct arrival {
	struct span account, tag, method, target;
	bool counted;
	uint64_t connection;
};

void recorder_open(struct recorder *r);
void recorder_close(struct recorder *r);

/* Forgets everything; holders of a record find NULL in its place. */
void recorder_reset(struct recorder *r);

/*
 * A request has arrived. *holder points to the record until it ends or the recorder is reset,
 * then it is NULL, which the calls below take for "not recorded".
 */
void record_begin(struct recorder *r, const struct arrival *a, struct record **holder);
void record_body(struct recorder *r, struct record *rec, uint64_t bytes, const char *sha256);
void record_headers(struct recorder *r, struct record *rec);
/* Its last byte is about to leave: the time from which on the peer may have it. */
void record_leaving(struct record *rec);
void record_end(struct recorder *r, struct record *rec, enum record_phase how);

/* Requests with that tag that are listed. */
uint64_t recorder_tagged(const struct recorder *r, struct span tag);

bool recorder_holds(const struct recorder *r, const struct condition *c);

/* Everything as JSON, appended to `out`. */
void recorder_print(const struct recorder *r, struct buf *out);

/* False for a word that is none. */
bool record_phase_read(struct span word, enum record_phase *ret);
