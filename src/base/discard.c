#include "base/discard.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* A buffer whose pages from `left` on are given back: stands at its own beginning. */
struct piece {
	struct list link;
	size_t left;
};

struct discard {
	struct loop *loop;
	struct job job;
	struct list pieces;
	size_t bytes;
};

/* Gives back the whole pages in [from, to) of the memory at `at`; whatever else is there stays. */
static void give_back(char *at, size_t from, size_t to)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t first = ((uintptr_t)at + from + page - 1) / page * page;
	uintptr_t last = ((uintptr_t)at + to) / page * page;

	if (first < last)
		madvise((void *)first, last - first, MADV_DONTNEED);
}

static void end_piece(struct discard *d, struct piece *p)
{
	d->bytes -= p->left;
	list_remove(&p->link);
	free(p);
}

static void run(struct job *job)
{
	struct discard *d = container_of(job, struct discard, job);
	struct piece *p = list_first(&d->pieces, struct piece, link);

	if (!p)
		return;
	if (p->left <= DISCARD_PIECE) {
		end_piece(d, p);
	} else {
		give_back((char *)p, p->left - DISCARD_PIECE, p->left);
		p->left -= DISCARD_PIECE;
		d->bytes -= DISCARD_PIECE;
	}
	if (!list_empty(&d->pieces))
		loop_defer_later(d->loop, &d->job);
}

void discard_buf(struct discard *d, struct buf *b)
{
	struct piece *p = (struct piece *)b->data;

	if (b->cap <= DISCARD_PIECE) {
		buf_clear(b);
		return;
	}
	*p = (struct piece){ .left = b->cap };
	*b = (struct buf){ 0 };
	list_append(&d->pieces, &p->link);
	d->bytes += p->left;
	loop_defer_later(d->loop, &d->job);
}

size_t discard_bytes(const struct discard *d)
{
	return d->bytes;
}

struct discard *discard_new(struct loop *loop)
{
	struct discard *d = xcalloc(1, sizeof *d);

	d->loop = loop;
	d->job.run = run;
	list_init(&d->pieces);
	return d;
}

void discard_free(struct discard *d)
{
	struct piece *p;

	if (!d)
		return;
	while ((p = list_first(&d->pieces, struct piece, link)))
		end_piece(d, p);
	job_cancel(&d->job);
	free(d);
}
