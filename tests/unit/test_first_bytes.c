/*
 * test_first_bytes.c - percentiles of the latest first bytes, and which of them count.
 */
#include "proxy/first_bytes.h"

#include "check.h"

static struct first_bytes_figures look(const struct first_bytes *f, int64_t now_ms)
{
	struct first_bytes_figures figures;

	first_bytes_look(f, now_ms, &figures);
	return figures;
}

static void test_percentiles(void)
{
	struct first_bytes f = { 0 };
	struct first_bytes_figures is = look(&f, 1000);

	CHECK_INT(is.count + is.p50_ms + is.p95_ms, 0);
	for (int64_t i = 100; i >= 1; i--) /* not in their order */
		first_bytes_add(&f, &(struct first_byte){ 1000, 10 * i, i });
	is = look(&f, 1000);
	CHECK_INT(is.count, 100);
	CHECK_INT(is.p50_ms, 500);
	CHECK_INT(is.p95_ms, 950);
	CHECK_INT(is.upstream_p50_ms, 50);
	CHECK_INT(is.upstream_p95_ms, 95);
	is = look(&f, 1000 + FIRST_BYTES_MS); /* too long ago */
	CHECK_INT(is.count, 0);
	first_bytes_add(&f, &(struct first_byte){ 2000, 7, 3 });
	is = look(&f, 1000 + FIRST_BYTES_MS);
	CHECK_INT(is.count, 1);
	CHECK_INT(is.p50_ms * 100 + is.upstream_p95_ms, 703);
}

static void test_latest(void)
{
	struct first_bytes f = { 0 };

	for (int64_t i = 1; i <= 3 * FIRST_BYTES_MAX; i++)
		first_bytes_add(&f, &(struct first_byte){ i, i, 0 });
	CHECK_INT(look(&f, 2000).count, FIRST_BYTES_MAX);
	CHECK_INT(look(&f, 2000).p50_ms, 2 * FIRST_BYTES_MAX + FIRST_BYTES_MAX / 2);
}

int main(void)
{
	test_percentiles();
	test_latest();
	return check_done();
}
