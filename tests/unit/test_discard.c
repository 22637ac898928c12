/*
 * test_discard.c - large memory goes back in pieces, a piece a turn; small memory at once.
 */
#include <unistd.h>

#include "base/discard.h"
#include "check.h"

enum { LARGE = 8 * DISCARD_PIECE + 12345 };

static size_t resident_bytes(void)
{
	unsigned long size = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	must(f);
	CHECK(fscanf(f, "%lu %lu", &size, &resident) == 2);
	fclose(f);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static struct buf filled(size_t n)
{
	struct buf b = { 0 };

	buf_reserve_exact(&b, n);
	memset(b.data, 'x', n);
	b.len = n;
	return b;
}

static void test_pieces(struct loop *loop, struct discard *d)
{
	struct buf b = filled(LARGE), other = filled(LARGE);
	size_t full = resident_bytes(), before;
	int turns = 0;

	discard_buf(d, &b);
	discard_buf(d, &other);
	CHECK(!b.data && !b.len && !b.cap);
	CHECK_INT(discard_bytes(d), 2 * LARGE);
	while ((before = discard_bytes(d)) && turns++ < 100) {
		uv_run(&loop->uv, UV_RUN_ONCE);
		CHECK(before - discard_bytes(d) <= DISCARD_PIECE);
		if (turns == 6)
			CHECK(resident_bytes() + 4 * DISCARD_PIECE < full);
	}
	CHECK_INT(discard_bytes(d), 0);
	CHECK(turns >= 16 && turns <= 20); /* none in vain, none that blocks */
	CHECK(resident_bytes() + 2 * (LARGE - 2 * DISCARD_PIECE) < full);
}

static void test_small(struct discard *d)
{
	struct buf b = filled(DISCARD_PIECE), empty = { 0 };

	discard_buf(d, &b);
	discard_buf(d, &empty);
	CHECK(!b.data && !b.cap);
	CHECK_INT(discard_bytes(d), 0);
}

int main(void)
{
	struct loop loop;
	struct discard *d;
	struct buf b = filled(LARGE);

	loop_open(&loop);
	d = discard_new(&loop);
	test_pieces(&loop, d);
	test_small(d);
	discard_buf(d, &b); /* and is freed before it has gone */
	discard_free(d);
	discard_free(NULL);
	loop_close(&loop);
	return check_done();
}
